"""From the cached tables of a study to its statistics: summary, comparisons, frontier, hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.errors import StudyError
from polychromic.metrics.signatures import signature, with_details
from polychromic.metrics.signed_tables import recorded
from polychromic.statistics.arrays import JUDGE, Array, Key, Tables, Values, read_values
from polychromic.statistics.front import at_chosen_temperature, frontier_gain
from polychromic.statistics.inference import (
    Comparison,
    bonferroni_level,
    crossed_bootstrap,
    holm,
    mann_whitney_u,
    noninferior,
    paired_effect,
    pool,
    pooled_effect,
    two_way_t,
)
from polychromic.statistics.win_rate import length_controlled

JUDGE_CONTROLLED = f"{JUDGE}_length_controlled"
MEASURES = ("difference", "d_pooled", "d_paired")
RANKS = ("u", "rank_biserial", "p_mwu")
SIZES = ("n_prompts", "n_seeds", "signature")
Signed = Callable[..., str]  # a metric's signature, with what is given beside its name


@dataclass(frozen=True)
class Analysis:
    """The tables of `results/<study>/statistics/`. notes: what a reader must be told about the data."""

    summary: pd.DataFrame
    pairwise: pd.DataFrame
    hypotheses: pd.DataFrame
    frontier: pd.DataFrame
    notes: list[str]


def analyse(tables: Tables, plan: Mapping[str, Any]) -> Analysis:
    """All statistics of a study.

    Args:
        tables: {domain: {arm: {"passes", "passes_val", "diversity", "quality", "judge": frame}}}; passes_val
            and judge may be missing or empty.
        plan: the analysis plan: `arms`, `arm_kinds`, `seeds`, `domains` ({name: {"quality_metric"}}), `k`,
            `sampling` (samples, temperature, frontier) and `plan` (control, alpha, margin, replicates, seed).

    Raises:
        StudyError: for tables that do not hold what the plan asks for, naming the file and what is wrong.
    """
    values = read_values(tables, plan)
    written = recorded(frame for arms in tables.values() for kinds in arms.values() for frame in kinds.values())
    signed = cache(partial(_signature, written, plan["sampling"]["samples"]))
    means = arm_means(values, plan)
    pairwise = compare(values, plan, signed)
    frontier = frontier_table(values, means, plan, signed)
    return Analysis(
        summarise(means | controlled_win_rates(tables, plan), plan, signed),
        pairwise,
        hypotheses(values, pairwise, frontier, plan, signed),
        frontier,
        [*_one_seed(plan), *_several_versions(written), *values.notes()],
    )


def arm_means(values: Values, plan: Mapping[str, Any]) -> dict[Key, Comparison]:
    """The mean of every metric with its crossed-bootstrap interval; "pooled" where every domain has it."""
    options = _options(plan)
    means = {}
    for key, array in values.test.items():
        defined = array[~np.isnan(array).any(1)]
        means[key] = crossed_bootstrap(defined, **options) if len(defined) > 1 else _nothing(*defined.shape)
    for rest in dict.fromkeys(key[1:] for key in means):
        per_domain = [means.get((domain, *rest)) for domain in plan["domains"]]
        if len(per_domain) > 1 and None not in per_domain:
            means["pooled", *rest] = pool(per_domain, level=_level(plan))
    return {key: _within_range(key[3], mean) for key, mean in means.items()}


def controlled_win_rates(tables: Tables, plan: Mapping[str, Any]) -> dict[Key, Comparison]:
    """The judge's win rate at equal length, per domain and arm; its interval is over prompts."""
    found = {}
    for domain in plan["domains"]:
        for arm in plan["arms"]:
            judged = tables[domain][arm].get("judge", ())
            if len(judged):
                read = judged[judged["winner"].notna()]
                sizes = {"n_prompts": read["prompt_id"].nunique(), "n_seeds": read["seed"].nunique()}
                rate, low, high = length_controlled(judged)
                found[domain, arm, plan["sampling"]["temperature"], JUDGE_CONTROLLED] = Comparison(
                    rate, low, high, p=np.nan, se=np.nan, df=np.nan, over="prompts only", **sizes
                )
    return found


