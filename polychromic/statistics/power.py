"""What a study of a given size can see, simulated before training with the very rule that will decide.

Both halves of the claim are covered: which gain in best-temperature Pass@k would be found, in a domain and pooled, and
how often an arm that loses nothing would be shown to keep within the margin.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from polychromic.errors import StudyError
from polychromic.statistics.deployed import best_parts
from polychromic.statistics.inference import Comparison, pool
from polychromic.statistics.planted import TEMPERATURES, Skill, pass_table, train, with_gain

TARGET = 0.8  # the conventional power
GAINS = (0.0, 0.03, 0.045, 0.065, 0.09, 0.12, 0.16, 0.2)
REFERENCE = 0.065  # the gain for which the number of seeds is computed
SEEDS = (3, 5, 8, 12)
REPLICATES = 200  # of the bootstrap in each simulated study


def power(
    *,
    prompts: int,
    samples: int,
    seeds: int,
    k: int = 10,
    temperatures: tuple[float, ...] = TEMPERATURES,
    alpha: float = 0.05,
    margin: float = 0.05,
    domains: int = 1,
    control: Skill | None = None,
    studies: int = 200,
    seed: int = 0,
) -> dict[str, Any]:
    """The smallest gain and margin that a study of this size sees 80 % of the time, in a domain and pooled.

    Args:
        domains: Holm over this many; the gain is tested at alpha / domains, its first and strictest step, too.
        margin: accepted loss of Pass@1, not capped; the interval behind it is the two-sided one at 1 - alpha.
        control: a planted arm; the treatment is the same with a gain in best Pass@k and none in best Pass@1.

    Returns:
        JSON-ready: `smallest_effect`, `smallest_effect_holm`, `smallest_effect_pooled` (None if no gain that was tried
        is enough), `smallest_margin` (Pass@1), `noninferiority_power` at `margin`, `curve` (power by gain), `seeds_for`
        (how many seeds find a gain of 0.065 80 % of the time), the assumptions.
    """
    if samples < k:
        raise StudyError(f"power: pass@{k} needs at least {k} samples a prompt, not {samples}.")
    control = control or Skill()
    size = {"prompts": prompts, "samples": samples, "k": k, "temperatures": temperatures, "domains": domains}
    drawn = {**size, "studies": studies, "seed": seed, "alpha": alpha}
    curve, lows = [], np.empty(0)
    for gain in GAINS:
        try:
            treatment = with_gain(control, gain, k=k, temperatures=temperatures)
        except StudyError:
            break
        found, losses = _simulated(treatment, control, seeds=seeds, **drawn)
        curve.append({"effect": gain, **_power(found, alpha, domains)})
        if gain == 0:
            lows = losses.low
    return {
        **{name: value for name, value in size.items() if name != "temperatures"},
        "temperatures": list(temperatures),
        "seeds": seeds,
        "alpha": alpha,
        "smallest_effect": _reached(curve, "power"),
        "smallest_effect_holm": _reached(curve, "power_holm"),
        "smallest_effect_pooled": _reached(curve, "power_pooled"),
        "smallest_margin": float(np.quantile(-lows, TARGET)),
        "margin": margin,
        "noninferiority_power": float((lows > -margin).mean()),
        "curve": curve,
        "seeds_for": _seeds_for(control, seeds, drawn),
        "target": TARGET,
        "simulated_studies": studies,
        "assumed": asdict(control)
        | {f"best_pass_at_{n}": control.best(n, temperatures) for n in dict.fromkeys((1, k))},
        "sentence": "",
    }


def _simulated(
    treatment: Skill,
    control: Skill,
    *,
    prompts: int,
    seeds: int,
    samples: int,
    k: int,
    temperatures: tuple[float, ...],
    domains: int,
    studies: int,
    seed: int,
    alpha: float,
) -> tuple[Comparison, Comparison]:
    """Best Pass@k and best Pass@1, treatment minus control, in studies x domains."""
    rng = np.random.default_rng(seed)
    ability = rng.standard_normal((studies * domains, prompts))
    passing = [
        train(rng, skill, len(ability), seeds).passing(rng, ability, temperatures, samples)
        for skill in (treatment, control)
    ]
    found, losses = (
        best_parts([pass_table(samples, n)[arm] for arm in passing], replicates=REPLICATES).interval(1 - alpha)
        for n in (k, 1)
    )
    return found, losses


def _power(found: Comparison, alpha: float, domains: int) -> dict[str, float]:
    above = found.difference > 0
    by_domain = [found.at(slice(i, None, domains)) for i in range(domains)]
    return {
        "power": float((above & (found.p < alpha)).mean()),
        "power_holm": float((above & (found.p < alpha / domains)).mean()),
        "power_pooled": float((pool(by_domain, level=1 - alpha).low > 0).mean()),
    }


def _seeds_for(control: Skill, seeds: int, drawn: dict[str, Any]) -> dict[str, Any]:
    """How many seeds find the reference gain 80 % of the time at this many prompts; None where none tried is enough."""
    needed: dict[str, Any] = {"gain": REFERENCE, "pooled": None, "domain": None}
    try:
        treatment = with_gain(control, REFERENCE, k=drawn["k"], temperatures=drawn["temperatures"])
    except StudyError:
        return needed
    for count in sorted({seeds, *SEEDS}):
        found = _power(_simulated(treatment, control, seeds=count, **drawn)[0], drawn["alpha"], drawn["domains"])
        for name, column in (("pooled", "power_pooled"), ("domain", "power")):
            if needed[name] is None and found[column] >= TARGET:
                needed[name] = count
        if needed["domain"]:
            break
    return needed


def power_of_plan(plan: dict[str, Any]) -> dict[str, Any]:
    """`power` of a configured study, with a sentence that says it in words.

    Args:
        plan: the analysis plan (`seeds`, `sampling`, `domains`, `k` and `plan` with alpha, margin, seed).
    """
    sampling = plan["sampling"]
    result = power(
        prompts=sampling["test_prompts"],
        samples=sampling["samples"],
        seeds=len(plan["seeds"]),
        k=max(plan["k"]),
        temperatures=tuple(sorted({sampling["temperature"], *sampling["frontier"]})),
        alpha=plan["plan"]["alpha"],
        margin=plan["plan"]["margin"],
        domains=len(plan["domains"]),
        seed=plan["plan"]["seed"],
    )
    k, pooled = result["k"], result["smallest_effect_pooled"]
    size = f"{result['prompts']} prompts × {result['samples']} samples × {result['seeds']} seeds"
    most, needed = result["curve"][-1]["effect"], result["seeds_for"]

    def found(gain: float | None) -> str:
        if gain is None:
            return f"no gain that was tried (up to {most:.2f}) is found 80 % of the time"
        return f"a gain of {gain:.3f} is found 80 % of the time"

    alone = "in a domain, after Holm's adjustment," if result["domains"] > 1 else "in the domain"
    over = f"; pooled over {result['domains']} domains, {found(pooled)}" if result["domains"] > 1 else ""
    seeds = f"{needed['domain']} seeds" if needed["domain"] else f"more than {max(SEEDS)} seeds"
    result["sentence"] = (
        f"With {size} a domain and Pass@{k} at the best temperature, {alone} "
        f"{found(result['smallest_effect_holm'])}{over}; a gain of {needed['gain']:g} in a single domain takes {seeds}."
        f" An arm that loses nothing in Pass@1 passes non-inferiority at {result['margin']:g} in "
        f"{result['noninferiority_power']:.0%} of studies, and in 80 % at a margin of {result['smallest_margin']:.3f}."
    )
    return result


def _reached(curve: list[dict[str, float]], column: str) -> float | None:
    """The first effect at which the power reaches the target, linear between simulated ones."""
    for before, after in pairwise(curve):
        if before[column] < TARGET <= after[column]:
            return float(np.interp(TARGET, [before[column], after[column]], [before["effect"], after["effect"]]))
    return None
