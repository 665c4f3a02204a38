"""The rule that decides: is an arm better than the tuned control, at no cost beyond the margin?

Every arm is read at its own best temperature (`deployed`). It is *superior* where its best Pass@k is above that of the
tuned control (`tuned`), Holm-adjusted over the domains, and *non-inferior* where neither its best Pass@1 nor its best
quality metric can have fallen below the standard control's by the margin. Pooled over the domains this is one test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polychromic.errors import StudyError
from polychromic.statistics.arrays import Values
from polychromic.statistics.deployed import best_of, best_temperature
from polychromic.statistics.inference import Comparison, Parts, bonferroni_level, holm, pool, shrink_seeds
from polychromic.statistics.tuned import Tuned, tuned_control


@dataclass(frozen=True)
class Margin:
    """The accepted loss of one metric. value is None where non-inferiority cannot be assessed.

    gain: what the control gained over the best untrained arm, at the temperatures that both were sampled at; None
    where the study has no untrained arm, so the plan's margin is not capped.
    """

    value: float | None
    gain: float | None


@dataclass(frozen=True)
class Loss:
    """One half of non-inferiority: the difference from the standard control in one metric, and its margin."""

    metric: str
    difference: Comparison
    simultaneous: Comparison
    margin: Margin
    temperatures: tuple[float, float]

    @property
    def kept(self) -> bool | None:
        """Whether a loss of the margin is excluded; None where that cannot be assessed."""
        if self.margin.value is None:
            return None
        return bool(self.difference.low > -self.margin.value)


@dataclass(frozen=True)
class Decision:
    """The rule, applied to one arm in one domain. temperatures: the best of the arm and of the tuned control."""

    tuned: Tuned
    gain: Comparison
    simultaneous: Comparison
    p_holm: float
    over_control: Comparison
    losses: tuple[Loss, ...]
    temperatures: tuple[float, float]
    superior: bool
    parts: Parts

    @property
    def noninferior(self) -> bool:
        return all(loss.kept for loss in self.losses)

    @property
    def assessable(self) -> bool:
        return all(loss.margin.value is not None for loss in self.losses)

    @property
    def supported(self) -> bool:
        return self.superior and self.noninferior


@dataclass(frozen=True)
class Pooled:
    """The rule on the mean over domains. margins: of Pass@1 and quality, a domain that is not assessable counts 0."""

    gain: Comparison
    losses: tuple[Comparison, Comparison]
    margins: tuple[float, float]
    superior: bool

    @property
    def noninferior(self) -> bool:
        return all(m > 0 and loss.low > -m for loss, m in zip(self.losses, self.margins, strict=True))

    @property
    def supported(self) -> bool:
        return self.superior and self.noninferior


@dataclass(frozen=True)
class Ruling:
    """The rule, applied to one arm: by domain, pooled, and with seed variances shrunk over the domains.

    shrunk: {domain or "pooled": comparison}; empty for one domain or one seed.
    """

    arm: str
    domains: dict[str, Decision]
    pooled: Pooled
    shrunk: dict[str, Comparison]
    shrunk_p_holm: dict[str, float]

    @property
    def supported_in(self) -> list[str]:
        return [domain for domain, found in self.domains.items() if found.supported]

    @property
    def supported(self) -> bool:
        """Whether the claim is supported anywhere: in a domain or pooled."""
        return bool(self.supported_in) or self.pooled.supported


def family(plan: Mapping[str, Any]) -> list[str]:
    """The arms that the tuned control is chosen from, the standard control first."""
    control = plan["plan"]["control"]
    return [control, *(arm for arm in plan["plan"].get("controls", ()) if arm != control)]


def rule(values: Values, plan: Mapping[str, Any], arm: str) -> Ruling:
    """Apply the rule to an arm, against the family without it.

    Raises:
        StudyError: a metric of the plan was not measured, or the arm has one seed where the control has several.
    """
    alpha = plan["plan"]["alpha"]
    drafts = {domain: _draft(values, plan, domain, arm) for domain in plan["domains"]}
    adjusted = holm([draft.gain.p for draft in drafts.values()])
    domains = {
        domain: replace(draft, p_holm=float(p), superior=bool(p < alpha and draft.gain.difference > 0))
        for (domain, draft), p in zip(drafts.items(), adjusted, strict=True)
    }
    found = list(domains.values())
    gain = pool([decision.gain for decision in found], level=1 - alpha)
    pooled = Pooled(
        gain=gain,
        losses=tuple(pool([d.losses[i].difference for d in found], level=1 - alpha) for i in (0, 1)),
        margins=tuple(float(np.mean([d.losses[i].margin.value or 0.0 for d in found])) for i in (0, 1)),
        superior=bool(gain.low > 0),
    )
    shrunk: dict[str, Comparison] = {}
    p_holm: dict[str, float] = {}
    if len(found) > 1 and found[0].parts.seeds:
        parts = shrink_seeds([decision.parts for decision in found], plan["plan"].get("prior_df", 4.0))
        comparisons = [part.interval(1 - alpha) for part in parts]
        shrunk = dict(zip(domains, comparisons, strict=True)) | {"pooled": pool(comparisons, level=1 - alpha)}
        p_holm = dict(zip(domains, map(float, holm([c.p for c in comparisons])), strict=True))
        p_holm["pooled"] = float(shrunk["pooled"].p)
    return Ruling(arm, domains, pooled, shrunk, p_holm)


def _draft(values: Values, plan: Mapping[str, Any], domain: str, arm: str) -> Decision:
    """The decision before Holm's adjustment."""
    settings, deepest = plan["plan"], f"pass_at_{max(plan['k'])}"
    control, level = settings["control"], 1 - settings["alpha"]
    strict = bonferroni_level(level, len(plan["domains"]))
    options = {"replicates": settings["replicates"], "seed": settings["seed"]}

    def curve(name: str, metric: str) -> dict[float, np.ndarray]:
        found = values.by_temperature(domain, name, metric)
        if not found:
            raise StudyError(
                f"{domain}/{name}: the plan's metric {metric} was not measured; its column is missing or empty in "
                "quality.parquet."
            )
        return found

    members = [name for name in family(plan) if name != arm]
    tuned = tuned_control(values, domain, members, control=control, deepest=deepest, margin=settings["margin"])
    own, other = curve(arm, deepest), curve(tuned.arm, deepest)
    parts = best_of(own, other, **options)
    losses = []
    for metric in ("pass_at_1", plan["domains"][domain]["quality_metric"]):
        mine, standard = curve(arm, metric), curve(control, metric)
        loss = best_of(mine, standard, **options)
        losses.append(
            Loss(
                metric,
                loss.interval(level),
                loss.interval(strict),
                margin_of(values, plan, domain, metric),
                (best_temperature(mine), best_temperature(standard)),
            )
        )
    same = tuned.arm == control
    return Decision(
        tuned=tuned,
        gain=parts.interval(level),
        simultaneous=parts.interval(strict),
        p_holm=np.nan,
        over_control=(parts if same else best_of(own, curve(control, deepest), **options)).interval(level),
        losses=tuple(losses),
        temperatures=(best_temperature(own), best_temperature(other)),
        superior=False,
        parts=parts,
    )


def margin_of(values: Values, plan: Mapping[str, Any], domain: str, metric: str) -> Margin:
    """The smaller of the plan's margin and half of what the control gained over the best untrained arm.

    A margin larger than that would let an arm pass that has lost all that fine-tuning taught.
    """
    limit, control = plan["plan"]["margin"], values.by_temperature(domain, plan["plan"]["control"], metric)
    gains = []
    for arm in plan["arms"]:
        if plan["arm_kinds"][arm] == "prompt":
            untrained = values.by_temperature(domain, arm, metric)
            shared = sorted(set(untrained) & set(control))
            if shared:
                best = [max(float(np.nanmean(curve[t])) for t in shared) for curve in (control, untrained)]
                gains.append(best[0] - best[1])
    if not gains:
        return Margin(limit, None)
    gain = min(gains)
    return Margin(min(limit, gain / 2) if gain > 0 else None, gain)
