"""From the cached tables of a study to its statistics: summary, comparisons, frontier, hypotheses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.metric_registry import column_of
from polychromic.metrics.signatures import signature, with_details
from polychromic.metrics.signed_tables import recorded
from polychromic.statistics.arrays import JUDGE, Array, Key, Tables, Values, read_values
from polychromic.statistics.effect_sizes import mann_whitney_u, paired_effect, pooled_effect
from polychromic.statistics.front import frontier_gain
from polychromic.statistics.hypotheses import Signed, hypotheses
from polychromic.statistics.inference import Comparison, crossed_bootstrap, holm, pool, two_way_t
from polychromic.statistics.peers import censored, compare_peers, seed_warnings
from polychromic.statistics.placebos import Placebo, run_placebos
from polychromic.statistics.rule import Ruling, family, rule
from polychromic.statistics.win_rate import length_controlled

JUDGE_CONTROLLED = f"{JUDGE}_length_controlled"
MEASURES = ("difference", "d_pooled", "d_paired")
RANKS = ("u", "p_mwu")


@dataclass(frozen=True)
class Analysis:
    """The tables of `results/<study>/statistics/`, and what the rule found.

    rulings: by arm, of all arms but the control. peers: a row an arm, by domain. notes: what a reader must know
    about the data; warnings: what weakens the verdict itself.
    """

    summary: pd.DataFrame
    pairwise: pd.DataFrame
    hypotheses: pd.DataFrame
    frontier: pd.DataFrame
    rulings: dict[str, Ruling]
    placebos: list[Placebo]
    peers: dict[str, list[dict[str, Any]]]
    notes: list[str]
    warnings: list[str]


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
    lonely = values.of_one_seed()
    controls = [arm for arm in plan["plan"].get("controls", ()) if arm not in lonely]
    plan = {**plan, "plan": {**plan["plan"], "controls": controls}}
    written = {domain: recorded(_frames(tables, domain)) for domain in tables}
    written["pooled"] = recorded(frame for domain in tables for frame in _frames(tables, domain))
    signed = cache(partial(_signature, written, plan["sampling"]["samples"]))
    means = arm_means(values, plan)
    pairwise = compare(values, plan, signed)
    frontier = frontier_table(values, means, plan, signed)
    ruled = [arm for arm in plan["arms"] if arm != plan["plan"]["control"] and arm not in lonely]
    rulings = {arm: rule(values, plan, arm) for arm in ruled}
    peers = compare_peers(values, plan)
    return Analysis(
        summary=summarise(means | controlled_win_rates(tables, plan), plan, signed),
        pairwise=pairwise,
        hypotheses=hypotheses(rulings, pairwise, frontier, plan, signed),
        frontier=frontier,
        rulings=rulings,
        placebos=run_placebos(values, plan, rulings),
        peers=peers,
        notes=[
            *_one_seed(plan),
            *_several_versions(written["pooled"]),
            *values.notes(),
            *_bounds_of_the_rule(plan, rulings),
        ],
        warnings=[*censored(plan, peers), *seed_warnings(values, plan, peers)],
    )


def _bounds_of_the_rule(plan: Mapping[str, Any], rulings: Mapping[str, Ruling]) -> list[str]:
    """What the study does not hold, so that the rule is weaker than it could be, a sentence each."""
    found, primary = [], rulings[plan["plan"]["primary"]]
    if len(family(plan)) == 1:
        found.append(
            f"The family of controls has one member, {labels.arm(plan['plan']['control'])}: only its temperature is "
            "tuned. Name more in plan.controls."
        )
    unvalidated = [labels.domain(d) for d, decision in primary.domains.items() if decision.tuned.chosen_on == "test"]
    if unvalidated:
        found.append(
            f"{', '.join(unvalidated)}: no validation prompts, so the tuned control is the member that is best on test "
            "prompts, which favours the control. Set sampling.validation_prompts."
        )
    if not plan["sampling"]["frontier"]:
        found.append(
            "The study samples at one temperature: no arm can choose its own, and no placebo at another temperature "
            "was run. Name more in sampling.frontier."
        )
    if "prompt" not in {plan["arm_kinds"][arm] for arm in plan["arms"]}:
        found.append(
            "The study has no untrained arm (zero-shot or few-shot), so the margin is not capped by what fine-tuning "
            "gained."
        )
    return found


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
            "signature": signed(domain, metric, prompts=mean.n_prompts, seeds=mean.n_seeds),
        }
        for (domain, arm, temperature, metric), mean in means.items()
    ]
    return pd.DataFrame(rows).sort_values(["domain", "metric", "arm", "temperature"], ignore_index=True)


def compare(values: Values, plan: Mapping[str, Any], signed: Signed) -> pd.DataFrame:
    """pairwise.parquet: all pairs of arms at the primary temperature, each arm and the control at the others.

    reading: "published" for the plan's metrics against the control at the primary temperature, else "exploratory".
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
    published = {(d, m) for d in plan["domains"] for m in _metrics_of_the_plan(plan, d)}
    asked = [
        row.control == control and row.temperature == primary and (row.domain, row.metric) in published
        for row in frame.itertuples()
    ]
    frame["reading"] = np.where(asked, "published", "exploratory")
    return frame.sort_values(["domain", "metric", "temperature", "arm", "control"], ignore_index=True)


