"""The estimator is unbiased: its expectation, enumerated exactly, is the gradient of the enumerated E[D]."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.errors import StudyError
from polychromic.method.objective import (
    CreditScale,
    gate_distances,
    leave_one_out_credits,
    pairwise_credits,
    pairwise_diversity,
    square_of_four,
    surrogate,
)

VOCABULARY = 4


def enumerated(logits, n, diversity, credits):
    """(gradient of E[D], expectation of the surrogate's gradient) over all groups of samples."""
    log_p = logits.log_softmax(-1)
    expected = torch.zeros((), dtype=torch.float64)
    estimate = torch.zeros_like(logits)
    for group in product(range(VOCABULARY), repeat=n):
        log_probs = log_p[list(group)]
        probability = log_probs.sum().exp()
        expected = expected + probability * diversity(group)
        loss = surrogate(log_probs, 2 * credits(group), prompts=1, length=1)
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        estimate = estimate - probability.detach() * gradient
    (truth,) = torch.autograd.grad(expected, logits)
    return truth, estimate


def random_policy(seed, spread):
    generator = torch.Generator().manual_seed(seed)
    logits = (spread * torch.randn(VOCABULARY, generator=generator, dtype=torch.float64)).requires_grad_()
    distances = torch.rand(VOCABULARY, VOCABULARY, generator=generator, dtype=torch.float64)
    distances = (distances + distances.T).fill_diagonal_(0)
    gates = (torch.rand(VOCABULARY, generator=generator) < 0.7).double()
    return logits, distances, gates


policies = {"seed": st.integers(0, 10_000), "spread": st.floats(0, 3), "n": st.integers(2, 4)}


@settings(max_examples=15, deadline=None)
@given(**policies, gate=st.booleans())
def test_pairwise_credits_are_unbiased(seed, spread, n, gate):
    logits, distances, valid = random_policy(seed, spread)
    gates = valid if gate else torch.ones(VOCABULARY)

    def matrix(group):
        index = torch.tensor(group)
        return gate_distances(distances[index][:, index], gates[index])

    truth, estimate = enumerated(
        logits, n, lambda g: pairwise_diversity(matrix(g)), lambda g: pairwise_credits(matrix(g))
    )
    torch.testing.assert_close(estimate, truth)


@settings(max_examples=15, deadline=None)
@given(**policies)
def test_leave_one_out_credits_of_a_set_measure_are_unbiased(seed, spread, n):
    """Distinct items over items, no pairwise mean, as distinct-n is."""
    logits, _, _ = random_policy(seed, spread)

    def measure(group):
        return len(set(group)) / len(group)

    truth, estimate = enumerated(
        logits,
        n,
        measure,
        lambda g: leave_one_out_credits(lambda indices: measure([g[i] for i in indices]), n),
    )
    torch.testing.assert_close(estimate, truth)


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_closed_form_is_leave_one_out(n):
    torch.manual_seed(n)
    d = torch.rand(n, n, dtype=torch.float64)
    d = (d + d.T).fill_diagonal_(0)

    def measure(indices):
        return float(pairwise_diversity(d[list(indices)][:, list(indices)]))

    torch.testing.assert_close(pairwise_credits(d), leave_one_out_credits(measure, n))


def test_subtracting_the_others_raw_credits_would_be_biased():
    """The tempting baseline rescales the gradient by (N-2)/(N-1): the test of unbiasedness can fail."""
    logits, distances, _ = random_policy(1, 1.0)

    def matrix(group):
        return distances[torch.tensor(group)][:, torch.tensor(group)]

    def tempting(group):
        raw = 2 / 3 * matrix(group).sum(-1) / 2
        return raw - (raw.sum() - raw) / 2

    truth, estimate = enumerated(logits, 3, lambda g: pairwise_diversity(matrix(g)), tempting)
    torch.testing.assert_close(estimate, truth / 2)


def expected_square(distances, share, n):
    """E of `square_of_four` over all groups of n samples."""
    groups = torch.cartesian_prod(*[torch.arange(len(share))] * n)
    squares = square_of_four(distances[groups[:, :, None], groups[:, None, :]])
    return float((share[groups].prod(-1) * squares).sum())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0, 2))
def test_the_scale_is_the_same_for_every_number_of_samples(seed, spread):
    """Also where the samples that are alike have a distance, as two tokens of one kind never have here."""
    logits, distances, _ = random_policy(seed, spread)
    share, distances = logits.detach().softmax(-1), distances + torch.eye(VOCABULARY, dtype=torch.float64) * 0.1
    groups = torch.cartesian_prod(*[torch.arange(VOCABULARY)] * 4)
    credits = pairwise_credits(distances[groups[:, :, None], groups[:, None, :]])
    of_four = float((share[groups].prod(-1) * (credits**2).mean(-1)).sum())
    for n in (4, 5, 6):
        assert expected_square(distances, share, n) == pytest.approx(of_four)
    assert 2**-0.5 <= expected_square(distances, share, 3) / of_four <= 2**0.5
    assert expected_square(distances, share, 2) >= of_four


def test_the_pull_of_two_and_three_samples():
    """Relative to any other number: the numbers of docs/method.md, enumerated."""
    different = 1 - torch.eye(3, dtype=torch.float64)
    share = torch.tensor([0.6, 0.2, 0.2], dtype=torch.float64)
    squares = {n: expected_square(different, share, n) for n in (2, 3, 4)}
    assert [round((squares[4] / squares[n]) ** 0.5, 2) for n in (2, 3)] == [0.66, 0.92]


def test_two_samples_get_the_raw_credit():
    d = torch.tensor([[0.0, 0.3], [0.3, 0.0]])
    assert pairwise_credits(d).tolist() == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("n", [2, 5])
def test_identical_samples_get_zero_and_never_nan(n):
    zeros = torch.zeros(n, n)
    assert pairwise_diversity(zeros) == 0
    assert pairwise_credits(zeros).tolist() == [0.0] * n
    scale = CreditScale()
    scale.update(0.0)
    assert scale.value > 0


def test_a_group_of_one_is_refused():
    with pytest.raises(StudyError, match="N >= 2"):
        pairwise_credits(torch.zeros(1, 1))
    with pytest.raises(StudyError, match="at least 2"):
        leave_one_out_credits(lambda indices: 0.0, 1)


def test_merged_duplicates_have_the_same_gradient():
    logits = torch.tensor([0.2, -0.4, 1.0], dtype=torch.float64, requires_grad=True)
    group, credits = [0, 2, 0, 0], torch.tensor([0.5, -1.0, 0.25, 2.0], dtype=torch.float64)
    settings_ = {"prompts": 1, "length": 7}
    apart = surrogate(logits.log_softmax(-1)[group], credits, **settings_)
    merged = surrogate(logits.log_softmax(-1)[[0, 2]], torch.tensor([2.75, -1.0], dtype=torch.float64), **settings_)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (apart, merged)))


def test_the_scale_follows_the_credits_slowly_down_to_a_floor():
    scale = CreditScale(decay=0.5, floor=1e-3)
    scale.update(4.0)
    assert scale.value == 2.0
    before = scale.value
    scale.update(16.0)
    assert before == 2.0
    assert scale.value == pytest.approx(10**0.5)
    scale.update(-100.0)
    assert scale.value == 1e-3
