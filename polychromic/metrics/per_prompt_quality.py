"""The table `quality.parquet` of an arm: a row per (seed, prompt_id, temperature)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from polychromic.embedding import text_key
from polychromic.metrics import quality
from polychromic.metrics.sample_tables import GROUP, references_of
from polychromic.metrics.squad import exact_match, token_f1
from polychromic.records import Record


def quality_table(
    samples: pd.DataFrame,
    records: Sequence[Record],
    *,
    bertscores: pd.DataFrame | None = None,
    answers: bool = False,
    nll: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Mean quality of every prompt's samples against its `references_of`.

    samples: from `stack_samples`. bertscores: from `bertscore_table`; the column is NaN at temperatures
    without them. answers: also exact match and token F1. nll: columns seed, prompt_id, nll, tokens (from
    `likelihood.reference_nll`): adds the perplexity of the target, the same at every temperature.
    """
    references = references_of(samples, records)
    scores = samples[["prompt_id", "text"]].drop_duplicates()  # samples repeat each other: each text once
    pairs = [(text, references[key]) for key, text in zip(scores["prompt_id"], scores["text"], strict=True)]
    scores["rouge_1"] = [quality.rouge_n(text, accepted, 1) for text, accepted in pairs]
    scores["rouge_2"] = [quality.rouge_n(text, accepted, 2) for text, accepted in pairs]
    scores["rouge_l"] = [quality.rouge_l(text, accepted) for text, accepted in pairs]
    if answers:
        scores["exact_match"] = [exact_match(text, accepted) for text, accepted in pairs]
        scores["token_f1"] = [token_f1(text, accepted) for text, accepted in pairs]
    scored = samples.merge(scores, on=["prompt_id", "text"], how="left", validate="many_to_one")
    if bertscores is None:
        scored["bertscore"] = math.nan
    else:
        scored["key"] = [text_key(text) for text in scored["text"]]
        scored = scored.merge(bertscores, on=["prompt_id", "temperature", "key"], how="left")
    table = scored.groupby(GROUP, sort=True)[[*scores.columns[2:], "bertscore"]].mean().reset_index()
    if nll is not None:
        per_prompt = nll.assign(perplexity=np.exp(nll["nll"] / nll["tokens"]))
        table = table.merge(per_prompt[["seed", "prompt_id", "perplexity"]], on=["seed", "prompt_id"], how="left")
    return table
