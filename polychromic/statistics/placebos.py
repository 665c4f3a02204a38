"""Placebos: treatments that must not win, put through the whole rule like the treatment under test.

A rule that calls LoRA at another temperature, with other seeds or at a lower learning rate a success does not show
that the diversity term is one. Each placebo is held against the tuned control that is chosen without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from polychromic import labels
from polychromic.statistics.arrays import Values
from polychromic.statistics.rule import Ruling, family, rule


@dataclass(frozen=True)
class Placebo:
    """kind: "temperature", "family" or "seeds". temperature: of the first kind only."""

    name: str
    kind: str
    arm: str
    temperature: float | None
    ruling: Ruling


def run_placebos(values: Values, plan: Mapping[str, Any], rulings: Mapping[str, Ruling]) -> list[Placebo]:
    """All placebos of a study.

    Args:
        rulings: of the arms that have been ruled on already.
    """
    control, primary = plan["plan"]["control"], plan["sampling"]["temperature"]
    found = []
    for arm in plan["plan"].get("placebos", ()):
        if arm in rulings:
            found.append(Placebo(labels.arm(arm), "seeds", arm, None, rulings[arm]))
    for arm in family(plan)[1:]:
        if arm in rulings:
            found.append(Placebo(labels.arm(arm), "family", arm, None, rulings[arm]))
    temperatures = sorted(values.by_temperature(next(iter(plan["domains"])), control, "pass_at_1"))
    for temperature in temperatures if len(temperatures) > 1 else ():
        if temperature != primary:
            alias = f"{control}@{temperature:g}"
            ruling = rule(values.split_off(control, temperature, alias), plan, alias)
            name = f"{labels.arm(control)} at T = {temperature:g}"
            found.append(Placebo(name, "temperature", control, temperature, ruling))
    return found
