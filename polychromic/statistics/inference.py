"""Which difference is real: inference over prompts and training seeds, effect sizes, multiplicity.

Every array is shaped [prompts, seeds]: one value (Pass@k of a prompt's samples, a mean ROUGE-L, ...) per test
prompt and training seed. Both are samples of a larger population, crossed with each other, so both count in
the error. With V_p the variance of the estimate from prompts, V_s from seeds and V_r from their residual
(which the other two each contain once), the two-way variance is

    V = max(V_p + V_s - V_r, V_p, V_s)

(Cameron, Gelbach & Miller 2011, on a mean; the floor is for small samples) and the interval is
estimate +- t_df * sqrt(V), with df after Satterthwaite (1946). `two_way_t` computes it in closed form for
differences of means and decides the verdict; `crossed_bootstrap` computes the same by resampling, for
statistics that have no closed form (the frontier). docs/statistics.md says how that choice was made, by
simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import stats

from polychromic.errors import StudyError

Array = np.ndarray
Statistic = Callable[..., Array]


@dataclass(frozen=True)
class Comparison:
    """A difference (or, without a control, a mean) with its interval and two-sided p-value against zero.

    over: "prompts and seeds" or, where every arm has a single seed, "prompts only": such an interval speaks
    of these adapters, not of the method. se: standard error; df: its degrees of freedom (inf where the
    variance is 0). Fields are floats, or arrays where the input had leading axes.
    """

    difference: float | Array
    low: float | Array
    high: float | Array
    p: float | Array
    se: float | Array
    df: float | Array
    over: str
    n_prompts: int
    n_seeds: int


def two_way_t(
    treatment: Array, control: Array | None = None, *, level: float = 0.95, paired_seeds: bool = False
) -> Comparison:
    """Mean difference between two arms, prompts and seeds both random; closed form.

    Args:
        treatment: [..., prompts, seeds]; leading axes are independent comparisons.
        control: the same prompts in the same order; its number of seeds may differ. None: the mean of
            `treatment`.
        level: coverage of the interval, two-sided.
        paired_seeds: True pairs seed j of both arms. Pairing is right only where a seed means the same data
            order and initialisation in both arms; not pairing is then still valid, only wider.

    Raises:
        StudyError: not [prompts, seeds], different prompts, fewer than two prompts, NaN or infinite values.
    """
    arms = _arms(treatment, control, paired_seeds)
    estimate = sum(sign * values.mean((-2, -1)) for sign, values in arms)
    n_prompts = arms[0][1].shape[-2]
    per_prompt = sum(sign * values.mean(-1) for sign, values in arms)
    v_prompts = _square(_spread(per_prompt)) / n_prompts
    v_seeds, v_residual, df_residual = [], [], 0
    for _, values in arms:
        n_seeds = values.shape[-1]
        if n_seeds == 1:
            continue  # its residual is inside v_prompts
        of_prompt, of_seed = values.mean(-1, keepdims=True), values.mean(-2, keepdims=True)
        residual = values - of_prompt - of_seed + values.mean((-2, -1), keepdims=True)
        df = (n_prompts - 1) * (n_seeds - 1)
        v_seeds.append((_square(_spread(of_seed[..., 0, :])) / n_seeds, n_seeds - 1))
        v_residual.append((residual**2).sum((-2, -1)) / df / (n_prompts * n_seeds))
        df_residual += df
    return _interval(estimate, v_prompts, v_seeds, sum(v_residual, 0.0), df_residual, level, arms)


def crossed_bootstrap(
    treatment: Array,
    control: Array | None = None,
    *,
    replicates: int = 2000,
    level: float = 0.95,
    paired_seeds: bool = False,
    seed: int = 0,
) -> Comparison:
    """Mean difference between two arms by a bootstrap that resamples prompts and seeds.

    Arguments and errors as in `two_way_t`, without leading axes; `seed` makes it reproducible. See
    `bootstrap_statistic` for the resampling and for why it is not the percentile interval of doubly drawn
    data.
    """
    arms = _arms(treatment, control, paired_seeds)
    if arms[0][1].ndim != 2:
        raise StudyError(f"crossed_bootstrap: one [prompts, seeds] array an arm, not {arms[0][1].ndim} axes.")

    def statistic(*means: Array) -> Array:
        return sum(sign * mean[..., 0] for (sign, _), mean in zip(arms, means, strict=True))

    return bootstrap_statistic(
        [values[..., None] for _, values in arms], statistic, replicates=replicates, level=level, seed=seed
    )


def bootstrap_statistic(
    arms: Sequence[Array], statistic: Statistic, *, replicates: int = 2000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Interval of a smooth function of arm means, with prompts and seeds both resampled.

    Prompts are shared by the arms and resampled together; each arm's seeds are resampled on their own.
    Resampling everything at once counts the residual three times (Owen 2007), and seeds drawn 3 of 3
    show only 2/3 of their variance. So n - 1 of n units are drawn (Rao & Wu 1988), and the variances from
    prompts alone, from each arm's seeds alone and from all at once are combined as in the module's formula.

    Args:
        arms: one [prompts, seeds, columns] array an arm (columns: whatever the statistic needs the means of).
        statistic: takes one [replicates, columns] array of means an arm, returns [replicates].
    """
    arms = [np.asarray(values, float) for values in arms]
    for values in arms:
        _check(values[..., 0], "arm")
    n_prompts = arms[0].shape[0]
    by_prompt = _draws(n_prompts, replicates, seed)
    by_seed = [_draws(v.shape[1], replicates, seed + 1 + i) for i, v in enumerate(arms)]

    def means(values: Array, prompts: Array | None, seeds: Array | None) -> Array:
        if prompts is None and seeds is None:
            return np.broadcast_to(values.mean((0, 1)), (replicates, values.shape[2]))
        if seeds is None:
            return prompts @ values.mean(1)
        if prompts is None:
            return seeds @ values.mean(0)
        drawn = (prompts @ values.reshape(n_prompts, -1)).reshape(replicates, *values.shape[1:])
        return np.einsum("bs,bsc->bc", seeds, drawn)

    def variance(resample_prompts: bool, resampled_seeds: Sequence[int]) -> float:
        drawn = [
            means(v, by_prompt if resample_prompts else None, by_seed[i] if i in resampled_seeds else None)
            for i, v in enumerate(arms)
        ]
        return _square(_spread(statistic(*drawn)))

    estimate = float(statistic(*[v.mean((0, 1))[None] for v in arms])[0])
    several = [i for i, v in enumerate(arms) if v.shape[1] > 1]
    v_prompts = variance(True, [])
    v_seeds = [(variance(False, [i]), arms[i].shape[1] - 1) for i in several]
    v_residual, df_residual = 0.0, 0
    if several:
        v_residual = max(0.0, variance(True, several) - v_prompts - sum(v for v, _ in v_seeds))
        df_residual = sum((n_prompts - 1) * df for _, df in v_seeds)
    signed = [(1, v[..., 0]) for v in arms]
    return _interval(estimate, v_prompts, v_seeds, v_residual, df_residual, level, signed)


