from __future__ import annotations

import numpy as np
import pytest
import torch

from polychromic.errors import StudyError
from polychromic.method.diversity import DIVERSITY, GroupDiversity, make_measure, own_measure
from polychromic.method.diversity.groups import checked


class Letters:
    """Stands for a verifier: the label is the first letter, "!" does not run, what has a "?" is off topic."""

    def __init__(self):
        self.asked: list[str] = []

    def labels(self, texts, record):
        self.asked += texts
        return [None if text.startswith("!") else text[:1] for text in texts]

    def well_formed(self, texts, record):
        return [not text.startswith("!") and "?" not in text for text in texts]


def encode(texts):
    """Two directions: texts with an "x" against the others."""
    return np.array([[1.0, 0.0] if "x" in text else [0.0, 1.0] for text in texts], dtype=np.float32)


def all_forms(gate):
    return {form: make_measure(form, encode=encode, verifier=Letters(), gate=gate) for form in DIVERSITY}


def one(measure, texts, finished=None):
    return measure([texts], [None], [finished or [True] * len(texts)])[0]


def test_behaviour_counts_pairs_that_differ():
    value = one(make_measure("behaviour", verifier=Letters(), gate=False), ["a1", "a2", "b"])
    assert value.diversity == pytest.approx(2 / 3)
    assert value.credits.tolist() == pytest.approx([-1 / 3, -1 / 3, 2 / 3])


def test_semantic_is_mean_cosine_distance():
    assert one(make_measure("semantic", encode=encode, gate=False), ["x", "y", "z"]).diversity == pytest.approx(2 / 3)


def test_surface_forms_are_the_metrics():
    from polychromic.metrics import distinct_n, self_bleu

    texts = ["the cat sat on the mat", "the cat sat on a hat", "a dog ran"]
    assert one(make_measure("self_bleu", gate=False), texts).diversity == pytest.approx(1 - self_bleu(texts))
    assert one(make_measure("distinct_n", n=2, gate=False), texts).diversity == pytest.approx(distinct_n(texts, 2))


def test_what_does_not_run_is_one_kind_without_a_gate():
    measure = make_measure("behaviour", verifier=Letters(), gate=False)
    assert one(measure, ["!1", "!2"]).diversity == 0
    assert one(measure, ["!1", "a"]).diversity == 1


@pytest.mark.parametrize("form", list(DIVERSITY))
def test_gate_counts_pairs_of_valid_samples(form):
    """Broken, off-topic and cut-off samples add no diversity and earn no positive credit."""
    texts = ["a x 1", "b y 2", "! z 3", "c? w 4", "d v 5"]
    measure = all_forms(gate=True)[form]
    value = one(measure, texts, finished=[True, True, True, True, False])
    assert value.valid == [True, True, False, False, False]
    assert value.diversity == pytest.approx(one(measure, texts[:2]).diversity / 10)
    assert (value.credits[2:] <= 0).all()
    assert (value.credits[:2] > 0).all()


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("form", list(DIVERSITY))
@pytest.mark.parametrize("n", [2, 3, 6])
def test_identical_samples_have_zero_diversity_or_none_to_gain(form, gate, n):
    value = one(all_forms(gate)[form], ["a x y"] * n)
    assert torch.isfinite(value.credits).all()
    if form != "distinct_n":  # of one repeated text, distinct-n is what one text has, over n
        assert value.diversity == pytest.approx(0)
        assert value.credits.tolist() == pytest.approx([0.0] * n)


@pytest.mark.parametrize("form", list(DIVERSITY))
def test_empty_texts_are_finite(form):
    value = one(all_forms(gate=False)[form], ["", "", "a"])
    assert np.isfinite(value.diversity)
    assert torch.isfinite(value.credits).all()


def test_groups_are_apart_and_texts_judged_once():
    verifier = Letters()
    measure = make_measure("answer", verifier=verifier, gate=False)
    values = measure([["a", "a", "b"], ["c", "c", "c"]], [None, None], [[True] * 3] * 2)
    assert [value.diversity for value in values] == pytest.approx([2 / 3, 0])
    assert verifier.asked == ["a", "b", "c"]


