"""What a study of a given size can see, simulated before training with the very test that will decide.

A planted study draws, on the logit scale, an ability per prompt, how it differs between arms and between
training seeds, and a level per training seed and arm; each sample then passes or not. Both halves of the
claim are asked: which gain in Pass@k would be found, and how often a loss of zero would be shown to be
smaller than the margin.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from polychromic.errors import StudyError
from polychromic.metrics.passk import pass_at_k
from polychromic.statistics.inference import two_way_t

TARGET = 0.8  # the conventional power
SHIFTS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)  # planted gains, logit


@dataclass(frozen=True)
class Planted:
    """Sizes of the effects in a planted study: standard deviations on the logit scale, except `pass_rate`."""

    pass_rate: float = 0.3
    """Pass@1 of the control."""
    prompt: float = 1.5
    prompt_arm: float = 0.5
    """How the arms differ from prompt to prompt."""
    prompt_seed: float = 0.5
    """How the adapters of one arm differ from prompt to prompt."""
    seed: float = 0.15
    """How the adapters of one arm differ over all prompts."""

    @property
    def spread(self) -> float:
        """Standard deviation of all effects together."""
        return float(np.sqrt(self.prompt**2 + self.prompt_arm**2 + self.prompt_seed**2 + self.seed**2))

    def expected(self, k: int, shift: float = 0.0) -> float:
        """Pass@k over all prompts and seeds when every logit is raised by `shift`."""
        return _average(k, self.base + shift, self.spread)

    @property
    def base(self) -> float:
        """The mean logit at which Pass@1 is `pass_rate`."""
        return brentq(lambda base: _average(1, base, self.spread) - self.pass_rate, -30, 30)

    def shift_for(self, k: int, gain: float) -> float:
        """The shift that raises Pass@k by `gain`."""
        now = self.expected(k)
        if not 0 <= now + gain < 1:
            raise StudyError(f"Pass@{k} is {now:.2f} under these assumptions and cannot rise by {gain}.")
        return brentq(lambda shift: self.expected(k, shift) - now - gain, 0, 60)


def simulate(
    rng: np.random.Generator,
    planted: Planted,
    *,
    studies: int,
    prompts: int,
    seeds: int,
    samples: int,
    shift: float = 0.0,
    shared_seed: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Passing samples of treatment and control, two integer arrays [studies, prompts, seeds].

    shift: raises the treatment's logits. shared_seed: correlation of the seed effect between arms (0 to 1).
    """
    ability = planted.base + planted.prompt * rng.standard_normal((studies, prompts, 1))
    shared = np.sqrt(shared_seed) * rng.standard_normal((studies, 1, seeds))
    arms = []
    for raised in (shift, 0.0):
        own = np.sqrt(1 - shared_seed) * rng.standard_normal((studies, 1, seeds))
        logit = (
            ability
            + raised
            + planted.prompt_arm * rng.standard_normal((studies, prompts, 1))
            + planted.prompt_seed * rng.standard_normal((studies, prompts, seeds))
            + planted.seed * (shared + own)
        )
        arms.append(rng.binomial(samples, expit(logit)))
    return arms[0], arms[1]


def pass_table(samples: int, k: int) -> np.ndarray:
    """Pass@k of a prompt by its number of passing samples, 0 to `samples`."""
    return pass_at_k(samples, np.arange(samples + 1), k)


