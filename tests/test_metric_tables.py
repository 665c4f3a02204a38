"""The tables of an arm: the right numbers in the right rows in any order, and named errors for bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from polychromic import metrics
from polychromic.embedding import Encoder, text_key
from polychromic.errors import StudyError
from polychromic.records import Record

TEXTS = {
    "p1": ["the cat sat", "the cat sat", "a dog ran far away"],
    "p2": ["", "half \ufffd", "我爱北京"],
}
RECORDS = [
    Record(id="p1", prompt="?", target="the cat", references=("the cat sat", "")),
    Record(id="p2", prompt="?", target=""),
    Record(id="unused", prompt="?", target="x"),
]


def arm(seeds=(42, 123), temperatures=(0.7, 1.0)) -> tuple[dict[int, pd.DataFrame], pd.DataFrame]:
    rows = [
        {
            "prompt_id": p,
            "temperature": t,
            "sample": i,
            "seed": 7 * i,
            "text": text,
            "tokens": 3,
            "finish": "stop",
        }
        for p, texts in TEXTS.items()
        for t in temperatures
        for i, text in enumerate(texts)
    ]
    samples = {seed: pd.DataFrame(rows) for seed in seeds}
    passes = pd.concat([frame.assign(seed=seed) for seed, frame in samples.items()])
    passes = passes[["seed", "prompt_id", "temperature", "sample"]].assign(
        passed=passes["prompt_id"] == "p1",
        status="passed",
        score=1.0,
        label=passes["text"].str[:3].replace("", None),
    )
    return samples, passes


def encode(texts: list[str]) -> np.ndarray:
    """Each text a direction of its own."""
    names = sorted({text for texts in TEXTS.values() for text in texts})
    return np.eye(len(names), dtype=np.float32)[[names.index(text) for text in texts]]


@pytest.fixture
def joined() -> pd.DataFrame:
    samples, passes = arm()
    return metrics.with_passes(metrics.stack_samples(samples), passes)


def test_every_row_has_the_values_of_the_functions(joined: pd.DataFrame) -> None:
    table = metrics.diversity_table(joined, RECORDS, encode, labelled=True)
    assert list(table[["seed", "prompt_id", "temperature"]].itertuples(index=False, name=None)) == [
        (seed, p, t) for seed in (42, 123) for p in ("p1", "p2") for t in (0.7, 1.0)
    ]
    for prompt, texts in TEXTS.items():
        row = table[table["prompt_id"] == prompt].iloc[0]
        assert row["self_bleu"] == metrics.self_bleu(texts)
        for n in (1, 2, 3):
            assert row[f"distinct_{n}"] == pytest.approx(metrics.distinct_n(texts, n), nan_ok=True)
        assert row["compression_ratio"] == metrics.compression_ratio(texts)
        assert row["semantic_diversity"] == pytest.approx(metrics.semantic_diversity(encode(texts)))
    first, second = table.iloc[0], table[table["prompt_id"] == "p2"].iloc[0]
    assert first["vendi"] == pytest.approx(math.exp(-(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))))
    assert (first["samples"], first["passing"], first["classes"], first["length"]) == (3, 3, 2, 11 / 3)
    assert first["distinct_2_cut"] == pytest.approx(2 / 3)  # "the cat", "the cat", "a dog"
    assert second["passing"] == 0
    assert second[["self_bleu_passing", "semantic_diversity_passing", "vendi_passing"]].isna().all()


def test_arms_of_which_all_or_none_passes_have_defined_values() -> None:
    samples, passes = arm()
    stacked = metrics.stack_samples(samples)
    measured = ["self_bleu", "distinct_2", "semantic_diversity", "vendi"]
    for verdict in (True, False):
        table = metrics.diversity_table(
            metrics.with_passes(stacked, passes.assign(passed=verdict)), RECORDS, encode, labelled=True
        )
        assert (table["passing"] == (3 if verdict else 0)).all()
        for metric in measured:
            among_passing = table[metric] if verdict else table[metric] * math.nan
            pd.testing.assert_series_equal(table[f"{metric}_passing"], among_passing, check_names=False)
        assert table["classes_passing"].tolist() == (table["classes"] if verdict else 0 * table["classes"]).tolist()
    assert metrics.pass_at_k(3, [0, 3], 3).tolist() == [0.0, 1.0]


def test_every_column_has_a_signature(joined: pd.DataFrame) -> None:
    for table in (
        metrics.diversity_table(joined, RECORDS, encode, labelled=True),
        metrics.quality_table(joined, RECORDS, answers=True),
    ):
        for column in set(table.columns) - {"seed", "prompt_id", "temperature", "samples", "passing"}:
            assert metrics.signature(column).startswith(f"{column}|")


def test_order_of_the_rows_never_matters(joined: pd.DataFrame) -> None:
    samples, passes = arm()
    shuffled = metrics.with_passes(
        metrics.stack_samples({seed: frame.sample(frac=1, random_state=0) for seed, frame in samples.items()}),
        passes.sample(frac=1, random_state=1),
    )
    pd.testing.assert_frame_equal(
        metrics.diversity_table(shuffled, RECORDS[::-1], encode, labelled=True),
        metrics.diversity_table(joined, RECORDS, encode, labelled=True),
    )


def test_semantic_columns_only_where_they_are_asked_for(joined: pd.DataFrame) -> None:
    table = metrics.diversity_table(joined, RECORDS, encode, labelled=True, semantic_at=(0.7,)).set_index("temperature")
    assert table.loc[0.7, "semantic_diversity"].notna().all()
    assert table.loc[1.0, "semantic_diversity"].isna().all()
    assert metrics.diversity_table(joined, RECORDS, None, labelled=True)["vendi"].isna().all()


def test_no_labels_are_not_no_classes(joined: pd.DataFrame) -> None:
    unlabelled = joined.assign(label=None)
    assert metrics.diversity_table(unlabelled, RECORDS, None, labelled=False)["classes"].isna().all()
    none_runs = metrics.diversity_table(unlabelled, RECORDS, None, labelled=True)
    assert (none_runs["classes"] == 0).all(), "programs none of which runs have no behaviour: none, not unknown"


def test_quality_is_the_mean_over_samples_and_nan_without_references() -> None:
    samples, _ = arm()
    stacked = metrics.stack_samples(samples)
    bertscores = pd.DataFrame(
        [("p1", 0.7, text_key("the cat sat"), 0.8), ("p1", 0.7, text_key("a dog ran far away"), 0.2)],
        columns=["prompt_id", "temperature", "key", "bertscore"],
    )
    nll = pd.DataFrame([(42, "p1", 2 * math.log(4), 2)], columns=["seed", "prompt_id", "nll", "tokens"])
    table = metrics.quality_table(stacked, RECORDS, bertscores=bertscores, answers=True, nll=nll)
    table = table.set_index(["seed", "prompt_id", "temperature"])
    row = table.loc[42, "p1", 0.7]
    assert row["rouge_l"] == row["rouge_1"] == row["exact_match"] == row["token_f1"] == pytest.approx(2 / 3)
    assert row["bertscore"] == pytest.approx(0.6)
    assert row["perplexity"] == pytest.approx(4)
    assert math.isnan(table.loc[42, "p1", 1.0]["bertscore"])
    assert table.loc[42, "p2", 0.7].isna().all()


def test_bertscore_table_scores_each_text_once() -> None:
    samples, _ = arm()
    table = metrics.bertscore_table(metrics.stack_samples(samples), RECORDS, (0.7,), Encoder())
    assert len(table) == 5
    assert set(table["temperature"]) == {0.7}
    best = table[(table["prompt_id"] == "p1") & (table["key"] == text_key("the cat sat"))]
    assert best["bertscore"].item() == pytest.approx(1, abs=1e-5)
    assert table[table["prompt_id"] == "p2"]["bertscore"].isna().all()


def test_bad_tables_are_named() -> None:
    samples, passes = arm()
    with pytest.raises(StudyError, match=r"samples: twice the same, seed 42, prompt_id p1"):
        metrics.stack_samples({42: pd.concat([samples[42], samples[42]])})
    stacked = metrics.stack_samples(samples)
    with pytest.raises(StudyError, match=r"1 samples are not in passes.*seed 42, prompt_id p1"):
        metrics.with_passes(stacked, passes.iloc[1:])
    with pytest.raises(StudyError, match="12 samples are not in samples"):
        metrics.with_passes(stacked[stacked["seed"] == 42], passes)
    joined = metrics.with_passes(stacked, passes)
    with pytest.raises(StudyError, match="1 prompts that are in no record, the first: 'p2'"):
        metrics.diversity_table(joined, RECORDS[:1], None, labelled=True)
    with pytest.raises(StudyError, match="NaN or infinite embeddings"):
        metrics.diversity_table(joined, RECORDS, lambda texts: np.full((len(texts), 2), np.nan), labelled=True)