def noninferior(comparison: Comparison, margin: float) -> bool:
    """Whether the interval excludes a loss of `margin` (> 0, in the metric's own units; higher is better).

    The lower end of the two-sided interval is used, so a 95 % interval tests at 2.5 % one-sided.
    """
    if not margin > 0:
        raise StudyError(f"noninferior: the margin is the loss that would still be accepted, above 0, not {margin}.")
    return bool(comparison.low > -margin)


class MannWhitney(NamedTuple):
    """U of the first sample, two-sided p, and the rank-biserial correlation 2U/(n1 n2) - 1, in [-1, 1]."""

    u: float
    p: float
    rank_biserial: float


def mann_whitney_u(x: Array, y: Array, *, method: str = "auto", use_continuity: bool = True) -> MannWhitney:
    """Mann-Whitney U between two samples; any shape, e.g. the [prompts, seeds] values of two arms.

    It takes values as independent and reads no pairing, so it is reported beside the verdict and never
    decides it; that it does not reject is no sign of equal quality. Ties share ranks; if all values tie, p is
    1. `method` and `use_continuity` as in `scipy.stats.mannwhitneyu`.
    """
    x, y = _flat(x, "x"), _flat(y, "y")
    both = np.concatenate([x, y])
    if (both == both[0]).all():
        return MannWhitney(x.size * y.size / 2, 1.0, 0.0)
    u, p = stats.mannwhitneyu(x, y, method=method, use_continuity=use_continuity)
    return MannWhitney(float(u), float(p), float(2 * u / (x.size * y.size) - 1))


