"""Which difference is real: intervals and tests with prompts and training seeds both random, and multiplicity.

Every array is shaped [prompts, seeds]: one value (Pass@k of a prompt's samples, a mean ROUGE-L, ...) per test
prompt and training seed. Both are samples of a larger population, crossed with each other, so both count in
the error. With V_p the variance of the estimate from prompts, V_s from seeds and V_r from their residual
(which the other two each contain once), the two-way variance is

    V = max(V_p + V_s - V_r, V_p, V_s)

(Cameron, Gelbach & Miller 2011, on a mean; the floor is for small samples) and the interval is
estimate +- t_df * sqrt(V), with df after Satterthwaite (1946). `two_way_t` computes it in closed form for
differences of means. `bootstrap_statistic` computes the same by resampling, for statistics that have no closed
form: the best of several temperatures, which decides the verdict, and the front. docs/statistics.md has the
simulations behind that choice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import special, stats

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

    def at(self, index: slice) -> Comparison:
        """Some of several comparisons."""
        names = ("difference", "low", "high", "p", "se", "df")
        return replace(self, **{name: getattr(self, name)[index] for name in names})


@dataclass(frozen=True)
class Parts:
    """An estimate with the parts of its variance, from which `interval` makes a Comparison.

    seeds: (variance, degrees of freedom) of each arm; empty where the arms have one seed.
    """

    estimate: Array
    prompts: Array
    seeds: tuple[tuple[Array, float], ...]
    residual: Array
    residual_df: int
    n_prompts: int
    n_seeds: int

    def interval(self, level: float = 0.95) -> Comparison:
        """Two-way variance, Satterthwaite's degrees of freedom, t interval."""
        of_seeds = sum((v for v, _ in self.seeds), 0.0)
        variance = np.maximum(np.maximum(self.prompts + of_seeds - self.residual, self.prompts), of_seeds)
        uncertainty = self.prompts**2 / (self.n_prompts - 1) + sum((v**2 / df for v, df in self.seeds), 0.0)
        if self.residual_df:
            uncertainty = uncertainty + self.residual**2 / self.residual_df
        with np.errstate(divide="ignore", invalid="ignore"):
            df = np.where(variance > 0, variance**2 / uncertainty, np.inf)
        over = "prompts and seeds" if self.seeds else "prompts only"
        return t_interval(self.estimate, variance, df, level, over, self.n_prompts, self.n_seeds)


def shrink_seeds(domains: Sequence[Parts], prior_df: float) -> list[Parts]:
    """The same estimates with each arm's seed variance drawn towards its mean over the domains.

    Empirical Bayes (Smyth 2004): with d degrees of freedom in a domain and d0 = `prior_df`, fixed in the plan, a
    variance becomes (d0 * mean + d * own) / (d0 + d) with d0 + d degrees of freedom. A sensitivity reading: three
    seeds say little about their spread, several domains together say more.
    """
    means = [np.mean([part.seeds[i][0] for part in domains], axis=0) for i in range(len(domains[0].seeds))]
    return [
        replace(
            part,
            seeds=tuple(
                ((prior_df * mean + df * own) / (prior_df + df), prior_df + df)
                for mean, (own, df) in zip(means, part.seeds, strict=True)
            ),
        )
        for part in domains
    ]


