"""Quality of a sample against its references: ROUGE and BERTScore; and the perplexity of the references.

A prompt without references has no quality: NaN, never 0. An empty sample has one, and it is 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from rapidfuzz.distance import LCSseq

from polychromic.embedding import MINILM, Encoder, well_formed_unicode
from polychromic.errors import StudyError
from polychromic.metrics.tokens import rouge_tokens


def rouge_n(prediction: str, references: str | Sequence[str], n: int) -> float:
    """F1 of the n-grams that prediction and reference share, the best over the references, in [0, 1].

    Lin 2004 (ROUGE, W04-1013, section 2), as the package rouge-score computes it, without stemming; NaN
    where no reference has n words (rouge-score says 0), for then even the perfect answer has no n-gram to
    share.
    """
    return _best(_rouge_n, prediction, references, n)


def rouge_l(prediction: str, references: str | Sequence[str]) -> float:
    """F1 of the longest common subsequence of words, the best over the references, in [0, 1].

    Lin 2004 (section 3.1), as the package rouge-score computes it, without stemming; NaN where no reference
    has a word.
    """
    return _best(_rouge_l, prediction, references, 1)


def _best(score: Any, prediction: str, references: str | Sequence[str], n: int) -> float:
    references = [references] if isinstance(references, str) else references
    usable = [words for words in map(rouge_tokens, references) if len(words) >= n]
    words = rouge_tokens(prediction)
    return max((score(words, reference, n) for reference in usable), default=math.nan)


def _rouge_n(prediction: tuple[str, ...], reference: tuple[str, ...], n: int) -> float:
    shared = sum((_ngrams(prediction, n) & _ngrams(reference, n)).values())
    return _f1(shared, max(len(prediction) - n + 1, 0), len(reference) - n + 1)


def _rouge_l(prediction: tuple[str, ...], reference: tuple[str, ...], _: int) -> float:
    return _f1(LCSseq.similarity(prediction, reference), len(prediction), len(reference))


def _f1(shared: int, predicted: int, wanted: int) -> float:
    return 2 * shared / (predicted + wanted)


@lru_cache(maxsize=4096)
def _ngrams(words: tuple[str, ...], n: int) -> Counter[tuple[str, ...]]:
    return Counter(words[i : i + n] for i in range(len(words) - n + 1))


def bert_score(
    predictions: Sequence[str], references: Sequence[Sequence[str]], model: str | Encoder = MINILM
) -> list[float]:
    """BERTScore F1 of each prediction, the best over its references, in [-1, 1], for most texts above 0.3.

    Zhang et al. 2020 (arXiv 1904.09675, section 3): P is the mean over the prediction's tokens of the
    largest cosine to a token of the reference, R the same the other way round, F1 = 2 P R / (P + R); no idf
    weights, not rescaled. NaN without references or where all are blank; 0 for a blank prediction.

    model: "minilm", or an `Encoder` of it, whose pass over the texts gives their sentence vectors too; its
    last layer is used, and the values are those of the package bert-score to 1e-5 (pair by pair), up to 256
    tokens. Or the name of a model that the package has tuned a layer for, such as "roberta-large", which it
    then runs. Values of different models do not compare: the signature names the model.

    Raises:
        StudyError: if the two are not of one length, the model is not known, or it gives NaN.
    """
    if len(predictions) != len(references):
        raise StudyError(f"{len(predictions)} predictions but {len(references)} sets of references")
    groups = [[other for other in group if other.strip()] for group in references]
    pairs = sorted(
        {(other, text) for text, group in zip(predictions, groups, strict=True) for other in group}
    )
    scores = dict.fromkeys(pairs, 0.0)
    pairs = [(other, text) for other, text in pairs if text.strip()]
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
        raise StudyError(
            f"bert-score has no layer for {model!r}; use 'minilm' or a name from its model2layers"
        )
    return BERTScorer(model_type=model)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def perplexity(nll: float, tokens: int) -> float:
    """exp(nll / tokens): the model's mean surprise per reference token, in [1, inf), lower is better.

    nll: summed negative log-likelihood in nats. Pool a prompt's (or a part's) nll and tokens before, as a
    mean of perplexities is dominated by its worst. NaN without tokens.
    """
    if tokens == 0:
        return math.nan
    if not math.isfinite(nll):
        raise StudyError(f"perplexity of an nll of {nll}: the model gave NaN or infinity")
    return math.exp(nll / tokens)


def reference_nll(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int = 16
) -> list[tuple[float, int]]:
    """(summed nll in nats, number of tokens) of each target given its prompt, both as token ids.

    model: a causal language model of transformers, in evaluation mode; targets end with the end token if it
    is to count. The prompt's own tokens are not counted.

    Raises:
        StudyError: for an empty prompt, or NaN from the model.
    """
    import torch

    device = next(model.parameters()).device
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) + len(rows[i][1]), i))
    for start in range(0, len(rows), batch_size):
        batch = by_length[start : start + batch_size]
        width = max(len(rows[i][0]) + len(rows[i][1]) for i in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long, device=device)
        real = torch.zeros(len(batch), width, dtype=torch.long, device=device)
        for row, i in enumerate(batch):  # padding stands on the right, where no earlier token sees it
            prompt, target = rows[i]
            if not len(prompt):
                raise StudyError(f"row {i}: perplexity of a target needs a prompt of at least one token")
            ids[row, : len(prompt) + len(target)] = torch.tensor([*prompt, *target], device=device)
            real[row, : len(prompt) + len(target)] = 1
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=real).logits[:, :-1].float()
            nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        for row, i in enumerate(batch):
            prompt, target = rows[i]
            value = nll[row, len(prompt) - 1 : len(prompt) + len(target) - 1].double().sum().item()
            if not math.isfinite(value):
                raise StudyError(f"row {i}: the model gives an nll of {value} for its reference")
            results[i] = (value, len(target))
    return results
