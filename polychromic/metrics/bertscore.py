"""BERTScore. Unlike most metrics it needs a model, so it is computed together with the embeddings."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from polychromic.embedding import MINILM, Encoder, text_key, well_formed_unicode
from polychromic.errors import StudyError
from polychromic.metric_registry import METRICS
from polychromic.metrics.kinds import QualityMetric
from polychromic.metrics.sample_tables import references_of
from polychromic.metrics.signatures import signature
from polychromic.metrics.signed_tables import sign
from polychromic.records import Record


@METRICS.register("bertscore")
class BertScore(QualityMetric):
    """F1 of the mean best cosines of tokens, both ways; no idf, not rescaled; at the primary temperature."""

    label = "BERTScore"
    signature = "f1|refs:best|idf:no|rescaled:no|model:{encoder}|version:bert-score-{bert-score}"
    bounds = (-1.0, 1.0)
    needs = frozenset({"bertscore"})


def bertscore_table(
    samples: pd.DataFrame,
    records: Sequence[Record],
    temperatures: Collection[float],
    model: str | Encoder,
) -> pd.DataFrame:
    """BERTScore of every different (prompt, temperature, text) at the given temperatures.

    Columns prompt_id, temperature, key (`embedding.text_key`) and bertscore. Called before `save_embeddings` with
    the same encoder as model, it leaves the vectors of these texts in the encoder.
    """
    references = references_of(samples, records)
    columns = ["prompt_id", "temperature", "text"]
    wanted = samples.loc[samples["temperature"].isin(list(temperatures)), columns]
    wanted = wanted.drop_duplicates().sort_values(columns, ignore_index=True)
    accepted = [references[key] for key in wanted["prompt_id"]]
    wanted["bertscore"] = bert_score(wanted["text"].tolist(), accepted, model)
    wanted["key"] = [text_key(text) for text in wanted["text"]]
    name = model.model if isinstance(model, Encoder) else model
    table = wanted[["prompt_id", "temperature", "key", "bertscore"]]
    return sign(table, {"bertscore": signature("bertscore", model=name)})


def bert_score(
    predictions: Sequence[str], references: Sequence[Sequence[str]], model: str | Encoder = MINILM
) -> list[float]:
    """BERTScore F1 of each prediction, the best over its references, in [-1, 1], for most texts above 0.3.

    Zhang et al. 2020 (arXiv 1904.09675, section 3): P is the mean over the prediction's tokens of the
    largest cosine to a token of the reference, R the same with the two exchanged, F1 = 2 P R / (P + R); no idf
    weights, not rescaled. NaN without references or where all are blank; 0 for a blank prediction, or one
    without a known token.

    model: "minilm", or an `Encoder` of it, whose pass over the texts gives their sentence vectors too; its
    last layer is used, and the values are those of the package bert-score (pair by pair), up to 256 tokens: to
    1e-5 in float32, to about 1e-3 in bfloat16, which is taken where the processor multiplies in it. Or the name
    of a model that the package has tuned a layer for, such as "roberta-large", which it then runs. Values of
    different models do not compare: the signature names the model.

    Raises:
        StudyError: if the two are not of one length, the model is not known, or it gives NaN.
    """
    if len(predictions) != len(references):
        raise StudyError(f"{len(predictions)} predictions but {len(references)} sets of references")
    groups = [[other for other in group if other.strip()] for group in references]
    # Predictions of the same references side by side: a chunk holds a text with all that it is compared with.
    in_order = sorted(zip(groups, predictions, strict=True))
    scores = {(other, text): 0.0 for group, text in in_order for other in group}
    pairs = [(other, text) for other, text in scores if text.strip()]
    model = Encoder() if model == MINILM else model
    for start in range(0, len(pairs), 256):  # token states are large: a few hundred texts at a time
        chunk = pairs[start : start + 256]
        values = _minilm_f1(chunk, model) if isinstance(model, Encoder) else _package_f1(chunk, model)
        for pair, value in zip(chunk, values, strict=True):
            if not math.isfinite(value):
                raise StudyError(f"BERTScore gives {value} for {pair[1][:80]!r}: use another model")
            scores[pair] = value
    return [
        max((scores[other, text] for other in group), default=math.nan)
        for text, group in zip(predictions, groups, strict=True)
    ]


def _minilm_f1(pairs: list[tuple[str, str]], encoder: Encoder) -> list[float]:
    texts = sorted({text for pair in pairs for text in pair})
    states = dict(zip(texts, map(_unit, encoder.encode_tokens(texts)), strict=True))
    values = []
    for other, text in pairs:
        if min(len(states[text]), len(states[other])) < 3:  # no token that the model knows: as blank
            values.append(0.0)
            continue
        cosines = states[text] @ states[other].T
        # As in the package, [CLS] and [SEP] (first and last) may be matched but are not averaged over.
        precision, recall = cosines.max(axis=1)[1:-1].mean(), cosines.max(axis=0)[1:-1].mean()
        values.append(float(2 * precision * recall / (precision + recall)))
    return values


def _package_f1(pairs: list[tuple[str, str]], model: str) -> list[float]:
    others, texts = ([well_formed_unicode(text) for text in side] for side in zip(*pairs, strict=True))
    return _package_scorer(model).score(texts, others)[2].tolist()


@lru_cache(maxsize=1)
def _package_scorer(model: str) -> Any:
    from bert_score import BERTScorer
    from bert_score.utils import model2layers

    if model not in model2layers:
        raise StudyError(f"bert-score has no layer for {model!r}; use 'minilm' or a name from its model2layers")
    return BERTScorer(model_type=model)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