def two_way_t(
    treatment: Array, control: Array | None = None, *, level: float = 0.95, paired_seeds: bool = False
) -> Comparison:
    """Mean difference between two arms, prompts and seeds both random; closed form.

    Args:
        treatment: [..., prompts, seeds]; leading axes are independent comparisons.
        control: the same prompts in the same order; its number of seeds may differ, but one seed is not compared
            with several. None: the mean of `treatment`.
        level: coverage of the interval, two-sided.
        paired_seeds: True pairs seed j of both arms. Pairing is right only where a seed means the same data
            order and initialisation in both arms; not pairing is then still valid, only wider.

    Raises:
        StudyError: not [prompts, seeds], different prompts, fewer than two prompts, one seed against several, NaN
        or infinite values.
    """
    arms = _arms(treatment, control, paired_seeds)
    n_prompts = arms[0][1].shape[-2]
    per_prompt = sum(sign * values.mean(-1) for sign, values in arms)
    seeds, residuals, residual_df = [], [], 0
    for _, values in arms:
        n_seeds = values.shape[-1]
        if n_seeds == 1:
            continue  # its residual is part of the prompts' variance
        of_prompt, of_seed = values.mean(-1, keepdims=True), values.mean(-2, keepdims=True)
        residual = values - of_prompt - of_seed + values.mean((-2, -1), keepdims=True)
        df = (n_prompts - 1) * (n_seeds - 1)
        seeds.append((_square(_spread(of_seed[..., 0, :])) / n_seeds, n_seeds - 1))
        residuals.append((residual**2).sum((-2, -1)) / df / (n_prompts * n_seeds))
        residual_df += df
    parts = Parts(
        estimate=sum(sign * values.mean((-2, -1)) for sign, values in arms),
        prompts=_square(_spread(per_prompt)) / n_prompts,
        seeds=tuple(seeds),
        residual=sum(residuals, 0.0),
        residual_df=residual_df,
        n_prompts=n_prompts,
        n_seeds=max(values.shape[-1] for _, values in arms),
    )
    return parts.interval(level)


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

    Arguments and errors as in `two_way_t`; `seed` makes it reproducible. See `bootstrap_parts` for the resampling
    and for why it is not the percentile interval of doubly drawn data.
    """
    arms = _arms(treatment, control, paired_seeds)

    def statistic(*means: Array) -> Array:
        return sum(sign * mean[..., 0] for (sign, _), mean in zip(arms, means, strict=True))

    columns = [values[..., None] for _, values in arms]
    return bootstrap_statistic(columns, statistic, replicates=replicates, level=level, seed=seed)


def bootstrap_statistic(
    arms: Sequence[Array], statistic: Statistic, *, replicates: int = 2000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Interval of a function of arm means, with prompts and seeds both resampled; see `bootstrap_parts`."""
    return bootstrap_parts(arms, statistic, replicates=replicates, seed=seed).interval(level)


def bootstrap_parts(arms: Sequence[Array], statistic: Statistic, *, replicates: int = 2000, seed: int = 0) -> Parts:
    """A function of arm means, and the variance that prompts and seeds give it, by resampling.

    Prompts are shared by the arms and resampled together; each arm's seeds are resampled on their own.
    Resampling everything at once counts the residual three times (Owen 2007), and seeds drawn 3 of 3
    show only 2/3 of their variance. So n - 1 of n units are drawn (Rao & Wu 1988), and the variances from
    prompts alone, from each arm's seeds alone and from all at once are combined as in the module's formula.

    Args:
        arms: one [..., prompts, seeds, columns] array an arm (columns: whatever the statistic needs the means of).
        statistic: takes one [replicates, ..., columns] array of means an arm, returns [replicates, ...].
    """
    arms = [np.asarray(values, float) for values in arms]
    for values in arms:
        check(values[..., 0], "arm")
    _one_or_several([values.shape[-2] for values in arms])
    n_prompts = arms[0].shape[-3]
    by_prompt = _draws(n_prompts, replicates, seed)
    by_seed = [_draws(v.shape[-2], replicates, seed + 1 + i) for i, v in enumerate(arms)]

    def means(values: Array, prompts: Array | None, seeds: Array | None) -> Array:
        if prompts is None and seeds is None:
            return values.mean((-3, -2))[None]
        if seeds is None:
            return np.tensordot(prompts, values.mean(-2), axes=(1, -2))
        if prompts is None:
            return np.tensordot(seeds, values.mean(-3), axes=(1, -2))
        return np.einsum("bs,b...sc->b...c", seeds, np.tensordot(prompts, values, axes=(1, -3)))

    def variance(resample_prompts: bool, resampled_seeds: Sequence[int]) -> Array:
        drawn = [
            means(v, by_prompt if resample_prompts else None, by_seed[i] if i in resampled_seeds else None)
            for i, v in enumerate(arms)
        ]
        return _square(_spread(np.moveaxis(statistic(*drawn), 0, -1)))

    several = [i for i, v in enumerate(arms) if v.shape[-2] > 1]
    of_prompts = variance(True, [])
    of_seeds = tuple((variance(False, [i]), arms[i].shape[-2] - 1) for i in several)
    residual, residual_df = np.zeros_like(of_prompts), 0
    if several:
        residual = np.maximum(0.0, variance(True, several) - of_prompts - sum(v for v, _ in of_seeds))
        residual_df = sum((n_prompts - 1) * df for _, df in of_seeds)
    return Parts(
        estimate=statistic(*[means(v, None, None) for v in arms])[0],
        prompts=of_prompts,
        seeds=of_seeds,
        residual=residual,
        residual_df=residual_df,
        n_prompts=n_prompts,
        n_seeds=max(v.shape[-2] for v in arms),
    )


