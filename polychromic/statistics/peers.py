"""All arms side by side as they would be deployed: who is on the front of best Pass@1 and best Pass@k?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polychromic import labels
from polychromic.statistics.arrays import Values
from polychromic.statistics.deployed import best_of, best_temperature
from polychromic.statistics.rule import family

EXTREME = 5.0
"""An arm's seed SD over the control's from which the rule's error rates no longer hold. With three seeds each, equal
spreads reach this ratio in 4 % of comparisons."""
COLLAPSED = 0.5
"""A seed has collapsed if its best Pass@1 is below this share of the median of the arm's other seeds."""


def compare_peers(values: Values, plan: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By domain, a row an arm: best Pass@1 and best Pass@k with intervals, differences from the primary arm, seed SD.

    `on_front`: no other arm is at least as good in both and better in one. An arm with one seed among several has no
    intervals over seeds and no differences.
    """
    return {domain: _domain(values, plan, domain) for domain in plan["domains"]}


def _domain(values: Values, plan: Mapping[str, Any], domain: str) -> list[dict[str, Any]]:
    settings, deepest = plan["plan"], f"pass_at_{max(plan['k'])}"
    options = {"replicates": settings["replicates"], "seed": settings["seed"]}
    level, lonely = 1 - settings["alpha"], values.of_one_seed()
    rows = []
    for arm in plan["arms"]:
        row: dict[str, Any] = {"arm": arm, "role": _role(plan, arm)}
        for name, metric in (("pass_at_1", "pass_at_1"), ("pass_at_k", deepest)):
            own = values.by_temperature(domain, arm, metric)
            mean = best_of(own, **options).interval(level)
            row[name] = {
                "value": float(mean.difference),
                "low": max(0.0, float(mean.low)),
                "high": min(1.0, float(mean.high)),
                "temperature": best_temperature(own),
            }
            if arm != settings["primary"] and arm not in lonely:
                other = values.by_temperature(domain, settings["primary"], metric)
                gap = best_of(own, other, **options).interval(level)
                row[name]["from_primary"] = {k: float(getattr(gap, k)) for k in ("difference", "low", "high", "p")}
        curve = values.by_temperature(domain, arm, deepest)
        best = curve[best_temperature(curve)]
        row |= {"n_prompts": len(best), "n_seeds": best.shape[1], "n_temperatures": len(curve)}
        row["seed_sd"] = float(best.mean(0).std(ddof=1)) if best.shape[1] > 1 else None
        rows.append(row)
    points = np.array([[row["pass_at_1"]["value"], row["pass_at_k"]["value"]] for row in rows])
    for row, point in zip(rows, points, strict=True):
        row["on_front"] = not ((points >= point).all(1) & (points > point).any(1)).any()
    return rows


def _role(plan: Mapping[str, Any], arm: str) -> str:
    settings = plan["plan"]
    if arm == settings["primary"]:
        return "primary"
    if arm in family(plan):
        return "control"
    if arm in settings.get("placebos", ()):
        return "placebo"
    return "untrained" if plan["arm_kinds"][arm] == "prompt" else "peer"


def seed_warnings(values: Values, plan: Mapping[str, Any], peers: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """Where seeds differ so much that the rule's error rates do not hold, in words."""
    found = []
    for domain, rows in peers.items():
        control = next(row for row in rows if row["arm"] == plan["plan"]["control"])
        for row in rows:
            where = f"{labels.domain(domain)}, {labels.arm(row['arm'])}"
            decides = row["role"] not in ("peer", "untrained")
            if decides and row["seed_sd"] and control["seed_sd"] and row["seed_sd"] > EXTREME * control["seed_sd"]:
                found.append(
                    f"{where}: its seeds differ {row['seed_sd'] / control['seed_sd']:.0f} times as much as "
                    f"{labels.arm(control['arm'])}'s (SD {row['seed_sd']:.3f} against {control['seed_sd']:.3f}): false "
                    "positives are more frequent than stated."
                )
            curve = values.by_temperature(domain, row["arm"], "pass_at_1")
            means = curve[best_temperature(curve)].mean(0)
            for i, mean in enumerate(means):
                others = np.delete(means, i)
                if len(others) and mean < COLLAPSED * np.median(others):
                    found.append(
                        f"{where}: one seed has collapsed (Pass@1 {mean:.3f}, the others {np.median(others):.3f}): its "
                        "intervals cannot be relied on."
                    )
    return found


def censored(plan: Mapping[str, Any], peers: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """Control and primary arms whose best Pass@k is at the last temperature of the grid, in words."""
    last = max([plan["sampling"]["temperature"], *plan["sampling"]["frontier"]])
    found: dict[str, list[str]] = {}
    for domain, rows in peers.items():
        for row in rows:
            decides = row["role"] in ("primary", "control") and row["n_temperatures"] > 1
            if decides and row["pass_at_k"]["temperature"] == last:
                found.setdefault(row["arm"], []).append(labels.domain(domain))
    return [
        f"{labels.arm(arm)}'s best temperature for Pass@{max(plan['k'])} is the last of the grid, {last:g}, in "
        f"{', '.join(domains)}: its best may be beyond. Add a higher one to sampling.frontier."
        for arm, domains in found.items()
    ]
