"""verdict.json: what the study shows, in numbers and in words, from the analysis and the plan alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.statistics import readings
from polychromic.statistics.analysis import Analysis
from polychromic.statistics.claims import claims
from polychromic.statistics.inference import Comparison
from polychromic.statistics.placebos import Placebo
from polychromic.statistics.replication import replicate
from polychromic.statistics.rule import Decision, Ruling, family
from polychromic.verifiers.calibration import CEILING_PASS_5, FLOOR_PASS_1


def verdict(
    analysis: Analysis,
    plan: Mapping[str, Any],
    *,
    registered: str | None = None,
    replications: Mapping[str, Mapping[str, Any] | None] | None = None,
) -> dict[str, Any]:
    """The verdict; nulls and harms are said like gains. `docs/statistics.md` explains every key.

    A domain is `superior`, `noninferior` and `supported` by the rule (`statistics.rule`). It is `harmed` if the primary
    arm's best Pass@k is below the standard control's (Bonferroni over the domains), or if best Pass@1 or quality has an
    interval below zero and is not non-inferior. `untrained_above` holds the prompt arms whose Pass@k at the primary
    temperature is above the control's: there fine-tuning itself has cost Pass@k.

    Args:
        plan: the plan as for `analyse`, its hash as `plan_sha256`, and `ablations` ({arm: {"weight", "samples",
            "every", "quality", "rank"}}) for the claims on robustness and cost.
        registered: the plan's hash before training; the verdict says whether it has changed.
        replications: verdicts of the studies named in the plan's `replications`; None for one that is not there.
    """
    settings, primary = plan["plan"], plan["plan"]["primary"]
    ruling, sha256 = analysis.rulings[primary], plan["plan_sha256"]
    tried = {"primary": settings.get("tries", 1), "family": len(family(plan))}
    found: dict[str, Any] = {
        "study": plan["study"],
        "plan_sha256": sha256,
        "plan_changed": None if registered is None else registered != sha256,
        "plan": {name: settings[name] for name in ("alpha", "margin", "primary", "control")},
        "primary_arm": primary,
        "pooled": _pooled(ruling, plan),
        "domains": {domain: _domain(analysis, plan, domain) for domain in plan["domains"]},
        "tuned_control": {"family": family(plan), "tries": tried, "domains": _tuned(ruling)},
        "placebos": [_placebo(placebo) for placebo in analysis.placebos],
        "peers": analysis.peers,
        "settings": dict(plan.get("ablations") or {}),
        "claims": claims(analysis, plan),
        "notes": list(analysis.notes),
        "warnings": [*analysis.warnings, *_unfair(tried, primary)],
    }
    found["replication"] = replicate(found, replications or {})
    found["notes"] += [f"The replication {name} has not been run." for name in found["replication"]["missing"]]
    return found


def _unfair(tried: Mapping[str, int], primary: str) -> list[str]:
    if tried["primary"] <= tried["family"]:
        return []
    return [
        f"{tried['primary']} settings of {labels.arm(primary)} were tried on validation prompts, and the family of "
        f"controls has {tried['family']} members: the choice favours {labels.arm(primary)}."
    ]


def _interval(found: Comparison) -> dict[str, float]:
    return {name: float(getattr(found, name)) for name in ("difference", "low", "high")}


def _pooled(ruling: Ruling, plan: Mapping[str, Any]) -> dict[str, Any]:
    pooled, metric = ruling.pooled, f"pass_at_{max(plan['k'])}"
    shrunk = ruling.shrunk.get("pooled")
    return {
        "superior": pooled.superior,
        "noninferior": pooled.noninferior,
        "supported": pooled.supported,
        **_interval(pooled.gain),
        "p": float(pooled.gain.p),
        "losses": dict(zip(("pass_at_1", "quality"), map(_interval, pooled.losses), strict=True)),
        "margins": dict(zip(("pass_at_1", "quality"), pooled.margins, strict=True)),
        "shrunk_seeds": None if shrunk is None else _interval(shrunk) | {"p": float(shrunk.p)},
        "domains": len(ruling.domains),
        "sentence": readings.pooled(pooled, ruling.arm, metric, len(ruling.domains)),
    }


def _tuned(ruling: Ruling) -> dict[str, Any]:
    return {
        domain: asdict(decision.tuned) | {"temperature": decision.temperatures[1]}
        for domain, decision in ruling.domains.items()
    }


def _outcome(decision: Decision) -> dict[str, Any]:
    return {
        "superior": decision.superior,
        "noninferior": decision.noninferior,
        "supported": decision.supported,
        **_interval(decision.gain),
        "p_holm": decision.p_holm,
    }


def _placebo(placebo: Placebo) -> dict[str, Any]:
    ruling = placebo.ruling
    return {
        "name": placebo.name,
        "kind": placebo.kind,
        "arm": placebo.arm,
        "temperature": placebo.temperature,
        "supported": ruling.supported,
        "pooled": {
            **_interval(ruling.pooled.gain),
            **{name: getattr(ruling.pooled, name) for name in ("superior", "noninferior", "supported")},
        },
        "domains": {
            domain: _outcome(decision) | {"tuned_control": decision.tuned.arm}
            for domain, decision in ruling.domains.items()
        },
    }


def _domain(analysis: Analysis, plan: Mapping[str, Any], domain: str) -> dict[str, Any]:
    settings, primary = plan["plan"], plan["plan"]["primary"]
    control, alpha, metric = settings["control"], settings["alpha"], f"pass_at_{max(plan['k'])}"
    ruling = analysis.rulings[primary]
    decision = ruling.domains[domain]
    rows = analysis.hypotheses
    rows = rows[(rows["domain"] == domain) & (rows["arm"] == primary)]
    front = rows[rows["hypothesis"] == "frontier"].iloc[0]
    published = rows[(rows["hypothesis"] == "published") & (rows["metric"] == metric)].iloc[0]
    below = decision.over_control.difference < 0 and decision.over_control.p * len(plan["domains"]) < alpha
    lost = [loss for loss in decision.losses if loss.difference.high < 0 and not loss.kept]
    found = {
        **_outcome(decision),
        "above_frontier": None if pd.isna(front["holds"]) else bool(front["holds"]),
        "assessable": decision.assessable,
        "no_room": _no_room(analysis, domain, {primary, control}),
        "harmed": bool(below or lost),
        "quality_metric": plan["domains"][domain]["quality_metric"],
        "tuned_control": decision.tuned.arm,
        "temperature": decision.temperatures[0],
        "over_control": _interval(decision.over_control),
        "losses": {
            loss.metric: _interval(loss.difference) | asdict(loss.margin) | {"kept": loss.kept}
            for loss in decision.losses
        },
        "published": {name: float(published[name]) for name in ("difference", "low", "high", "p_holm")},
        "shrunk_seeds": _shrunk(ruling, domain, alpha),
        "untrained_above": _untrained_above(analysis, plan, domain, metric),
    }
    deciding = [readings.gain(decision, metric, alpha), *(readings.loss(loss, control) for loss in decision.losses)]
    beside = [
        readings.published(published),
        readings.frontier(
            front, found["above_frontier"], drawn=bool(plan["sampling"]["frontier"]), margin=settings["margin"]
        ),
        *_fine_tuning(analysis, plan, found, published),
    ]
    sentence = f"{labels.domain(domain)}: {readings.opening(found, primary)}. {_sentence('; '.join(deciding))}."
    return found | {
        "readings": [*deciding, *beside],
        "sentence": " ".join([sentence, *(f"{_sentence(text)}." for text in beside)]),
    }


def _no_room(analysis: Analysis, domain: str, arms: set[str]) -> str | None:
    """ "floor" or "ceiling" where at their best temperature hardly any or nearly all samples of these arms pass."""
    rows = analysis.summary
    rows = rows[(rows["domain"] == domain) & rows["arm"].isin(arms)]
    best = rows.groupby(["metric", "arm"])["value"].max()
    if (best.loc["pass_at_1"] < FLOOR_PASS_1).all():
        return "floor"
    return "ceiling" if "pass_at_5" in best and (best.loc["pass_at_5"] > CEILING_PASS_5).all() else None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _shrunk(ruling: Ruling, domain: str, alpha: float) -> dict[str, Any] | None:
    """The sensitivity reading of a domain, None where it cannot be computed."""
    if domain not in ruling.shrunk:
        return None
    found, p = ruling.shrunk[domain], ruling.shrunk_p_holm[domain]
    return _interval(found) | {"p_holm": p, "superior": bool(p < alpha and found.difference > 0)}


def _untrained_above(analysis: Analysis, plan: Mapping[str, Any], domain: str, metric: str) -> list[str]:
    """The prompt arms whose metric is higher than the control's by the Holm-adjusted test, the highest first."""
    rows = analysis.pairwise
    rows = rows[np.isclose(rows["temperature"], plan["sampling"]["temperature"])]
    rows = rows[(rows["domain"] == domain) & (rows["metric"] == metric) & (rows["control"] == plan["plan"]["control"])]
    prompted = rows["arm"].map(plan["arm_kinds"].get) == "prompt"
    rows = rows[prompted & (rows["p_holm"] < plan["plan"]["alpha"]) & (rows["difference"] > 0)]
    return list(rows.sort_values("difference", ascending=False)["arm"])


