"""The table `diversity.parquet` of an arm: a row per (seed, prompt_id, temperature).

Columns ending in `_passing` are computed over the samples that passed; those ending in `_cut` over the
samples cut to the number of words of the prompt's target, so that an arm gains nothing by writing more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polychromic.errors import StudyError
from polychromic.metrics import diversity
from polychromic.metrics.passk import distinct_classes
from polychromic.metrics.sample_tables import GROUP, records_of
from polychromic.metrics.words import bleu_tokens
from polychromic.records import Record


def diversity_table(
    joined: pd.DataFrame,
    records: Sequence[Record],
    encode: Callable[[Sequence[str]], np.ndarray] | None,
    *,
    labelled: bool,
    semantic_at: Collection[float] | None = None,
) -> pd.DataFrame:
    """Diversity of every prompt's samples, and their mean `length` in words.

    joined: from `with_passes`; records: the prompts; encode: texts to unit vectors, e.g.
    `Embeddings(...).encode`, or None to leave the semantic columns NaN. labelled: whether the verifier is of a
    kind that gives labels; `classes` then counts the different ones, 0 where no sample has any, and else is NaN.
    semantic_at: the temperatures at which the semantic columns are computed, all by default.
    """
    targets = {record.id: len(bleu_tokens(record.target)) for record in records_of(joined, records).values()}
    rows, wanted = [], []
    # Prompt by prompt: its samples repeat each other over seeds and temperatures, and n-grams are cached.
    for keys, group in joined.groupby(["prompt_id", "seed", "temperature"], sort=True):
        prompt_id, seed, temperature = keys
        texts, passed = group["text"].tolist(), group["passed"].tolist()
        words = [bleu_tokens(text) for text in texts]
        passing = tuple(sorted(row for row, good in zip(words, passed, strict=True) if good))
        cut = tuple(sorted(row[: max(targets[prompt_id], 1)] for row in words))
        words = tuple(sorted(words))
        labels = [None if pd.isna(label) else label for label in group["label"]]
        rows.append(
            {
                "seed": seed,
                "prompt_id": prompt_id,
                "temperature": temperature,
                "samples": len(texts),
                "passing": len(passing),
                "length": float(np.mean([len(row) for row in words])),
                "self_bleu": diversity.self_bleu_of_words(words),
                **{f"distinct_{n}": diversity.distinct_n_of_words(words, n) for n in (1, 2, 3)},
                "ead": diversity.ead(texts),
                "compression_ratio": diversity.compression_ratio(texts),
                "self_bleu_passing": diversity.self_bleu_of_words(passing),
                "distinct_2_passing": diversity.distinct_n_of_words(passing, 2),
                "self_bleu_cut": diversity.self_bleu_of_words(cut),
                "distinct_2_cut": diversity.distinct_n_of_words(cut, 2),
                "classes": distinct_classes(labels) if labelled else math.nan,
                "classes_passing": _passing_classes(labels, passed) if labelled else math.nan,
            }
        )
        is_wanted = encode is not None and (semantic_at is None or temperature in semantic_at)
        wanted.append((texts, passed) if is_wanted else ([], []))
    table = pd.DataFrame(rows)
    for column, values in _semantic(wanted, encode).items():
        table[column] = values
    return table.sort_values(GROUP, ignore_index=True)


def _semantic(
    groups: list[tuple[list[str], list[bool]]], encode: Callable[[Sequence[str]], np.ndarray] | None
) -> dict[str, np.ndarray]:
    """semantic_diversity and vendi of all and of passing samples; groups of one size are done at once."""
    names = ("semantic_diversity", "vendi", "semantic_diversity_passing", "vendi_passing")
    columns = {name: np.full(len(groups), np.nan) for name in names}
    if encode is None:
        return columns
    for suffix in ("", "_passing"):
        by_size: dict[int, list[int]] = {}
        kept = [
            sorted(t for t, good in zip(texts, passed, strict=True) if good or not suffix) for texts, passed in groups
        ]
        for index, texts in enumerate(kept):
            by_size.setdefault(len(texts), []).append(index)
        for size, indices in sorted(by_size.items()):
            if size == 0:
                continue
            vectors = encode([text for i in indices for text in kept[i]]).reshape(len(indices), size, -1)
            vectors = np.asarray(vectors, dtype=float)
            if not np.isfinite(vectors).all():
                raise StudyError("NaN or infinite embeddings: delete the embeddings file and re-run")
            columns["semantic_diversity" + suffix][indices] = diversity.semantic_diversity(vectors)
            columns["vendi" + suffix][indices] = diversity.vendi_score(vectors @ vectors.swapaxes(-1, -2))
    return columns


def _passing_classes(labels: list[Any], passed: list[bool]) -> float:
    return float(len({label for label, good in zip(labels, passed, strict=True) if good and label is not None}))
