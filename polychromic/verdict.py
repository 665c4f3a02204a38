"""The verdict of a study, in numbers and in words, from the intervals and the plan alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polychromic import names
from polychromic.analysis import Analysis

LONGER = 1.1  # answers of up to 10 % more words still count as the same cost
LAMBDAS = (0.1, 0.5)


def plan_hash(plan: Mapping[str, Any]) -> str:
    """SHA-256 of the analysis plan as JSON; the order of keys does not count."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def verdict(analysis: Analysis, plan: Mapping[str, Any], *, registered: str | None = None) -> dict[str, Any]:
    """verdict.json: per domain and for the four claims; nulls and harms are said like gains.

    A domain is `superior` if the primary arm's Pass@k at the primary temperature is higher than the control's
    (two-way t, Holm over domains); `noninferior` if neither Pass@1 nor the quality metric can have fallen by
    the margin or more; `supported` if both; `above_frontier` if its gain over the control's frontier has an
    interval above zero (None: outside the frontier's range, where no such gain is defined); `harmed` if
    Pass@k is lower by the same test, or if Pass@1 or the quality metric has an interval below zero and is
    not non-inferior.

    Args:
        plan: the plan as for `analyse`, with `plan_sha256` where the caller has hashed it, and `ablations`
            ({arm: {"weight", "samples", "quality", "rank"}}) for the claims on robustness and efficiency.
        registered: the plan's hash before training; the verdict says whether it has changed.
    """
    primary, settings = plan["plan"]["primary"], plan["plan"]
    sha256 = plan.get("plan_sha256") or plan_hash(plan)
    return {
        "study": plan["study"],
        "plan_sha256": sha256,
        "plan_changed": None if registered is None else registered != sha256,
        "plan": {name: settings[name] for name in ("alpha", "margin", "primary", "control")},
        "primary_arm": primary,
        "domains": {domain: _domain(analysis, plan, domain, primary) for domain in plan["domains"]},
        "claims": {
            "generality": _generality(analysis, plan),
            "efficiency": _efficiency(analysis, plan),
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
    }
    return found | {"sentence": _sentence(found, domain, arm, gain, losses, frontier, plan["plan"]["margin"])}


def _sentence(
    found: Mapping[str, Any],
    domain: str,
    arm: str,
    gain: pd.Series,
    losses: pd.DataFrame,
    frontier: pd.Series,
    margin: float,
) -> str:
    control, metric = names.arm(gain["control"]), names.metric(gain["metric"])
    if found["supported"]:
        opening = "the claim is supported"
    elif found["harmed"]:
        opening = f"not supported, and {names.arm(arm)} does harm"
    else:
        opening = "the claim is not supported"
    if found["superior"]:
        relation = f"is above {control}'s"
    elif found["harmed"] and gain["high"] < 0:
        relation = f"is below {control}'s"
    else:
        relation = f"is not shown to differ from {control}'s"
    parts = [f"{metric} {relation}: {_effect(gain)}, p = {gain['p_holm']:.2g} (Holm)"]
    for _, row in losses.iterrows():
        kept = "is not worse by" if row["holds"] else "is not shown to keep within"
        parts.append(f"{names.metric(row['metric'])} {kept} {margin:g}: {_effect(row)}")
    if found["above_frontier"] is None:
        parts.append(f"its Pass@1 lies outside {control}'s frontier, where no gain over it is defined")
    else:
        side = "above" if found["above_frontier"] else "not shown to be above"
        parts.append(f"it is {side} {control}'s temperature frontier: {_effect(frontier)}")
    return f"{names.domain(domain)}: {opening}. " + "; ".join(parts) + "."


def _effect(row: pd.Series) -> str:
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


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
        f"{names.arm(literal)}, with the same settings everywhere, is supported in {len(counts[literal])} of "
        f"{total} domains ({_listed(counts[literal])}); {names.arm(primary)}, with each domain's own D, "
        f"in {len(counts[primary])} ({_listed(counts[primary])}).",
    )


def _efficiency(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """No more parameters, no longer answers. Hours and dollars vary between runs: see the cost table."""
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
        f"{names.arm(primary)} trains an adapter of rank {ranks[0]}, {names.arm(control)} of rank {ranks[1]}"
        f"{words}. Training hours, tokens and dollars are in the cost table.",
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
        said.append(f"{names.domain(domain)}: {names.metric(metric)} {_effect(row)}, {quality}")
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
        said.append(f"λ = {weight:g}: {names.metric(gain.name[1])} {_effect(gain)}, Pass@1 {_effect(loss)}")
    return _claim(all(good), "Against the control, averaged over domains: " + "; ".join(said) + ".")


def _at_primary(frame: pd.DataFrame, plan: Mapping[str, Any]) -> pd.DataFrame:
    return frame[np.isclose(frame["temperature"], plan["sampling"]["temperature"])]


def _listed(domains: list[str]) -> str:
    return ", ".join(map(names.domain, domains)) or "none"
