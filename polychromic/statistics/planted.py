"""Simulated studies with a known truth, for the power before training and for the error rates of the rule.

On the logit scale a prompt has an ability; an arm turns it into a chance to pass, at each temperature with its own
mean and sharpness; arms differ from prompt to prompt, adapters of one arm from prompt to prompt and as a whole. Each
sample then passes or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from polychromic.errors import StudyError
from polychromic.metrics.passk import pass_at_k

Array = np.ndarray
# Mean and spread of the logit over prompts by temperature: hotter is worse on average and less sure, so Pass@1 falls
# while Pass@10 first rises (to about T = 1.3), then falls.
TEMPERATURES = (0.5, 0.7, 1.0, 1.3, 1.6, 2.0)
MEANS = (-2.6, -2.4, -2.0, -1.9, -2.5, -3.8)
SPREADS = (5.0, 4.0, 2.5, 1.7, 1.3, 1.1)


@dataclass(frozen=True)
class Skill:
    """An arm. Standard deviations are on the logit scale."""

    shift: float = 0.0
    """Added to every logit."""
    sharpness: float = 1.0
    """Factor on the spread over prompts: below 1, success moves from the surest prompts to the others."""
    prompt_arm: float = 0.5
    """How the arm differs from others from prompt to prompt."""
    prompt_seed: float = 0.5
    """How its adapters differ from prompt to prompt."""
    seed: float = 0.15
    """How its adapters differ over all prompts."""
    collapse: float = 0.0
    """The chance that a seed collapses: three logits lower."""

    def expected(self, k: int, temperature: float) -> float:
        """Pass@k over all prompts and seeds, of adapters that do not collapse."""
        mean, spread = curve(temperature)
        noise = self.prompt_arm**2 + self.prompt_seed**2 + self.seed**2
        at = mean + self.shift + np.sqrt((self.sharpness * spread) ** 2 + noise) * _NODES
        return float((_WEIGHTS * (1 - expit(-at) ** k)).sum() / _WEIGHTS.sum())

    def best(self, k: int, temperatures: Sequence[float] = TEMPERATURES) -> float:
        """Pass@k at the best temperature."""
        return max(self.expected(k, temperature) for temperature in temperatures)


def curve(temperature: float) -> tuple[float, float]:
    """Mean and spread of the logit over prompts at a temperature, linear between those of the table."""
    return tuple(float(np.interp(temperature, TEMPERATURES, values)) for values in (MEANS, SPREADS))


def with_gain(
    control: Skill, gain: float, loss: float = 0.0, *, k: int = 10, temperatures: Sequence[float] = TEMPERATURES
) -> Skill:
    """The control, changed so that its best Pass@k is higher by `gain` and its best Pass@1 lower by `loss`.

    Raises:
        StudyError: no such arm.
    """
    one, deep = control.best(1, temperatures) - loss, control.best(k, temperatures) + gain

    def at(sharpness: float) -> Skill:
        changed = replace(control, sharpness=sharpness)
        shift = brentq(lambda shift: replace(changed, shift=shift).best(1, temperatures) - one, -6, 6)
        return replace(changed, shift=shift)

    try:
        sharpness = brentq(lambda sharpness: at(sharpness).best(k, temperatures) - deep, 0.05, 3)
    except ValueError:
        raise StudyError(
            f"No planted arm has a best Pass@{k} of {deep:.2f} and a best Pass@1 of {one:.2f}: plant a smaller gain."
        ) from None
    return at(sharpness)


@dataclass(frozen=True)
class Adapters:
    """The trained adapters of one arm in several studies: their skill and the level of each seed."""

    skill: Skill
    levels: Array
    """[studies, 1, seeds, 1]"""

    def passing(
        self, rng: np.random.Generator, ability: Array, temperatures: Sequence[float], samples: int = 10
    ) -> Array:
        """Passing samples [studies, prompts, seeds, temperatures] on prompts of these abilities [studies, prompts]."""
        studies, prompts = ability.shape
        seeds, skill = self.levels.shape[2], self.skill
        own = skill.prompt_arm * rng.standard_normal((studies, prompts, 1, 1))
        own = own + skill.prompt_seed * rng.standard_normal((studies, prompts, seeds, 1)) + self.levels + skill.shift
        mean, spread = np.array([curve(t) for t in temperatures]).T
        chance = expit(mean + skill.sharpness * spread * ability[..., None, None] + own)
        return rng.binomial(samples, chance)


def train(rng: np.random.Generator, skill: Skill, studies: int, seeds: int) -> Adapters:
    """Draw the adapters of an arm: the level of each seed in each study."""
    size = (studies, 1, seeds, 1)
    return Adapters(skill, skill.seed * rng.standard_normal(size) - 3.0 * (rng.random(size) < skill.collapse))


def pass_table(samples: int, k: int) -> Array:
    """Pass@k of a prompt by its number of passing samples, 0 to `samples`."""
    return pass_at_k(samples, np.arange(samples + 1), k)


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
