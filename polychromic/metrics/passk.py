"""pass@k, and the expected number of distinct classes among k samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from polychromic.errors import StudyError
from polychromic.metric_registry import METRICS, Metric


def pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: int) -> float | np.ndarray:
    """The probability that at least one of k samples passes, estimated without bias from n >= k samples.

    1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, section 2.1), as a product of k factors,
    which neither overflows nor loses digits. Scalars give a float, arrays are broadcast. NaN where n < k:
    1.0 or the pass rate would be a guess.

    Raises:
        StudyError: unless 0 <= num_correct <= num_samples, all whole numbers, and k >= 1.
    """
    n, c = np.broadcast_arrays(np.asarray(num_samples, dtype=float), np.asarray(num_correct, dtype=float))
    if k < 1 or k != int(k):
        raise StudyError(f"pass@k needs a whole k of at least 1, not {k!r}")
    bad = ~((c >= 0) & (c <= n) & (n == np.floor(n)) & (c == np.floor(c)))
    if bad.any():
        where = tuple(np.argwhere(bad)[0])
        raise StudyError(f"pass@k needs whole numbers 0 <= correct <= samples, not {c[where]} of {n[where]}")
    none_pass = np.ones(n.shape)
    for drawn in range(int(k)):
        none_pass *= np.maximum(n - c - drawn, 0) / np.maximum(n - drawn, 1)
    result = np.where(n >= k, 1 - none_pass, np.nan)
    return float(result) if result.ndim == 0 else result


def distinct_classes(labels: Iterable[Hashable | None], k: int | None = None) -> float:
    """The number of different labels expected among k of the samples (all of them by default); range [0, k].

    A class with m of the n samples is among k with probability pass@k(n, m, k); the classes' sum is the
    unbiased estimate (rarefaction: Hurlbert 1971, Ecology 52:577). Samples labelled None count as samples
    of no class: a program that does not run shows no behaviour. NaN where n < k, or without samples.
    """
    labels = list(labels)
    n, counts = len(labels), Counter(label for label in labels if label is not None)
    if n == 0 or (k is not None and n < k):
        return float("nan")
    return float(len(counts) if k is None else sum(pass_at_k(n, count, k) for count in counts.values()))


@METRICS.register("pass_at")
class PassAt(Metric):
    """Probability that at least one of k samples passes, estimated without bias from n samples."""

    table = "passes"
    label = "Pass@{k}"
    signature = "estimator:unbiased"
