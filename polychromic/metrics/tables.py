"""The tables `diversity.parquet` and `quality.parquet` of an arm: a row per (seed, prompt_id, temperature).

Columns ending in `_passing` are computed over the samples that passed; those ending in `_cut` over the
samples cut to the number of words of the prompt's target, so that an arm gains nothing by writing more.
Functions take and return data frames; no file is read or written here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polychromic.embedding import Encoder, text_key
from polychromic.errors import StudyError
from polychromic.metrics import answers, diversity, quality
from polychromic.metrics.passk import distinct_classes
from polychromic.metrics.tokens import bleu_tokens
from polychromic.records import Record

GROUP = ["seed", "prompt_id", "temperature"]
SAMPLE = [*GROUP, "sample"]


def stack_samples(samples: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """The samples of an arm's training seeds in one frame, sorted by seed, prompt, temperature, sample.

    samples: per training seed the frame of its `samples.parquet`. The column `seed` of the result is the
    training seed; that of the single draw becomes `draw_seed`.

    Raises:
        StudyError: if a sample is there twice.
    """
    frames = [
        frame.rename(columns={"seed": "draw_seed"}).assign(seed=seed) for seed, frame in samples.items()
    ]
    stacked = pd.concat(frames, ignore_index=True)
    _refuse_duplicates(stacked, "samples")
    return stacked.sort_values(SAMPLE, ignore_index=True)


def with_passes(samples: pd.DataFrame, passes: pd.DataFrame) -> pd.DataFrame:
    """The stacked samples of an arm with the verdicts of its `passes.parquet`, row by row.

    Raises:
        StudyError: if the two do not hold the same samples, each once.
    """
    _refuse_duplicates(passes, "passes")
    joined = samples.merge(passes, on=SAMPLE, how="outer", indicator="found_in")
    for side, missing in (("left_only", "passes"), ("right_only", "samples")):
        alone = joined[joined["found_in"] == side]
        if len(alone):
            raise StudyError(f"{len(alone)} samples are not in {missing}, the first: {_name(alone.iloc[0])}")
    return joined.drop(columns="found_in").sort_values(SAMPLE, ignore_index=True)


def diversity_table(
    joined: pd.DataFrame,
    records: Sequence[Record],
    encode: Callable[[Sequence[str]], np.ndarray] | None,
    *,
    semantic_at: Collection[float] | None = None,
) -> pd.DataFrame:
    """Diversity of every prompt's samples, and their mean `length` in words.

    joined: from `with_passes`; records: the prompts; encode: texts to unit vectors, e.g.
    `Embeddings(...).encode`, or None to leave the semantic columns NaN. semantic_at: the temperatures at
    which the semantic columns are computed, all by default. `classes` counts the different labels of the
    verifier, NaN if the verifier gives none.
    """
    targets = {record.id: len(bleu_tokens(record.target)) for record in _records_of(joined, records).values()}
    labelled = bool(joined["label"].notna().any())
    rows, wanted = [], []
    # Prompt by prompt: its samples repeat each other over seeds and temperatures, and n-grams are cached.
    for keys, group in joined.groupby(["prompt_id", "seed", "temperature"], sort=True):
        prompt_id, seed, temperature = keys
        texts, passed = group["text"].tolist(), group["passed"].tolist()
        words = [bleu_tokens(text) for text in texts]
        passing = [row for row, good in zip(words, passed, strict=True) if good]
        cut = [row[: max(targets[prompt_id], 1)] for row in words]
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


def quality_table(
    samples: pd.DataFrame,
    records: Sequence[Record],
    *,
    bertscores: pd.DataFrame | None = None,
    answer: Callable[[str], str] | None = None,
    nll: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Mean quality of every prompt's samples against its `references_of`.

    samples: from `stack_samples`. bertscores: from `bertscore_table`; the column is NaN at temperatures
    without them. answer: text to answer, for questions: adds exact match and token F1. nll: columns seed,
    prompt_id, nll, tokens (from `quality.reference_nll`): adds the perplexity of the target, the same at
    every temperature.
    """
    references = references_of(samples, records)
    scores = samples[["prompt_id", "text"]].drop_duplicates()  # samples repeat each other: each text once
    pairs = [(text, references[key]) for key, text in zip(scores["prompt_id"], scores["text"], strict=True)]
    scores["rouge_1"] = [quality.rouge_n(text, accepted, 1) for text, accepted in pairs]
    scores["rouge_2"] = [quality.rouge_n(text, accepted, 2) for text, accepted in pairs]
    scores["rouge_l"] = [quality.rouge_l(text, accepted) for text, accepted in pairs]
    if answer is not None:
        found = [(answer(text), accepted) for text, accepted in pairs]
        scores["exact_match"] = [answers.exact_match(*pair) for pair in found]
        scores["token_f1"] = [answers.token_f1(*pair) for pair in found]
    scored = samples.merge(scores, on=["prompt_id", "text"], how="left", validate="many_to_one")
    if bertscores is None:
        scored["bertscore"] = math.nan
    else:
        scored["key"] = [text_key(text) for text in scored["text"]]
        scored = scored.merge(bertscores, on=["prompt_id", "temperature", "key"], how="left")
    table = scored.groupby(GROUP, sort=True)[[*scores.columns[2:], "bertscore"]].mean().reset_index()
    if nll is not None:
        per_prompt = nll.assign(perplexity=np.exp(nll["nll"] / nll["tokens"]))
        table = table.merge(
            per_prompt[["seed", "prompt_id", "perplexity"]], on=["seed", "prompt_id"], how="left"
        )
    return table


