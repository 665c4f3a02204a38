"""The verdict of a study, in numbers and in words, from the intervals and the plan alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.statistics.analysis import Analysis

LONGER = 1.1  # answers of up to 10 % more words still count as the same cost
LAMBDAS = (0.1, 0.5)


def verdict(analysis: Analysis, plan: Mapping[str, Any], *, registered: str | None = None) -> dict[str, Any]:
    """verdict.json: per domain and for the four claims; nulls and harms are said like gains.

    A domain is `superior` if the primary arm's Pass@k at the primary temperature is higher than the control's
    (two-way t, Holm over domains); `noninferior` if neither Pass@1 nor the quality metric can have fallen by
    the margin or more; `supported` if both; `above_frontier` if its gain over the control's frontier has an
    interval above zero (None: below the frontier's range of Pass@1, where no such gain is defined); `harmed` if
    Pass@k is lower by the same test, or if Pass@1 or the quality metric has an interval below zero and is
    not non-inferior.

    `untrained_above` holds the prompt arms whose Pass@k is above the control's by the same test: there
    fine-tuning itself has cost Pass@k, and what the primary arm gains over the control is a loss avoided.

    Args:
        plan: the plan as for `analyse`, its hash as `plan_sha256`, and `ablations` ({arm: {"weight", "samples",
            "quality", "rank"}}) for the claims on robustness and cost.
        registered: the plan's hash before training; the verdict says whether it has changed.
    """
    primary, settings = plan["plan"]["primary"], plan["plan"]
    sha256 = plan["plan_sha256"]
    return {
        "study": plan["study"],
        "plan_sha256": sha256,
        "plan_changed": None if registered is None else registered != sha256,
        "plan": {name: settings[name] for name in ("alpha", "margin", "primary", "control")},
        "primary_arm": primary,
        "domains": {domain: _domain(analysis, plan, domain, primary) for domain in plan["domains"]},
        "claims": {
            "generality": _generality(analysis, plan),
            "cost_in_use": _cost_in_use(analysis, plan),
            "trade_off": _trade_off(analysis, plan),
            "robustness": _robustness(analysis, plan),
        },
        "notes": analysis.notes,
    }


def _domain(analysis: Analysis, plan: Mapping[str, Any], domain: str, arm: str) -> dict[str, Any]:
    rows = analysis.hypotheses
    rows = rows[(rows["domain"] == domain) & (rows["arm"] == arm)]
    gain = rows[rows["hypothesis"] == "superiority"].iloc[0]
    losses = rows[rows["hypothesis"] == "noninferiority"]
    frontier = rows[rows["hypothesis"] == "frontier"].iloc[0]
    noninferior = bool(losses["holds"].all())
    lower = gain["p_holm"] < plan["plan"]["alpha"] and gain["difference"] < 0
    lost = losses[(losses["high"] < 0) & ~losses["holds"].astype(bool)]
    found = {
        "superior": bool(gain["holds"]),
        "noninferior": noninferior,
        "above_frontier": None if frontier["holds"] is None else bool(frontier["holds"]),
        "supported": bool(gain["holds"]) and noninferior,
        "harmed": bool(lower) or not lost.empty,
        **{name: float(gain[name]) for name in ("difference", "low", "high", "p_holm")},
        "quality_metric": plan["domains"][domain]["quality_metric"],
        "untrained_above": _untrained_above(analysis, plan, domain, gain["metric"]),
    }
    chosen = rows[(rows["hypothesis"] == "chosen_temperature") & (rows["metric"] == gain["metric"])]
    readings = [_gain(found, gain, bool(lower)), *_losses(losses, plan), _frontier(found, frontier, plan)]
    further = [*(_chosen(row) for _, row in chosen.iterrows()), *_fine_tuning(analysis, plan, domain, found, gain)]
    sentence = f"{labels.domain(domain)}: {_opening(found, arm)}. {'; '.join(readings)}."
    return found | {
        "readings": [*readings, *further],
        "sentence": " ".join([sentence, *(f"{text}." for text in further)]),
    }


def _untrained_above(analysis: Analysis, plan: Mapping[str, Any], domain: str, metric: str) -> list[str]:
    """The prompt arms whose metric is higher than the control's by the Holm-adjusted test, the highest first."""
    rows = _at_primary(analysis.pairwise, plan)
    rows = rows[(rows["domain"] == domain) & (rows["metric"] == metric) & (rows["control"] == plan["plan"]["control"])]
    prompted = rows["arm"].map(plan["arm_kinds"].get) == "prompt"
    rows = rows[prompted & (rows["p_holm"] < plan["plan"]["alpha"]) & (rows["difference"] > 0)]
    return list(rows.sort_values("difference", ascending=False)["arm"])


def _opening(found: Mapping[str, Any], arm: str) -> str:
    if found["supported"]:
        return "the claim is supported"
    if found["harmed"]:
        return f"not supported, and {labels.arm(arm)} does harm"
    return "the claim is not supported"


def _gain(found: Mapping[str, Any], gain: pd.Series, lower: bool) -> str:
    if found["superior"]:
        relation = "is above"
    elif lower:
        relation = "is below"
    else:
        relation = "is not shown to differ from"
    metric, control = labels.metric(gain["metric"]), labels.arm(gain["control"])
    return f"{metric} {relation} {control}'s: {labels.effect(gain)}, {labels.p_value(gain['p_holm'])} (Holm)"


def _losses(losses: pd.DataFrame, plan: Mapping[str, Any]) -> list[str]:
    return [
        f"{labels.metric(row['metric'])} {'is not worse by' if row['holds'] else 'is not shown to keep within'} "
        f"{plan['plan']['margin']:g}: {labels.effect(row)}"
        for _, row in losses.iterrows()
    ]


def _frontier(found: Mapping[str, Any], frontier: pd.Series, plan: Mapping[str, Any]) -> str:
    control = labels.arm(frontier["control"])
    if not plan["sampling"]["frontier"]:
        return f"{control}'s temperature frontier was not drawn: the study samples at one temperature"
    if found["above_frontier"] is None:
        return f"its Pass@1 is below {control}'s at any temperature, where no gain over the frontier is defined"
    side = "above" if found["above_frontier"] else "not shown to be above"
    return f"it is {side} {control}'s temperature frontier: {labels.effect(frontier)}"


def _chosen(row: pd.Series) -> str:
    return (
        f"With T chosen for each arm on {row['n_validation']:g} validation prompts ({row['temperature']:g}; "
        f"{labels.arm(row['control'])}: {row['control_temperature']:g}), {labels.metric(row['metric'])} differs by "
        f"{labels.effect(row)}"
    )


def _fine_tuning(
    analysis: Analysis, plan: Mapping[str, Any], domain: str, found: Mapping[str, Any], gain: pd.Series
) -> list[str]:
    """That fine-tuning itself cost Pass@k, and whether the primary arm has won that back."""
    if not found["untrained_above"]:
        return []
    rows = _at_primary(analysis.pairwise, plan)
    rows = rows[(rows["domain"] == domain) & (rows["metric"] == gain["metric"])].set_index(["arm", "control"])
    best, metric = found["untrained_above"][0], labels.metric(gain["metric"])
    cost = rows.loc[(best, gain["control"])]
    # Each pair of arms stands once, in the order of the plan.
    swapped = (gain["arm"], best) not in rows.index
    left = rows.loc[(best, gain["arm"]) if swapped else (gain["arm"], best)]
    low, difference, high = sorted(-left[name] if swapped else left[name] for name in ("low", "difference", "high"))
    effect = labels.effect({"low": low, "difference": difference, "high": high})
    decided = left["p_holm"] < plan["plan"]["alpha"]
    relation = ("above" if difference > 0 else "below") if decided else "not shown to differ from"
    return [
        f"{labels.arm(best)}, untrained, has a higher {metric} than {labels.arm(gain['control'])}: "
        f"{labels.effect(cost)}. So fine-tuning itself cost {metric} here; {labels.arm(gain['arm'])} is {relation} "
        f"{labels.arm(best)}: {effect}"
    ]


def _claim(status: bool | str, sentence: str) -> dict[str, str]:
    status = status if isinstance(status, str) else "supported" if status else "not supported"
    return {"status": status, "sentence": sentence}


def _generality(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """One recipe for every domain: read on the literal arm, whose settings are the same everywhere."""
    literal, primary = plan["plan"]["literal"], plan["plan"]["primary"]
    if literal not in plan["arms"]:
        return _claim("not run", f"The arm without task-specific settings ({literal}) was not run.")
    counts = {
        arm: [domain for domain in plan["domains"] if _domain(analysis, plan, domain, arm)["supported"]]
        for arm in (literal, primary)
    }
    total = len(plan["domains"])
    return _claim(
        len(counts[literal]) == total,
        f"{labels.arm(literal)}, with the same settings everywhere, is supported in {len(counts[literal])} of "
        f"{total} domains ({_listed(counts[literal])}); {labels.arm(primary)}, with each domain's own D, "
        f"in {len(counts[primary])} ({_listed(counts[primary])}).",
    )


def _cost_in_use(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """No more parameters, no longer answers. What training took varies between runs: `remarks.claims` says it."""
    primary, control = plan["plan"]["primary"], plan["plan"]["control"]
    arms = plan.get("ablations") or {}
    if primary not in arms or control not in arms:
        return _claim("not run", "The settings of the trained arms were not given.")
    ranks = arms[primary]["rank"], arms[control]["rank"]
    rows = _at_primary(analysis.summary, plan)
    rows = rows[(rows["metric"] == "length") & (rows["domain"] != "pooled")]
    own, others = (rows[rows["arm"] == arm].set_index("domain")["value"] for arm in (primary, control))
    ratios = (own / others).dropna()
    words = ""
    if len(ratios):
        words = f"; its answers have {ratios.min():.2f} to {ratios.max():.2f} times the words"
    return _claim(
        ranks[0] <= ranks[1] and bool((ratios <= LONGER).all()),
        f"Read on parameters and answers: {labels.arm(primary)} trains an adapter of rank {ranks[0]}, "
        f"{labels.arm(control)} of rank {ranks[1]}{words}.",
    )


def _trade_off(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """More diverse answers at no worse quality, per domain."""
    primary, control = plan["plan"]["primary"], plan["plan"]["control"]
    rows = _at_primary(analysis.pairwise, plan)
    rows = rows[(rows["arm"] == primary) & (rows["control"] == control)].set_index(["domain", "metric"])
    said, good = [], []
    for domain, settings in plan["domains"].items():
        # Where answers are judged by what they do or say, variety is the number of different ones.
        judged = settings["verifier"] in ("code", "answer")
        wanted = ("classes", "semantic_diversity") if judged else ("semantic_diversity",)
        metric = next((m for m in wanted if (domain, m) in rows.index), None)
        if metric is None:
            continue
        row, kept = rows.loc[(domain, metric)], _domain(analysis, plan, domain, primary)["noninferior"]
        good.append(bool(row["low"] > 0 and kept))
        quality = "quality not worse" if kept else "quality not shown to be kept"
        said.append(f"{labels.domain(domain)}: {labels.metric(metric)} {labels.effect(row)}, {quality}")
    if not said:
        return _claim("not run", "No diversity was measured at the primary temperature.")
    return _claim(all(good), "; ".join(said) + ".")


def _robustness(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """The gain at every lambda of the ablation study within [0.1, 0.5], averaged over domains."""
    primary, control, margin = (plan["plan"][name] for name in ("primary", "control", "margin"))
    arms = plan.get("ablations") or {}
    own, weights = arms.get(primary), {}
    for arm, settings in arms.items():
        varied = own and arm.startswith(f"{primary}_") and arm != plan["plan"]["literal"]
        if arm == primary or (varied and settings == own | {"weight": settings["weight"]}):
            weights[settings["weight"]] = arm
    weights = {weight: weights[weight] for weight in sorted(weights) if LAMBDAS[0] <= weight <= LAMBDAS[1]}
    if len(weights) < 2:
        return _claim("not run", "The ablation over λ was not run in this study.")
    rows = _at_primary(analysis.pairwise, plan)
    where = "pooled" if len(plan["domains"]) > 1 else next(iter(plan["domains"]))
    rows = rows[(rows["control"] == control) & (rows["domain"] == where)].set_index(["arm", "metric"])
    good, said = [], []
    for weight, arm in weights.items():
        gain, loss = (rows.loc[(arm, metric)] for metric in (f"pass_at_{max(plan['k'])}", "pass_at_1"))
        good.append(bool(gain["low"] > 0 and loss["low"] > -margin))
        said.append(
            f"λ = {weight:g}: {labels.metric(gain.name[1])} {labels.effect(gain)}, Pass@1 {labels.effect(loss)}"
        )
    return _claim(all(good), "Against the control, averaged over domains: " + "; ".join(said) + ".")


def _at_primary(frame: pd.DataFrame, plan: Mapping[str, Any]) -> pd.DataFrame:
    return frame[np.isclose(frame["temperature"], plan["sampling"]["temperature"])]


def _listed(domains: list[str]) -> str:
    return ", ".join(map(labels.domain, domains)) or "none"
