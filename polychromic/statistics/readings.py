"""The verdict of a domain in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.statistics.inference import Comparison
from polychromic.statistics.rule import Decision, Loss, Pooled

CHOSEN = {
    "validation": "chosen on {n} validation prompts",
    "test": "chosen on the test prompts, as there are no validation prompts",
    "alone": "the only member of the family",
}


def worse(found: Mapping[str, Any]) -> str:
    """In what a harmed arm is worse than the standard control: "significantly worse in Pass@1"; the pooled verdict and
    a lower Pass@k are "significantly worse".
    """
    lost = [labels.metric(m) for m, loss in found.get("losses", {}).items() if loss["high"] < 0 and not loss["kept"]]
    return "significantly worse" + (f" in {' and '.join(lost)}" if lost else "")


def opening(found: Mapping[str, Any], arm: str) -> str:
    """The outcome in a few words."""
    if found["supported"]:
        return "the claim is supported"
    if found["harmed"]:
        return f"not supported, and {labels.arm(arm)} is {worse(found)}"
    if found["no_room"]:
        return f"not assessable, as the domain is at its {found['no_room']} under both arms"
    if not found["assessable"]:
        return "the claim cannot be supported here, as a loss cannot be assessed"
    return "the claim is not supported"


def gain(decision: Decision, metric: str, alpha: float) -> str:
    """Best Pass@k against the tuned control."""
    own, other = decision.temperatures
    below = decision.p_holm < alpha and decision.gain.difference < 0
    chosen = CHOSEN[decision.tuned.chosen_on].format(n=decision.tuned.prompts)
    control = f"the tuned control, {labels.arm(decision.tuned.arm)} (T = {other:g}; {chosen})"
    own_best = f"best {labels.metric(metric)} (T = {own:g})"
    found = f"{effect(decision.gain)}, {labels.p_value(decision.p_holm)} (Holm)"
    if decision.superior or below:
        return f"{own_best} is {'above' if decision.superior else 'below'} that of {control}: {found}"
    return f"no difference is shown between {own_best} and that of {control}: {found}"


def loss(found: Loss, control: str) -> str:
    """One half of non-inferiority."""
    metric, name, gained = labels.metric(found.metric), labels.arm(control), found.margin.gain
    if found.kept is None:
        return (
            f"{metric}: a loss is not assessable, as {name} gained nothing over the best untrained arm "
            f"({signed(gained)}); the difference is {effect(found.difference)}"
        )
    capped = gained is not None and found.margin.value == gained / 2
    why = f", half of what {name} gained over the best untrained arm" if capped else ""
    shown = "non-inferior" if found.kept else "non-inferiority not shown"
    difference = f"{effect(found.difference)} against {name}"
    return f"best {metric}: {shown} at a margin of {found.margin.value:.3g}{why}: {difference}"


def published(row: pd.Series) -> str:
    """The reading of the published design: one temperature, against the standard control."""
    return (
        f"published reading, at T = {row['temperature']:g} for both, which does not decide: "
        f"{labels.metric(row['metric'])} {labels.effect(row)} against {labels.arm(row['control'])}"
    )


def frontier(row: pd.Series, above: bool | None, *, drawn: bool, margin: float) -> str:
    """The gain at the primary temperature over the control's whole frontier."""
    control = labels.arm(row["control"])
    if not drawn:
        return f"{control}'s temperature frontier was not drawn: the study samples at one temperature"
    if above is None:
        return (
            f"at T = {row['temperature']:g} its Pass@1 is below {control}'s at any temperature, where no gain over the "
            "frontier is defined"
        )
    shown = "above" if above else "no gain shown over"
    return (
        f"at T = {row['temperature']:g}, {shown} {control}'s temperature frontier, {control} giving up {margin:g} of "
        f"Pass@1 too: {labels.effect(row)}"
    )


def pooled(found: Pooled, arm: str, metric: str, domains: int) -> str:
    """The headline: one test over all domains."""
    if domains == 1:
        where, over = "", ""
    else:
        where, over = f"Over {domains} domains pooled, ", " (one test, equal weights)"
    name, metric = labels.arm(arm), labels.metric(metric)
    if not all(margin > 0 for margin in found.margins):
        cost = "whether the single answer is worse cannot be assessed, as fine-tuning gained nothing there"
    else:
        shown = "is not worse by the margin" if found.noninferior else "is not shown to be non-inferior"
        losses = " and ".join(
            f"{part} {effect(value)}, margin {margin:.3f}"
            for part, value, margin in zip(("Pass@1", "quality"), found.losses, found.margins, strict=True)
        )
        cost = f"the single answer {shown} ({losses})"
    if found.superior or found.gain.high < 0:
        side = "above" if found.superior else "below"
        gain = f"{name}'s best {metric} is {side} the tuned control's{over}: {effect(found.gain)}"
    else:
        between = f"{name}'s best {metric} and the tuned control's"
        gain = f"no difference is shown between {between}{over}: {effect(found.gain)}"
    text = f"{where}{gain}; {cost}."
    return text[:1].upper() + text[1:]


def effect(found: Comparison) -> str:
    """+0.102 [−0.004, +0.208]."""
    return labels.effect({"difference": found.difference, "low": found.low, "high": found.high})


def signed(value: float) -> str:
    """+0.036, with a minus sign."""
    return f"{value:+.3f}".replace("-", "−") if np.isfinite(value) else "–"