def test_the_texts_of_all_prompts_are_encoded_in_one_batch_before_the_gate():
    asked = []

    class Gate:
        def well_formed(self, texts, record):
            return [len(asked) == 1] * len(texts)

    def encode(texts):
        asked.append(list(texts))
        return np.eye(len(texts), 4, dtype=np.float32)

    measure = make_measure("semantic", encode=encode, verifier=Gate())
    values = measure([["a", "b"], ["c", "d"]], [None, None], [[True, True], [True, False]])
    assert asked[0] == ["a", "b", "c"]
    assert values[0].valid == [True, True]


@pytest.mark.parametrize("form", list(DIVERSITY))
def test_the_unit_of_four_samples_is_their_own_mean_squared_credit(form):
    value = one(all_forms(gate=True)[form], ["a x 1", "b y 2", "! z 3", "a y 1"])
    assert value.square == pytest.approx(float((value.credits**2).mean()))


def test_a_set_measure_reads_its_unit_from_groups_of_four():
    texts = ["a b", "a b", "c d", "e f", "a b", "a b", "a b", "a b", "g h"]
    measure = make_measure("distinct_n", n=2, gate=False)
    fours = [one(measure, texts[:4]).square, one(measure, texts[4:8]).square]
    assert one(measure, texts).square == pytest.approx(sum(fours) / 2)


def test_a_measure_that_gives_no_unit_gets_one_from_its_credits():
    assert GroupDiversity(0.5, torch.tensor([1.0, 1.0]), [True] * 2).square_of_four == pytest.approx(1 / 4)


def test_without_a_verifier_a_gate_asks_for_an_end_and_some_text():
    value = one(make_measure("distinct_n", gate=True), ["a b", " ", "c d"], finished=[True, True, False])
    assert value.valid == [True, False, False]


def test_what_is_missing_is_named():
    with pytest.raises(StudyError, match="'novelty' is unknown. Known: .*semantic"):
        make_measure("novelty")
    with pytest.raises(StudyError, match="needs an encoder"):
        make_measure("semantic")
    with pytest.raises(StudyError, match=r'"behaviour" needs a verifier .*"code"'):
        make_measure("behaviour", verifier=object())


TEXTS = ["a x 1", "b y 2", "! z 3"]


def test_a_measure_of_ones_own_from_a_number():
    measure = own_measure(lambda texts: len(set(texts)) / len(texts), gate=False)
    value = one(measure, ["a", "a", "b"])
    assert value.diversity == pytest.approx(2 / 3)
    assert value.credits.tolist() == pytest.approx([2 / 3 - 1, 2 / 3 - 1, 2 / 3 - 1 / 2])


@pytest.mark.parametrize("kind", [np.array, torch.tensor, list])
def test_a_measure_of_ones_own_from_distances(kind):
    def distances(texts):
        return kind([[float(a != b) for b in texts] for a in texts])

    value, expected = (
        one(own_measure(distances, gate=False), ["a1", "a1", "b"]),
        one(make_measure("behaviour", verifier=Letters(), gate=False), ["a1", "a1", "b"]),
    )
    assert value.diversity == expected.diversity
    assert torch.equal(value.credits, expected.credits)


def test_a_measure_of_ones_own_sees_the_row():
    measure = own_measure(lambda texts, record: record["scale"] * len(set(texts)), gate=False)
    assert measure([["a", "b"]], [{"scale": 3}], [[True, True]])[0].diversity == 6


def test_a_measure_of_another_shape_is_refused():
    with pytest.raises(StudyError, match=r"\(2, 3\) for 3 texts"):
        one(own_measure(lambda texts: np.zeros((2, 3))), TEXTS)


@pytest.mark.parametrize("kind", [np.array, list, torch.tensor])
def test_credits_may_be_an_array_or_a_list(kind):
    (value,) = checked([GroupDiversity(np.float32(0.5), kind([0.1, 0.2, 0.3]), [1, 1, 0])], [7], [TEXTS])
    assert value.credits.dtype == torch.float64
    assert (value.diversity, value.valid) == (0.5, [True, True, False])


@pytest.mark.parametrize("values", [0.5, [0.5], np.array([0.5]), []])
def test_what_is_no_measure_is_refused_with_the_helper(values):
    with pytest.raises(StudyError, match="own_measure"):
        checked(values, [7], [TEXTS])


def test_a_credit_that_is_not_finite_names_row_and_sample():
    with pytest.raises(StudyError, match=r"nan for row 7 of the training set, sample 1: 'b y 2'"):
        checked([GroupDiversity(0.5, [0.1, float("nan"), 0.3], [True] * 3)], [7], [TEXTS])
