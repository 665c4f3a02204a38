"""The tuned control: the best that the control can do without a diversity term, chosen on validation prompts.

LoRA has knobs too: the temperature, the learning rate, the scale of the adapter, early weights. A claim for another
objective must hold against the member of this family that a careful user would have deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polychromic.statistics.arrays import Values
from polychromic.statistics.deployed import best_temperature


@dataclass(frozen=True)
class Tuned:
    """The member of the family that was chosen in a domain.

    chosen_on: "validation", "test" (no validation prompts: the member that is best on test, which favours it) or
    "alone" (a family of one). candidates: {arm: {"pass_at_1", "pass_at_<k>", "eligible"}}, what the choice was made on.
    """

    arm: str
    chosen_on: str
    prompts: int
    candidates: dict[str, dict[str, float | bool]]


def choose(ones: Sequence[float], deep: Sequence[float], margin: float) -> int:
    """Which member: of those whose best Pass@1 is within `margin` of the first's, the one of highest best Pass@k.

    Args:
        ones, deep: best Pass@1 and best Pass@k of each member on validation prompts; the standard control first.
    """
    ones, deep = np.asarray(ones), np.asarray(deep)
    return int(np.argmax(np.where(ones >= ones[0] - margin, deep, -np.inf)))


def tuned_control(
    values: Values, domain: str, family: Sequence[str], *, control: str, deepest: str, margin: float
) -> Tuned:
    """The tuned control of a domain.

    Args:
        family: at least one arm; if `control` is among them, its Pass@1 is the one to keep, else that of the first.
        deepest: Pass@k of the largest k.
    """
    members = sorted(family, key=lambda arm: arm != control)
    validated = all(values.by_temperature(domain, arm, deepest, validation=True) for arm in members)
    found: Mapping[str, list[float]] = {
        metric: [_best(values, domain, arm, metric, validation=validated) for arm in members]
        for metric in ("pass_at_1", deepest)
    }
    ones, deep = found["pass_at_1"], found[deepest]
    chosen = choose(ones, deep, margin)
    curve = values.by_temperature(domain, members[chosen], deepest, validation=validated)
    return Tuned(
        arm=members[chosen],
        chosen_on="alone" if len(members) == 1 else "validation" if validated else "test",
        prompts=len(next(iter(curve.values()))),
        candidates={
            arm: {"pass_at_1": one, deepest: many, "eligible": bool(one >= ones[0] - margin)}
            for arm, one, many in zip(members, ones, deep, strict=True)
        },
    )


def _best(values: Values, domain: str, arm: str, metric: str, *, validation: bool) -> float:
    curve = values.by_temperature(domain, arm, metric, validation=validation)
    return float(curve[best_temperature(curve)].mean())