def cohens_d(x: Array, y: Array) -> float:
    """Mean difference over the pooled standard deviation (Cohen 1988, p. 67). Any shape; positive if x is
    larger.

    0 where x and y are one same constant, infinite where they are two constants.
    """
    x, y = _flat(x, "x"), _flat(y, "y")
    if x.size + y.size < 3:
        raise StudyError("cohens_d: needs at least three values in all.")
    squares = ((x - x.mean()) ** 2).sum() + ((y - y.mean()) ** 2).sum()
    return _ratio(x.mean() - y.mean(), np.sqrt(squares / (x.size + y.size - 2)))


def hedges_g(x: Array, y: Array) -> float:
    """`cohens_d` times 1 - 3 / (4 (n1 + n2) - 9), removing most of its small-sample bias (Hedges 1981)."""
    n = np.size(x) + np.size(y)
    return cohens_d(x, y) * (1 - 3 / (4 * n - 9))


def cohens_d_paired(x: Array, y: Array) -> float:
    """Mean of the cell-by-cell differences over their standard deviation (Cohen's d_z, 1988, p. 48).

    Not comparable with `cohens_d`: it depends on how strongly the pairs correlate.
    """
    if np.shape(x) != np.shape(y):
        raise StudyError(f"cohens_d_paired: pairs need equal shapes, not {np.shape(x)} and {np.shape(y)}.")
    gaps = _flat(x, "x") - _flat(y, "y")
    if gaps.size < 2:
        raise StudyError("cohens_d_paired: needs at least two pairs.")
    return _ratio(gaps.mean(), gaps.std(ddof=1))


def pooled_effect(treatment: Array, control: Array, *, level: float = 0.95) -> Comparison:
    """`cohens_d` of two [prompts, seeds] arrays, with an interval in which prompts and seeds are random.

    The textbook interval takes all prompt x seed values as independent and is too narrow; here d is
    linearised (delta method: dd = dm/s - d ds2/(2 s2)) and `two_way_t` gives the error of the linear part.
    Returns a Comparison whose `difference` is d; its interval is NaN where d is infinite.
    """
    x, y = _check(treatment, "treatment"), _check(control, "control")
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
    x, y = _check(treatment, "treatment"), _check(control, "control")
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


def pool(comparisons: Sequence[Comparison], *, level: float = 0.95) -> Comparison:
    """The mean of independent comparisons, e.g. over domains, each of equal weight.

    Domains are fixed: the mean speaks of these domains. Variances add; df after Satterthwaite.
    """
    variances = np.array([c.se**2 for c in comparisons]) / len(comparisons) ** 2
    dfs = np.array([c.df for c in comparisons])
    uncertainty = (variances**2 / dfs).sum()
    df = variances.sum() ** 2 / uncertainty if uncertainty > 0 else np.inf
    estimate = float(np.mean([c.difference for c in comparisons]))
    over = min((c.over for c in comparisons), key=len)
    sizes = sum(c.n_prompts for c in comparisons), min(c.n_seeds for c in comparisons)
    return _t_interval(estimate, variances.sum(), df, level, over, *sizes)


def holm(p_values: Sequence[float]) -> Array:
    """Holm's (1979) adjusted p-values, in the order given: reject where they are at most alpha."""
    p = _flat(p_values, "p_values")
    if p.size == 0:
        return p
    if ((p < 0) | (p > 1)).any():
        raise StudyError(f"holm: p-values lie in [0, 1], not {p[(p < 0) | (p > 1)][0]}.")
    # By hand, because statsmodels' multipletests runs the garbage collector in every call: 0.05 s, and a
    # study calls this a thousand times.
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def bonferroni_level(level: float, comparisons: int) -> float:
    """The level each of several intervals needs for all to cover at once with probability `level` or more."""
    return 1 - (1 - level) / comparisons