def summarise(means: Mapping[Key, Comparison], plan: Mapping[str, Any], signed: Signed) -> pd.DataFrame:
    """summary.parquet: a row per domain (and "pooled"), metric, arm, temperature."""
    samples = plan["sampling"]["samples"]
    rows = [
        {
            "domain": domain,
            "metric": metric,
            "arm": arm,
            "temperature": temperature,
            "value": mean.difference,
            "low": mean.low,
            "high": mean.high,
            "n_prompts": mean.n_prompts,
            "n_seeds": mean.n_seeds,
            "n_samples": 1 if metric.startswith(JUDGE) else samples,
            "over": mean.over,
            "signature": signed(metric, prompts=mean.n_prompts, seeds=mean.n_seeds),
        }
        for (domain, arm, temperature, metric), mean in means.items()
    ]
    return pd.DataFrame(rows).sort_values(["domain", "metric", "arm", "temperature"], ignore_index=True)


def compare(values: Values, plan: Mapping[str, Any], signed: Signed) -> pd.DataFrame:
    """pairwise.parquet: all pairs of arms at the primary temperature, each arm and the control at the others.

    The judge's rows are win rates against the control minus one half. p_holm adjusts over the domains of one
    (metric, temperature, arm, control); a pooled row is a single test.
    """
    level, primary, control = _level(plan), plan["sampling"]["temperature"], plan["plan"]["control"]
    arms = [control, *(arm for arm in plan["arms"] if arm != control)]
    found: dict[tuple, dict[str, Any]] = {}
    for (domain, arm, temperature, metric), x in values.test.items():
        if metric == JUDGE:
            found[domain, metric, temperature, arm, control] = _against_chance(x, level)
            continue
        for other in arms[: arms.index(arm)] if temperature == primary else {control} - {arm}:
            y = values.test.get((domain, other, temperature, metric))
            if y is not None:
                found[domain, metric, temperature, arm, other] = _pair(x, y, level)
    for rest in dict.fromkeys(key[1:] for key in found):
        per_domain = [found.get((domain, *rest)) for domain in plan["domains"]]
        if len(per_domain) > 1 and None not in per_domain:
            found["pooled", *rest] = _pool(per_domain, level)
    adjusted = {key: tests["difference"].p for key, tests in found.items()}
    for rest in dict.fromkeys(key[1:] for key in found):
        family = [key for d in plan["domains"] if not np.isnan(adjusted.get(key := (d, *rest), np.nan))]
        adjusted |= zip(family, holm([adjusted[key] for key in family]), strict=True)
    frame = pd.DataFrame([_row(*key, tests, adjusted[key], signed) for key, tests in found.items()])
    return frame.sort_values(["domain", "metric", "temperature", "arm", "control"], ignore_index=True)


def frontier_table(
    values: Values, means: Mapping[Key, Comparison], plan: Mapping[str, Any], signed: Signed
) -> pd.DataFrame:
    """frontier.parquet: Pass@k of each arm and temperature, and its gain over the control's frontier.

    `defined` is False for the control itself and where the arm's Pass@1 is below the control's at any temperature.
    """
    control, options = plan["plan"]["control"], _options(plan)
    deepest = f"pass_at_{max(plan['k'])}"

    def points(domain: str, arm: str) -> dict[float, Array]:
        ones, deep = (values.by_temperature(domain, arm, metric) for metric in ("pass_at_1", deepest))
        return {t: np.stack([ones[t], deep[t]], -1) for t in ones}

    rows = []
    for domain in plan["domains"]:
        line = points(domain, control)
        for arm in plan["arms"]:
            for temperature, point in points(domain, arm).items():
                gain = None
                if arm != control and len(line) > 1:
                    gain = frontier_gain(point, line, **options)
                row: dict[str, Any] = {"domain": domain, "arm": arm, "temperature": temperature}
                for k in plan["k"]:
                    mean = means[domain, arm, temperature, f"pass_at_{k}"]
                    row |= {f"pass_at_{k}": mean.difference, f"pass_at_{k}_low": mean.low}
                    row |= {f"pass_at_{k}_high": mean.high}
                row |= {
                    "gain_over_control_frontier": gain.difference if gain else np.nan,
                    "gain_low": gain.low if gain else np.nan,
                    "gain_high": gain.high if gain else np.nan,
                    "gain_p": gain.p if gain else np.nan,
                    "defined": gain is not None,
                    "n_prompts": len(point),
                    "n_seeds": point.shape[1],
                    "signature": signed(deepest, prompts=len(point), seeds=point.shape[1]),
                }
                rows.append(row)
    return pd.DataFrame(rows)


