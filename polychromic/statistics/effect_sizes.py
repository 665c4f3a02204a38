"""Effect sizes and ranks, reported because readers expect them. They decide nothing: `inference` does."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import stats

from polychromic.errors import StudyError
from polychromic.statistics.inference import Array, Comparison, check, flat, two_way_t


class MannWhitney(NamedTuple):
    """U of the first sample and its two-sided p."""

    u: float
    p: float


def mann_whitney_u(x: Array, y: Array, *, method: str = "auto", use_continuity: bool = True) -> MannWhitney:
    """Mann-Whitney U between two samples; any shape, e.g. the [prompts, seeds] values of two arms.

    It takes values as independent and reads no pairing, so it is reported next to the verdict and never
    decides it; that it does not reject is not evidence of equal quality. Ties share ranks; if all values tie, p is
    1. `method` and `use_continuity` as in `scipy.stats.mannwhitneyu`.
    """
    x, y = flat(x, "x"), flat(y, "y")
    both = np.concatenate([x, y])
    if (both == both[0]).all():
        return MannWhitney(x.size * y.size / 2, 1.0)
    u, p = stats.mannwhitneyu(x, y, method=method, use_continuity=use_continuity)
    return MannWhitney(float(u), float(p))


def cohens_d(x: Array, y: Array) -> float:
    """Mean difference over the pooled standard deviation (Cohen 1988, p. 67). Any shape; positive if x is
    larger.

    0 where x and y are one same constant, infinite where they are two constants.
    """
    x, y = flat(x, "x"), flat(y, "y")
    if x.size + y.size < 3:
        raise StudyError("cohens_d: needs at least three values in all.")
    squares = ((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()
    return _ratio(x.mean() - y.mean(), np.sqrt(squares / (x.size + y.size - 2)))


def cohens_d_paired(x: Array, y: Array) -> float:
    """Mean of the cell-by-cell differences over their standard deviation (Cohen's d_z, 1988, p. 48).

    Not comparable with `cohens_d`: it depends on how strongly the pairs correlate.
    """
    if np.shape(x) != np.shape(y):
        raise StudyError(f"cohens_d_paired: pairs need equal shapes, not {np.shape(x)} and {np.shape(y)}.")
    gaps = flat(x, "x") - flat(y, "y")
    if gaps.size < 2:
        raise StudyError("cohens_d_paired: needs at least two pairs.")
    return _ratio(gaps.mean(), gaps.std(ddof=1))


def pooled_effect(treatment: Array, control: Array, *, level: float = 0.95) -> Comparison:
    """`cohens_d` of two [prompts, seeds] arrays, with an interval in which prompts and seeds are random.

    The textbook interval takes all prompt x seed values as independent and is too narrow; here d is
    linearised (delta method: dd = dm/s - d ds2/(2 s2)) and `two_way_t` gives the error of the linear part.
    Returns a Comparison whose `difference` is d; its interval is NaN where d is infinite.
    """
    x, y = check(treatment, "treatment"), check(control, "control")
    d = cohens_d(x, y)
    spread = np.sqrt((x.size * x.var() + y.size * y.var()) / (x.size + y.size - 2))
    if not np.isfinite(d) or spread == 0:
        return _around(d, two_way_t(x, y, level=level))
    share, pull = x.size / (x.size + y.size), d / (2 * spread**2)
    linear = two_way_t(
        x / spread - share * pull * (x - x.mean()) ** 2,
        y / spread + (1 - share) * pull * (y - y.mean()) ** 2,
        level=level,
    )
    return _around(d, linear)


def paired_effect(treatment: Array, control: Array, *, level: float = 0.95) -> Comparison:
    """`cohens_d_paired` of two [prompts, seeds] arrays with its interval, as in `pooled_effect`.

    Pairs are cells where both arms have the same number of seeds, else prompts (averaged over seeds).
    """
    x, y = check(treatment, "treatment"), check(control, "control")
    if x.shape != y.shape:
        x, y = x.mean(1, keepdims=True), y.mean(1, keepdims=True)
    d, gaps = cohens_d_paired(x, y), x - y
    spread = gaps.std(ddof=1)
    if not np.isfinite(d) or spread == 0:
        return _around(d, two_way_t(x, y, level=level))
    return _around(d, two_way_t(gaps / spread - d / (2 * spread**2) * (gaps - gaps.mean()) ** 2, level=level))


def _around(d: float, linear: Comparison) -> Comparison:
    """The interval and test of the linear part, moved to d itself."""
    half = (linear.high - linear.low) / 2 if np.isfinite(d) else np.nan
    return replace(linear, difference=d, low=d - half, high=d + half)


def _ratio(difference: float, spread: float) -> float:
    if spread > 0:
        return float(difference / spread)
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
