"""The study's claims other than the primary one: generality, cost in use, trade-off, robustness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.statistics.analysis import Analysis

LONGER = 1.1  # answers of up to 10 % more words still count as the same cost
LAMBDAS = (0.1, 0.5)


def claims(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """{claim: {"status": "supported", "not supported" or "not run", "sentence"}}."""
    return {
        "generality": _generality(analysis, plan),
        "cost_in_use": _cost_in_use(analysis, plan),
        "trade_off": _trade_off(analysis, plan),
        "robustness": _robustness(analysis, plan),
    }


def _claim(status: bool | str, sentence: str) -> dict[str, str]:
    status = status if isinstance(status, str) else "supported" if status else "not supported"
    return {"status": status, "sentence": sentence}


def _generality(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """One recipe for every domain: read on the literal arm, whose settings are the same everywhere."""
    literal, primary = plan["plan"]["literal"], plan["plan"]["primary"]
    if literal not in plan["arms"]:
        return _claim("not run", f"The arm without task-specific settings ({literal}) was not run.")
    counts = {arm: analysis.rulings[arm].supported_in if arm in analysis.rulings else [] for arm in (literal, primary)}
    total = len(plan["domains"])
    return _claim(
        len(counts[literal]) == total,
        f"{labels.arm(literal)}, with the same settings everywhere, is supported in {_count(counts[literal], total)}; "
        f"{labels.arm(primary)}, with each domain's own D, in {_count(counts[primary], total)}.",
    )


def _cost_in_use(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """No more parameters, no longer answers. What training took varies between runs: `paper.caveats.claims` says it."""
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
        words = f"; its answers have {ratios.min():.2f} to {ratios.max():.2f} times as many words"
    return _claim(
        ranks[0] <= ranks[1] and bool((ratios <= LONGER).all()),
        f"{labels.arm(primary)}'s adapter has rank {ranks[0]}, {labels.arm(control)}'s rank {ranks[1]}{words}.",
    )


def _trade_off(analysis: Analysis, plan: Mapping[str, Any]) -> dict[str, str]:
    """More diverse answers at no worse quality, per domain."""
    primary, control = plan["plan"]["primary"], plan["plan"]["control"]
    rows = _at_primary(analysis.pairwise, plan)
    rows = rows[(rows["arm"] == primary) & (rows["control"] == control)].set_index(["domain", "metric"])
    said, good = [], []
    for domain in plan["domains"]:
        # Where the verifier tells answers apart, variety is the number of different ones.
        metric = next((m for m in ("classes", "semantic_diversity") if (domain, m) in rows.index), None)
        if metric is None:
            continue
        row, kept = rows.loc[(domain, metric)], analysis.rulings[primary].domains[domain].noninferior
        good.append(bool(row["low"] > 0 and kept))
        quality = "quality not worse" if kept else "non-inferior quality not shown"
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


def _count(found: list[str], total: int) -> str:
    """ "none of 4 domains"; "2 of 4 domains (Code, Question answering)"."""
    if not found:
        return f"none of {total} domains"
    return f"{len(found)} of {total} domains ({', '.join(map(labels.domain, found))})"