def hypotheses(
    values: Values, pairwise: pd.DataFrame, frontier: pd.DataFrame, plan: Mapping[str, Any], signed: Signed
) -> pd.DataFrame:
    """hypotheses.parquet: what the plan asks of every arm against the control, a row per domain and question.

    hypothesis: superiority (Pass@k, Holm over domains), noninferiority (Pass@1 and the domain's quality
    metric, at the margin), frontier, chosen_temperature (each k, T chosen on validation prompts; a second
    reading, of arms with several temperatures). low_simultaneous, high_simultaneous: Bonferroni over the domains.
    """
    control, margin, temperature = (
        plan["plan"]["control"],
        plan["plan"]["margin"],
        plan["sampling"]["temperature"],
    )
    alpha, level = plan["plan"]["alpha"], _level(plan)
    deepest = f"pass_at_{max(plan['k'])}"
    tested = pairwise.set_index(["domain", "metric", "temperature", "arm", "control"])
    gains = frontier.set_index(["domain", "arm", "temperature"])
    rows: list[dict[str, Any]] = []
    for domain, settings in plan["domains"].items():
        for arm in (a for a in plan["arms"] if a != control):
            asked = [("superiority", deepest), ("noninferiority", "pass_at_1")]
            asked += [("noninferiority", settings["quality_metric"])]
            for hypothesis, metric in asked:
                key = (domain, metric, temperature, arm, control)
                if key not in tested.index:
                    raise StudyError(
                        f"{domain}/{arm}: the plan's metric {metric} was not measured at T = {temperature}; "
                        "its column is missing or empty in quality.parquet."
                    )
                row = tested.loc[key]
                x, y = _both_defined(*(values.test[domain, a, temperature, metric] for a in (arm, control)))
                wide = two_way_t(x, y, level=bonferroni_level(level, len(plan["domains"])))
                better = hypothesis == "superiority"
                holds = row["p_holm"] < alpha and row["difference"] > 0 if better else noninferior(row, margin)
                rows.append(
                    {
                        **_question(domain, hypothesis, arm, control, metric, temperature, temperature),
                        **{name: row[name] for name in ("difference", "low", "high")},
                        "low_simultaneous": wide.low,
                        "high_simultaneous": wide.high,
                        "margin": np.nan if better else margin,
                        "p": row["p"],
                        "p_holm": row["p_holm"],
                        "holds": bool(holds),
                        **{name: row[name] for name in SIZES},
                    }
                )
            gain = gains.loc[domain, arm, temperature]
            rows.append(
                {
                    **_question(domain, "frontier", arm, control, deepest, temperature, np.nan),
                    "difference": gain["gain_over_control_frontier"],
                    "low": gain["gain_low"],
                    "high": gain["gain_high"],
                    "p": gain["gain_p"],
                    "holds": bool(gain["gain_low"] > 0) if gain["defined"] else None,
                    **{name: gain[name] for name in SIZES},
                }
            )
            rows += _second_reading(values, domain, arm, control, plan, level, signed)
    return pd.DataFrame(rows)


def _second_reading(
    values: Values, domain: str, arm: str, control: str, plan: Mapping[str, Any], level: float, signed: Signed
) -> list[dict[str, Any]]:
    rows = []
    for k in plan["k"]:
        metric = f"pass_at_{k}"
        chosen_on = [values.by_temperature(domain, a, metric, validation=True) for a in (arm, control)]
        test = [values.by_temperature(domain, a, metric) for a in (arm, control)]
        if not all(chosen_on) or min(map(len, test)) < 2:
            continue
        own, other, found = at_chosen_temperature(*test, *chosen_on, level=level)
        rows.append(
            {
                **_question(domain, "chosen_temperature", arm, control, metric, own, other),
                **{"difference": found.difference, "low": found.low, "high": found.high, "p": found.p},
                "holds": bool(found.low > 0),
                "n_prompts": found.n_prompts,
                "n_seeds": found.n_seeds,
                "signature": signed(metric, prompts=found.n_prompts, seeds=found.n_seeds),
                "n_validation": len(next(iter(chosen_on[0].values()))),
            }
        )
    return rows


def _question(domain, hypothesis, arm, control, metric, temperature, control_temperature) -> dict[str, Any]:
    return {
        "domain": domain,
        "hypothesis": hypothesis,
        "arm": arm,
        "control": control,
        "metric": metric,
        "temperature": temperature,
        "control_temperature": control_temperature,
    }