def bertscore_table(
    samples: pd.DataFrame,
    records: Sequence[Record],
    temperatures: Collection[float],
    model: str | Encoder,
) -> pd.DataFrame:
    """BERTScore of every different (prompt, temperature, text) at the given temperatures.

    Columns prompt_id, temperature, key (`embedding.text_key`) and bertscore. This needs a model and the
    tables do not, so it is made beside the embeddings: called before `save_embeddings` with the same
    encoder as model, it leaves the vectors of these texts there.
    """
    references = references_of(samples, records)
    columns = ["prompt_id", "temperature", "text"]
    wanted = samples.loc[samples["temperature"].isin(list(temperatures)), columns]
    wanted = wanted.drop_duplicates().sort_values(columns, ignore_index=True)
    accepted = [references[key] for key in wanted["prompt_id"]]
    wanted["bertscore"] = quality.bert_score(wanted["text"].tolist(), accepted, model)
    wanted["key"] = [text_key(text) for text in wanted["text"]]
    return wanted[["prompt_id", "temperature", "key", "bertscore"]]


def references_of(samples: pd.DataFrame, records: Sequence[Record]) -> dict[str, list[str]]:
    """{prompt id: accepted texts}: `references`, or the target where there are none; without blank ones."""
    return {
        key: [text for text in record.references or (record.target,) if text.strip()]
        for key, record in _records_of(samples, records).items()
    }


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
            sorted(t for t, good in zip(texts, passed, strict=True) if good or not suffix)
            for texts, passed in groups
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
    return float(
        len({label for label, good in zip(labels, passed, strict=True) if good and label is not None})
    )


def _records_of(joined: pd.DataFrame, records: Sequence[Record]) -> dict[str, Record]:
    by_id = {record.id: record for record in records}
    unknown = sorted(set(joined["prompt_id"]) - by_id.keys())
    if unknown:
        raise StudyError(
            f"samples of {len(unknown)} prompts that are in no record, the first: {unknown[0]!r}"
        )
    return by_id


def _refuse_duplicates(frame: pd.DataFrame, what: str) -> None:
    twice = frame.duplicated(SAMPLE)
    if twice.any():
        raise StudyError(
            f"{what}: twice the same, {_name(frame[twice].iloc[0])}. Delete the file and re-run."
        )


def _name(row: pd.Series) -> str:
    return ", ".join(f"{key} {row[key]}" for key in SAMPLE)
