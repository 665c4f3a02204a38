"""The table `diversity.parquet` of an arm: a row per (seed, prompt, temperature), a column per metric and reading."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import pandas as pd

from polychromic.metric_registry import columns_of, metrics_of
from polychromic.metrics.kinds import Encode, SampleSet
from polychromic.metrics.sample_tables import GROUP, records_of
from polychromic.metrics.signatures import signature
from polychromic.metrics.signed_tables import sign
from polychromic.metrics.words import bleu_tokens
from polychromic.records import Record


def diversity_table(
    joined: pd.DataFrame,
    records: Sequence[Record],
    encode: Encode | None,
    *,
    labelled: bool,
    semantic_at: Collection[float] | None = None,
    encoder: str = "minilm",
) -> pd.DataFrame:
    """Every diversity metric of every prompt's samples, with the number of samples and of passing ones.

    Args:
        joined: from `with_passes`.
        records: the prompts; a target's length is that to which the samples are cut for the readings `_cut`.
        encode: texts to unit vectors, e.g. `Embeddings(...).encode`; None leaves the metrics that need it NaN.
        labelled: whether the verifier gives labels; without them the metrics that need them are NaN.
        semantic_at: the temperatures at which texts have vectors, all by default; NaN at the others.
        encoder: what `encode` runs, for the signatures.

    Returns:
        The table, with the signatures of its columns (`signatures.signatures_in`).
    """
    targets = {key: len(bleu_tokens(record.target)) for key, record in records_of(joined, records).items()}
    metrics = metrics_of("diversity")
    rows = []
    # Prompt by prompt: its samples repeat each other over seeds and temperatures, and n-grams are cached.
    for keys, group in joined.groupby(["prompt_id", "seed", "temperature"], sort=True):
        prompt_id, seed, temperature = keys
        passed = group["passed"].tolist()
        has = {"labels"} if labelled else set()
        if encode is not None and (semantic_at is None or temperature in semantic_at):
            has.add("encoder")
        labels = tuple(None if pd.isna(label) else label for label in group["label"]) if labelled else ()
        samples = SampleSet(tuple(group["text"]), labels, encode)
        read = {"all": samples, "passing": samples.passing(passed), "cut": samples.cut(max(targets[prompt_id], 1))}
        row = {"seed": seed, "prompt_id": prompt_id, "temperature": temperature}
        row |= {"samples": len(passed), "passing": sum(passed)}
        for name, metric in metrics.items():
            for column, reading in columns_of(name, metric).items():
                row[column] = metric.value(read[reading]) if metric.needs <= has else math.nan
        rows.append(row)
    table = pd.DataFrame(rows).sort_values(GROUP, ignore_index=True)
    columns = [column for name, metric in metrics.items() for column in columns_of(name, metric)]
    return sign(table, {column: signature(column, model=encoder) for column in columns})