def _fine_tuning(
    analysis: Analysis, plan: Mapping[str, Any], found: Mapping[str, Any], published: pd.Series
) -> list[str]:
    """That fine-tuning itself cost Pass@k, and how the primary arm compares with the best untrained one."""
    if not found["untrained_above"]:
        return []
    best, control, arm = found["untrained_above"][0], published["control"], published["arm"]
    rows = analysis.pairwise
    rows = rows[np.isclose(rows["temperature"], plan["sampling"]["temperature"])]
    rows = rows[(rows["domain"] == published["domain"]) & (rows["metric"] == published["metric"])]
    rows = rows.set_index(["arm", "control"])
    cost, swapped = rows.loc[(best, control)], (best, arm) in rows.index
    left = rows.loc[(best, arm) if swapped else (arm, best)]
    low, difference, high = sorted(-left[name] if swapped else left[name] for name in ("low", "difference", "high"))
    decided = left["p_holm"] < plan["plan"]["alpha"]
    where = f"{labels.arm(arm)} is {'above' if difference > 0 else 'below'} {labels.arm(best)}"
    relation = where if decided else f"no difference shown between {labels.arm(arm)} and {labels.arm(best)}"
    metric = labels.metric(published["metric"])
    return [
        f"{labels.arm(best)}, untrained, has a higher {metric} than {labels.arm(control)} at T = "
        f"{published['temperature']:g}: {labels.effect(cost)}. So fine-tuning itself cost {metric} here; "
        f"{relation}: "
        f"{labels.effect({'low': low, 'difference': difference, 'high': high})}"
    ]
