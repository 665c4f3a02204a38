"""The table `quality.parquet` of an arm: a row per (seed, prompt_id, temperature), a column per metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from polychromic.embedding import text_key
from polychromic.metric_registry import metrics_of
from polychromic.metrics.sample_tables import GROUP, references_of
from polychromic.metrics.signatures import signature
from polychromic.metrics.signed_tables import sign, signatures_in
from polychromic.records import Record


def quality_table(
    samples: pd.DataFrame,
    records: Sequence[Record],
    *,
    bertscores: pd.DataFrame | None = None,
    answers: bool = False,
    nll: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every quality metric, the mean over a prompt's samples, each against its `references_of`.

    Args:
        samples: from `stack_samples`.
        bertscores: from `bertscore_table`; the column is NaN at temperatures without them.
        answers: whether the verifier is of short answers; else the metrics that need it are left out.
        nll: columns seed, prompt_id, nll, tokens (from `likelihood.reference_nll`): adds the perplexity of the
            target, the same at every temperature.

    Returns:
        The table, with the signatures of its columns (`signatures.signatures_in`).
    """
    references = references_of(samples, records)
    has = {"answers"} if answers else set()
    computed = {name: metric for name, metric in metrics_of("quality").items() if metric.value and metric.needs <= has}
    scores = samples[["prompt_id", "text"]].drop_duplicates()  # samples repeat each other: each text once
    pairs = [(text, references[key]) for key, text in zip(scores["prompt_id"], scores["text"], strict=True)]
    for name, metric in computed.items():
        scores[name] = [metric.value(text, accepted) for text, accepted in pairs]
    scored = samples.merge(scores, on=["prompt_id", "text"], how="left", validate="many_to_one")
    if bertscores is None:
        scored["bertscore"] = math.nan
    else:
        scored["key"] = [text_key(text) for text in scored["text"]]
        scored = scored.merge(bertscores, on=["prompt_id", "temperature", "key"], how="left")
    table = scored.groupby(GROUP, sort=True)[[*computed, "bertscore"]].mean().reset_index()
    if nll is not None:
        per_prompt = nll.assign(perplexity=np.exp(nll["nll"] / nll["tokens"]))
        table = table.merge(per_prompt[["seed", "prompt_id", "perplexity"]], on=["seed", "prompt_id"], how="left")
    made_before = signatures_in(bertscores) if bertscores is not None else {}
    made_here = {column: signature(column) for column in table.columns if column not in (*GROUP, "bertscore")}
    return sign(table, made_here | made_before)