def _both_defined(x: Array, y: Array) -> tuple[Array, Array]:
    both = ~(np.isnan(x).any(1) | np.isnan(y).any(1))
    return x[both], y[both]


def _pair(x: Array, y: Array, level: float) -> dict[str, Any]:
    """Every test of one pair, over the prompts on which both arms are defined."""
    x, y = _both_defined(x, y)
    if len(x) < 2:
        return {**dict.fromkeys(MEASURES, _nothing(len(x), y.shape[1])), "values": None}
    return {
        "difference": two_way_t(x, y, level=level),
        "d_pooled": pooled_effect(x, y, level=level),
        "d_paired": paired_effect(x, y, level=level),
        "values": (x.ravel(), y.ravel()),
    }


def _against_chance(wins: Array, level: float) -> dict[str, Any]:
    wins = wins[~np.isnan(wins).any(1)]
    undefined = dict.fromkeys(MEASURES, _nothing(*wins.shape))
    found = {"difference": two_way_t(wins - 0.5, level=level)} if len(wins) > 1 else {}
    return {**undefined, **found, "values": None}


def _pool(per_domain: list[dict[str, Any]], level: float) -> dict[str, Any]:
    values = None
    if all(tests["values"] for tests in per_domain):
        values = [np.concatenate([tests["values"][side] for tests in per_domain]) for side in (0, 1)]
    return {name: pool([t[name] for t in per_domain], level=level) for name in MEASURES} | {"values": values}


def _row(domain, metric, temperature, arm, control, tests, p_holm, signed) -> dict[str, Any]:
    found = tests["difference"]
    row = {"domain": domain, "metric": metric, "temperature": temperature, "arm": arm, "control": control}
    row |= {name: getattr(found, name) for name in ("difference", "low", "high", "p")} | {"p_holm": p_holm}
    ranks = (np.nan,) * 3
    if tests["values"]:
        u, p, rank_biserial = mann_whitney_u(*tests["values"])
        ranks = u, rank_biserial, p
    row |= dict(zip(RANKS, ranks, strict=True))
    for name in MEASURES[1:]:
        row |= {
            name: tests[name].difference,
            f"{name}_low": tests[name].low,
            f"{name}_high": tests[name].high,
        }
    sizes = {"n_prompts": found.n_prompts, "n_seeds": found.n_seeds}
    signature = signed(metric, prompts=found.n_prompts, seeds=found.n_seeds)
    return row | sizes | {"over": found.over, "signature": signature}


def _nothing(n_prompts: int, n_seeds: int) -> Comparison:
    """Where fewer than two prompts are defined."""
    return Comparison(*(np.nan,) * 6, over="undefined", n_prompts=n_prompts, n_seeds=n_seeds)


def _signature(written: Mapping[str, list[str]], samples: int, metric: str, **sizes: int) -> str:
    """A metric's signature as the tables hold it; pass@k and the win rates are made here, of signed verdicts."""
    if metric.startswith("pass_at_"):
        signatures = ["|".join([signature(metric), " or ".join(written.get("pass_at", ["verifier:unsigned"]))])]
    elif metric.startswith(JUDGE):
        signatures = [signature(metric)]
    else:
        signatures = written.get(metric, [f"{metric}|unsigned"])
    return with_details(" or ".join(signatures), n=1 if metric.startswith(JUDGE) else samples, **sizes)


def _several_versions(written: Mapping[str, list[str]]) -> list[str]:
    """That tables of different versions are compared, by metric."""
    mixed = [labels.metric(metric) for metric, found in written.items() if len(found) > 1 and metric != "pass_at"]
    if not mixed:
        return []
    return [
        f"{', '.join(mixed)}: the arms' values were made by different versions or models, which their signatures name. "
        "Make them again before comparing them."
    ]


def _within_range(metric: str, mean: Comparison) -> Comparison:
    """An interval of a rate ends at 0 and 1."""
    if not metric.startswith(("pass_at_", JUDGE)):
        return mean
    return replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 1.0))


def _one_seed(plan: Mapping[str, Any]) -> list[str]:
    if len(plan["seeds"]) > 1:
        return []
    return ["One training seed: intervals are over prompts only and speak of these adapters, not of the method."]


def _level(plan: Mapping[str, Any]) -> float:
    return 1 - plan["plan"]["alpha"]


def _options(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"replicates": plan["plan"]["replicates"], "seed": plan["plan"]["seed"], "level": _level(plan)}