def _interval(
    estimate: Array,
    v_prompts: Array,
    v_seeds: Sequence[tuple[Array, int]],
    v_residual: Array,
    df_residual: int,
    level: float,
    arms: Sequence[tuple[int, Array]],
) -> Comparison:
    """Two-way variance, Satterthwaite df, t interval; v_seeds: (variance, df) per arm with several seeds."""
    n_prompts = arms[0][1].shape[-2]
    of_seeds = sum((v for v, _ in v_seeds), 0.0)
    variance = np.maximum(np.maximum(v_prompts + of_seeds - v_residual, v_prompts), of_seeds)
    uncertainty = v_prompts**2 / (n_prompts - 1) + sum((v**2 / df for v, df in v_seeds), 0.0)
    if df_residual:
        uncertainty = uncertainty + v_residual**2 / df_residual
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(variance > 0, variance**2 / uncertainty, np.inf)
    over = "prompts and seeds" if v_seeds else "prompts only"
    return _t_interval(estimate, variance, df, level, over, n_prompts, max(v.shape[-1] for _, v in arms))


def _t_interval(
    estimate: Array, variance: Array, df: Array, level: float, over: str, n_prompts: int, n_seeds: int
) -> Comparison:
    se = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variance > 0, np.abs(estimate) / se, np.where(estimate == 0, 0.0, np.inf))
    half = stats.t.ppf((1 + level) / 2, df) * se
    p = 2 * stats.t.sf(t, df)
    plain = float if np.ndim(estimate) == 0 else np.asarray
    numbers = (plain(value) for value in (estimate, estimate - half, estimate + half, p, se, df))
    return Comparison(*numbers, over=over, n_prompts=n_prompts, n_seeds=n_seeds)


def _arms(treatment: Array, control: Array | None, paired_seeds: bool) -> list[tuple[int, Array]]:
    treatment = _check(treatment, "treatment")
    if control is None:
        return [(1, treatment)]
    control = _check(control, "control")
    if treatment.shape[:-1] != control.shape[:-1]:
        raise StudyError(
            f"treatment has {treatment.shape[-2]} prompts and control {control.shape[-2]}: "
            "compare the same prompts, in the same order."
        )
    if not paired_seeds:
        return [(1, treatment), (-1, control)]
    if treatment.shape != control.shape:
        raise StudyError(f"paired_seeds: {treatment.shape[-1]} seeds cannot be paired with {control.shape[-1]}.")
    return [(1, treatment - control)]


def _check(values: Array, name: str) -> Array:
    values = np.asarray(values, float)
    if values.ndim < 2:
        raise StudyError(
            f"{name}: wants an array [prompts, seeds], got shape {values.shape}; for one seed use x[:, None]."
        )
    if values.shape[-2] < 2 or values.shape[-1] < 1:
        raise StudyError(
            f"{name}: shape {values.shape} is [prompts, seeds]; at least two prompts and one seed are needed."
        )
    if not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise StudyError(
            f"{name}: value at {where} of [prompts, seeds] is {values[where]}; "
            "drop that prompt in all arms or repair it."
        )
    return values


def _flat(values: Array, name: str) -> Array:
    values = np.asarray(values, float).ravel()
    if not np.isfinite(values).all():
        raise StudyError(f"{name}: value {int(np.argmin(np.isfinite(values)))} is not finite.")
    return values


def _spread(values: Array) -> Array:
    """Standard deviation (n - 1) over the last axis; exactly 0 where all values are equal."""
    equal = np.isclose(values, values[..., :1], rtol=1e-12, atol=1e-14).all(-1)
    return np.where(equal, 0.0, values.std(-1, ddof=1))


def _square(values: Array) -> Array:
    return values * values


def _ratio(difference: float, spread: float) -> float:
    if spread > 0:
        return float(difference / spread)
    return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))


@lru_cache(maxsize=64)
def _draws(n: int, replicates: int, seed: int) -> Array:
    """[replicates, n] weights that sum to 1: n - 1 units drawn with replacement (1 if n = 1)."""
    if n == 1:
        return np.ones((replicates, 1))
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n - 1, np.full(n, 1 / n), size=replicates)
    return counts / (n - 1)
