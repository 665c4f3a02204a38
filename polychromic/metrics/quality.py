"""Quality of a sample against its references: ROUGE.

A prompt without references has no quality: NaN, never 0. An empty sample has one, and it is 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

from rapidfuzz.distance import LCSseq

from polychromic.metric_registry import METRICS
from polychromic.metrics.kinds import QualityMetric
from polychromic.metrics.words import rouge_tokens


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


class _Rouge(QualityMetric):
    signature = "f1|refs:best|case:lc|stem:no|tok:rouge-score+unspaced|lcs:rapidfuzz-{rapidfuzz}"


@METRICS.register("rouge_1")
class Rouge1(_Rouge):
    """F1 of the words shared with a reference, no stemming."""

    label = "ROUGE-1"
    value = staticmethod(partial(rouge_n, n=1))


@METRICS.register("rouge_2")
class Rouge2(_Rouge):
    """F1 of the bigrams shared with a reference, no stemming; NaN where no reference has two words."""

    label = "ROUGE-2"
    value = staticmethod(partial(rouge_n, n=2))
    undefined = "ROUGE-2 is undefined where no reference has two words"


@METRICS.register("rouge_l")
class RougeL(_Rouge):
    """F1 of the longest common subsequence of words with a reference."""

    label = "ROUGE-L"
    value = staticmethod(rouge_l)