def noninferior(comparison: Comparison, margin: float) -> bool:
    """Whether the interval excludes a loss of `margin` (> 0, in the metric's own units; higher is better).

    The lower end of the two-sided interval is used, so a 95 % interval tests at 2.5 % one-sided.
    """
    if not margin > 0:
        raise StudyError(f"noninferior: the margin is the loss that would still be accepted, above 0, not {margin}.")
    return bool(comparison.low > -margin)


def pool(comparisons: Sequence[Comparison], *, level: float = 0.95) -> Comparison:
    """The mean of independent comparisons, e.g. over domains, each of equal weight.

    Domains are fixed: the mean is about these domains. Variances add; df after Satterthwaite.
    """
    variances = np.array([c.se**2 for c in comparisons]) / len(comparisons) ** 2
    dfs = np.array([c.df for c in comparisons])
    uncertainty = (variances**2 / dfs).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(uncertainty > 0, variances.sum(0) ** 2 / uncertainty, np.inf)
    estimate = np.mean([c.difference for c in comparisons], axis=0)
    over = min((c.over for c in comparisons), key=len)
    sizes = sum(c.n_prompts for c in comparisons), min(c.n_seeds for c in comparisons)
    return t_interval(estimate, variances.sum(0), df, level, over, *sizes)


def holm(p_values: Sequence[float]) -> Array:
    """Holm's (1979) adjusted p-values, in the order given: reject where they are at most alpha."""
    p = flat(p_values, "p_values")
    if p.size == 0:
        return p
    if ((p < 0) | (p > 1)).any():
        raise StudyError(f"holm: p-values must be in [0, 1], not {p[(p < 0) | (p > 1)][0]}.")
    # By hand, because statsmodels' multipletests runs the garbage collector in every call: 0.05 s, and a
    # study calls this a thousand times.
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return adjusted


def bonferroni_level(level: float, comparisons: int) -> float:
    """The level each of several intervals needs for all to cover at once with probability `level` or more."""
    return 1 - (1 - level) / comparisons


def t_interval(
    estimate: Array, variance: Array, df: Array, level: float, over: str, n_prompts: int, n_seeds: int
) -> Comparison:
    se = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(variance > 0, np.abs(estimate) / se, np.where(estimate == 0, 0.0, np.inf))
    half = special.stdtrit(df, (1 + level) / 2) * se
    p = 2 * stats.t.sf(t, df)
    plain = float if np.ndim(estimate) == 0 else np.asarray
    numbers = (plain(value) for value in (estimate, estimate - half, estimate + half, p, se, df))
    return Comparison(*numbers, over=over, n_prompts=n_prompts, n_seeds=n_seeds)


def _arms(treatment: Array, control: Array | None, paired_seeds: bool) -> list[tuple[int, Array]]:
    treatment = check(treatment, "treatment")
    if control is None:
        return [(1, treatment)]
    control = check(control, "control")
    if treatment.shape[:-1] != control.shape[:-1]:
        raise StudyError(
            f"treatment has {treatment.shape[-2]} prompts and control {control.shape[-2]}: "
            "compare the same prompts, in the same order."
        )
    if not paired_seeds:
        _one_or_several([treatment.shape[-1], control.shape[-1]])
        return [(1, treatment), (-1, control)]
    if treatment.shape != control.shape:
        raise StudyError(f"paired_seeds: {treatment.shape[-1]} seeds cannot be paired with {control.shape[-1]}.")
    return [(1, treatment - control)]


def _one_or_several(seeds: Sequence[int]) -> None:
    if len({count > 1 for count in seeds}) > 1:
        raise StudyError(
            f"One arm has {min(seeds)} training seed and another {max(seeds)}: a single seed does not show how much "
            "seeds differ, and such comparisons find effects that are not there (docs/statistics.md). Train the "
            "arm with more seeds."
        )


def check(values: Array, name: str) -> Array:
    """[..., prompts, seeds] as floats; refuses other shapes and values that are not finite, naming the place."""
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


def flat(values: Array, name: str) -> Array:
    """All values in one axis; refuses values that are not finite."""
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


@lru_cache(maxsize=64)
def _draws(n: int, replicates: int, seed: int) -> Array:
    """[replicates, n] weights that sum to 1: n - 1 units drawn with replacement (1 if n = 1)."""
    if n == 1:
        return np.ones((replicates, 1))
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n - 1, np.full(n, 1 / n), size=replicates)
    return counts / (n - 1)
