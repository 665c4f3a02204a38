"""Diversity of the samples of one prompt. The order of the samples never matters; NaN means undefined.

Surface metrics take texts and split them into words by `words.bleu_tokens`; semantic ones take unit vectors
(see `polychromic.embedding`) with any leading dimensions.
"""

from __future__ import annotations

import gzip
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from polychromic.metrics.words import bleu_tokens

Words = tuple[str, ...]
EAD_VOCABULARY = 30_522
"""Vocabulary size V in EAD; any fixed V works, this is that of BERT's uncased tokenizer."""


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU-4 of each text against all its siblings, in [0, 1]; lower is more diverse.

    Zhu et al. 2018 (Texygen, arXiv 1802.01886), with sacreBLEU's sentence BLEU: 13a tokens, case kept,
    exponential smoothing, effective order. Texts equal to a sibling score 1, empty ones too; an empty text
    without an empty sibling scores 0. NaN for fewer than two texts.
    """
    return self_bleu_of_words(tuple(sorted(bleu_tokens(text) for text in texts)))


@lru_cache(maxsize=64)  # a prompt's set often equals its passing or its cut one
def self_bleu_of_words(rows: tuple[Words, ...]) -> float:
    """`self_bleu` of texts that are already split into words, in sorted order.

    Equal, digit for digit, to calling sacreBLEU with the siblings as references, in time linear in the
    number of texts instead of quadratic: the clipping count of an n-gram for text i is its largest count
    among the other texts, so the largest and second largest count over all texts are enough for every i.
    """
    if len(rows) < 2:
        return math.nan
    times = Counter(rows)
    if len(times) == 1:
        return 1.0
    unique = sorted(times)
    largest: dict[Words, tuple[int, int, int]] = {}  # n-gram: (largest count, its text, second largest)
    for index, words in enumerate(unique):
        for gram, count in _ngrams(words).items():
            first, owner, second = largest.get(gram, (0, -1, 0))
            if count > first:
                largest[gram] = (count, index, first)
            elif count > second:
                largest[gram] = (first, owner, count)
    total = 0.0
    for index, words in enumerate(unique):
        if times[words] > 1:  # a sibling is the same text
            total += times[words]
            continue
        matched, counted = [0] * 4, [0] * 4
        for gram, count in _ngrams(words).items():
            first, owner, second = largest[gram]
            matched[len(gram) - 1] += min(count, second if owner == index else first)
            counted[len(gram) - 1] += count
        lengths = (len(other) for other in unique if other is not words)
        closest = min(lengths, key=lambda length: (abs(length - len(words)), length))
        bleu = BLEU.compute_bleu(matched, counted, len(words), closest, smooth_method="exp", effective_order=True)
        total += bleu.score / 100
    return min(total / len(rows), 1.0)


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of the texts together, in (0, 1]; higher is more diverse.

    Li et al. 2016 (arXiv 1510.03055). It falls with length: compare at equal length, or use `ead`. NaN if no
    text has n words.
    """
    return distinct_n_of_words([bleu_tokens(text) for text in texts], n)


def distinct_n_of_words(rows: Sequence[Words], n: int) -> float:
    """`distinct_n` of texts that are already split into words."""
    total = sum(max(len(words) - n + 1, 0) for words in rows)
    different = {words[i : i + n] for words in set(rows) for i in range(len(words) - n + 1)}
    return len(different) / total if total else math.nan


def ead(texts: Sequence[str]) -> float:
    """Expectation-adjusted distinct-1: different words over how many C words drawn evenly from V would show.

    N / (V (1 - ((V - 1) / V)^C)), Liu et al. 2022 (arXiv 2202.13587); C words in all, N
    different ones, V = EAD_VOCABULARY. In (0, 1] for C well below V; higher is more diverse; corrects
    distinct-1's fall with length in part only, as real words are not drawn evenly. NaN without words.
    """
    return ead_of_words([bleu_tokens(text) for text in texts])


def ead_of_words(rows: Sequence[Words]) -> float:
    """`ead` of texts that are already split into words."""
    words = [word for row in rows for word in row]
    expected = EAD_VOCABULARY * -math.expm1(len(words) * math.log1p(-1 / EAD_VOCABULARY))
    return len(set(words)) / expected if words else math.nan


def compression_ratio(texts: Sequence[str]) -> float:
    """Bytes of the texts, sorted and joined by newlines, over their gzip bytes; lower is more diverse,
    above 0.

    Shaib et al. 2024 (arXiv 2403.00553). gzip's frame of about 20 bytes takes it below 1 for
    short sets. NaN if the texts hold nothing.
    """
    if not any(texts):
        return math.nan
    joined = "\n".join(sorted(texts)).encode("utf-8", "surrogatepass")
    return len(joined) / len(gzip.compress(joined, compresslevel=9, mtime=0))


def semantic_diversity(vectors: np.ndarray) -> float | np.ndarray:
    """Mean pairwise cosine distance 1 - cos, in [0, 2], of unit vectors [..., samples, dimension]; higher
    is more diverse.

    2 / (n (n - 1)) sum over i < j of 1 - x_i . x_j = 1 - (|sum x|^2 - n) / (n (n - 1)). NaN for fewer than
    two.
    """
    vectors = np.asarray(vectors, dtype=float)
    n = vectors.shape[-2]
    if n < 2:
        result = np.full(vectors.shape[:-2], np.nan)
    else:
        result = 1 - ((vectors.sum(axis=-2) ** 2).sum(axis=-1) - n) / (n * (n - 1))
        result = np.clip(result, 0, 2)  # rounding
    return float(result) if result.ndim == 0 else result


def vendi_score(kernel: np.ndarray) -> float | np.ndarray:
    """The effective number of different samples, in [1, n]; higher is more diverse.

    exp(-sum of l log l) over the eigenvalues l of K / n, K a similarity matrix [..., n, n] with ones on its
    diagonal: Friedman and Dieng 2023 (arXiv 2210.02410, definition 3.1). For unit vectors X use K = X X^T.
    NaN for n = 0.
    """
    kernel = np.asarray(kernel, dtype=float)
    n = kernel.shape[-1]
    if n == 0:
        result = np.full(kernel.shape[:-2], np.nan)
    else:
        eigenvalues = np.clip(np.linalg.eigvalsh(kernel / n), 1e-300, None)  # 0 log 0 = 0; rounding below 0
        result = np.clip(np.exp(-(eigenvalues * np.log(eigenvalues)).sum(axis=-1)), 1, n)
    return float(result) if result.ndim == 0 else result


@lru_cache(maxsize=1024)
def _ngrams(words: Words) -> Counter[Words]:
    """Counts of the n-grams of orders 1 to 4."""
    return Counter(words[i : i + n] for n in range(1, 5) for i in range(len(words) - n + 1))