def power(
    *,
    prompts: int,
    samples: int,
    seeds: int,
    k: int = 10,
    alpha: float = 0.05,
    margin: float = 0.05,
    domains: int = 1,
    planted: Planted | None = None,
    studies: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """The smallest gain and margin that a study of this size sees 80 % of the time, per domain.

    Args:
        domains: Holm over this many; the gain is asked at alpha / domains, its first and strictest step, too.
        margin: accepted loss of Pass@1; the interval behind it is the two-sided one at 1 - alpha.

    Returns:
        JSON-ready: `smallest_effect`, `smallest_effect_holm` (Pass@k; None if no gain that was tried is
        enough), `smallest_margin` (Pass@1), `noninferiority_power` at `margin`, `curve` (power by gain), the
        assumptions.
    """
    if samples < k:
        raise StudyError(f"power: pass@{k} needs at least {k} samples a prompt, not {samples}.")
    planted = planted or Planted()
    size = {"studies": studies, "prompts": prompts, "seeds": seeds, "samples": samples}
    at_k, at_1 = pass_table(samples, k), pass_table(samples, 1)
    now, curve, lows = planted.expected(k), [], np.empty(0)
    for shift in SHIFTS:
        treatment, control = simulate(np.random.default_rng(seed), planted, shift=shift, **size)
        found = two_way_t(at_k[treatment], at_k[control])
        above = found.difference > 0
        curve.append(
            {
                "effect": planted.expected(k, shift) - now,
                "power": float((above & (found.p < alpha)).mean()),
                "power_holm": float((above & (found.p < alpha / domains)).mean()),
            }
        )
        if shift == 0:
            lows = two_way_t(at_1[treatment], at_1[control], level=1 - alpha).low
    return {
        **{key: value for key, value in size.items() if key != "studies"},
        "k": k,
        "alpha": alpha,
        "domains": domains,
        "smallest_effect": _reached(curve, "power"),
        "smallest_effect_holm": _reached(curve, "power_holm"),
        "smallest_margin": float(np.quantile(-lows, TARGET)),
        "margin": margin,
        "noninferiority_power": float((lows > -margin).mean()),
        "curve": curve,
        "target": TARGET,
        "simulated_studies": studies,
        "assumed": asdict(planted) | {f"pass_at_{k}": now},
        "sentence": "",
    }


def power_of_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """`power` of a configured study, with a sentence that says it in words.

    Args:
        plan: the analysis plan (`seeds`, `sampling`, `domains`, `k` and `plan` with alpha, margin, seed).
    """
    result = power(
        prompts=plan["sampling"]["test_prompts"],
        samples=plan["sampling"]["samples"],
        seeds=len(plan["seeds"]),
        k=max(plan["k"]),
        alpha=plan["plan"]["alpha"],
        margin=plan["plan"]["margin"],
        domains=len(plan["domains"]),
        seed=plan["plan"]["seed"],
    )
    effect, strict = result["smallest_effect"], result["smallest_effect_holm"]
    k = result["k"]
    size = f"{result['prompts']} prompts x {result['samples']} samples x {result['seeds']} seeds"
    if effect is None:
        most = result["curve"][-1]["effect"]
        gain = f"no gain in Pass@{k} that was tried (up to {most:.2f}) is found 80 % of the time"
    else:
        gain = f"a gain of {effect:.3f} in Pass@{k} is found 80 % of the time"
        gain += f" ({strict:.3f} at Holm's strictest step over {result['domains']} domains)" if strict else ""
    result["sentence"] = (
        f"With {size} a domain, {gain}; an arm that loses nothing in Pass@1 passes non-inferiority at "
        f"{result['margin']:g} in {result['noninferiority_power']:.0%} of studies, and in 80 % at a margin "
        f"of {result['smallest_margin']:.3f}."
    )
    return result


def _reached(curve: list[dict[str, float]], column: str) -> float | None:
    """The first effect at which the power reaches the target, linear between simulated ones."""
    for before, after in pairwise(curve):
        if before[column] < TARGET <= after[column]:
            return float(np.interp(TARGET, [before[column], after[column]], [before["effect"], after["effect"]]))
    return None


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)


def _average(k: int, base: float, spread: float) -> float:
    """E[1 - (1 - p)^k] for logit p ~ N(base, spread^2)."""
    return float((_WEIGHTS * (1 - expit(-(base + spread * _NODES)) ** k)).sum() / _WEIGHTS.sum())