def _metrics_of_the_plan(plan: Mapping[str, Any], domain: str) -> tuple[str, ...]:
    return f"pass_at_{max(plan['k'])}", "pass_at_1", plan["domains"][domain]["quality_metric"]


def frontier_table(
    values: Values, means: Mapping[Key, Comparison], plan: Mapping[str, Any], signed: Signed
) -> pd.DataFrame:
    """frontier.parquet: Pass@k of each arm and temperature, and its gain over the control's frontier.

    The control may lose the plan's margin in Pass@1 too. `defined` is False for the control itself, for an arm of one
    seed among several, and where the arm's Pass@1 is below the control's at any temperature.
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
                if arm not in {control, *values.of_one_seed()} and len(line) > 1:
                    gain = frontier_gain(point, line, margin=plan["plan"]["margin"], **options)
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
                    "signature": signed(domain, deepest, prompts=len(point), seeds=point.shape[1]),
                }
                rows.append(row)
    return pd.DataFrame(rows)


def _both_defined(x: Array, y: Array) -> tuple[Array, Array]:
    both = ~(np.isnan(x).any(1) | np.isnan(y).any(1))
    return x[both], y[both]


def _pair(x: Array, y: Array, level: float) -> dict[str, Any]:
    """Every test of one pair, over the prompts on which both arms are defined."""
    alone = min(x.shape[1], y.shape[1]) == 1 < max(x.shape[1], y.shape[1])  # one seed is not compared with several
    x, y = _both_defined(x, y)
    if len(x) < 2 or alone:
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
    ranks = (np.nan,) * 2
    if tests["values"]:
        ranks = mann_whitney_u(*tests["values"])
    row |= dict(zip(RANKS, ranks, strict=True))
    for name in MEASURES[1:]:
        row |= {
            name: tests[name].difference,
            f"{name}_low": tests[name].low,
            f"{name}_high": tests[name].high,
        }
    sizes = {"n_prompts": found.n_prompts, "n_seeds": found.n_seeds}
    signature = signed(domain, metric, prompts=found.n_prompts, seeds=found.n_seeds)
    return row | sizes | {"over": found.over, "signature": signature}


def _nothing(n_prompts: int, n_seeds: int) -> Comparison:
    """Where fewer than two prompts are defined."""
    return Comparison(*(np.nan,) * 6, over="undefined", n_prompts=n_prompts, n_seeds=n_seeds)


def _frames(tables: Tables, domain: str) -> Iterator[pd.DataFrame]:
    return (frame for kinds in tables[domain].values() for frame in kinds.values())


def _signature(
    written: Mapping[str, Mapping[str, list[str]]], samples: int, domain: str, metric: str, **sizes: int
) -> str:
    """A metric's signature as the domain's tables hold it; pass@k and the win rates are made here, of signed verdicts.

    "pooled" names the verifiers and models of all domains.
    """
    found = written[domain]
    if metric.startswith("pass_at_"):
        signatures = ["|".join([signature(metric), " or ".join(found.get("pass_at", ["verifier:unsigned"]))])]
    elif metric.startswith(JUDGE):
        signatures = [signature(metric)]
    else:
        signatures = found.get(metric, [f"{metric}|unsigned"])
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
    """An interval of a metric ends at the metric's bounds."""
    column = column_of(metric)
    if column is None:
        return mean
    least, most = column.metric.bounds
    return replace(mean, low=max(mean.low, least), high=min(mean.high, most))


def _one_seed(plan: Mapping[str, Any]) -> list[str]:
    if len(plan["seeds"]) > 1:
        return []
    return ["One training seed: intervals are over prompts only and hold for these adapters, not for the method."]


def _level(plan: Mapping[str, Any]) -> float:
    return 1 - plan["plan"]["alpha"]


def _options(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"replicates": plan["plan"]["replicates"], "seed": plan["plan"]["seed"], "level": _level(plan)}
