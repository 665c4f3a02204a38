"""Error rates and power of the rule that decides the verdict, on simulated studies.

    python -m benchmarks.inference [--studies 400] [--seed 0] [--replicates 200]

Every study has four domains. `chosen inside`: best temperature inside the bootstrap, the rule. `chosen on
validation`: both arms at the temperature that was best for them on 100 validation prompts, the other candidate.
`T = 0.7`: the published reading. `shrunk`: the rule with seed variances shrunk over the domains. Printed for each:
how often a domain is called superior (two-sided 95 % interval above zero, so 2.5 % is right for placebos), how often
any domain of a study is supported (after Holm, and not worse in Pass@1 by .05), and how often the pooled test
supports. The last line is one JSON object with the same figures. Three minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from polychromic.statistics.deployed import best_parts
from polychromic.statistics.inference import Comparison, Parts, pool, shrink_seeds, two_way_t
from polychromic.statistics.planted import TEMPERATURES, Skill, pass_table, train, with_gain
from polychromic.statistics.tuned import choose

DOMAINS, SAMPLES, VALIDATION, MARGIN, PRIOR_DF = 4, 10, 100, 0.05, 4.0
LORA = Skill()
LOW_RATE = with_gain(LORA, 0.04, 0.01)
FAMILY = (LORA, LOW_RATE, with_gain(LORA, 0.02, 0.02), with_gain(LORA, 0.01, 0.0))
READINGS = ("chosen inside", "chosen on validation", "T = 0.7", "shrunk")


@dataclass(frozen=True)
class Scenario:
    """A treatment against a family of controls, the first of which is the standard one."""

    name: str
    treatment: Skill = LORA
    family: tuple[Skill, ...] = (LORA,)
    temperatures: tuple[float, ...] = TEMPERATURES
    prompts: int = 200
    seeds: int = 3


PLACEBOS = (
    Scenario("identical arms"),
    Scenario("identical arms, 100 prompts", prompts=100),
    Scenario("identical arms, seed SD .3", replace(LORA, seed=0.3), (replace(LORA, seed=0.3),)),
    Scenario("LoRA at T = 1", temperatures=(1.0,)),
    Scenario("LoRA at T = 1.3", temperatures=(1.3,)),
    Scenario("LoRA at a lower rate", LOW_RATE, FAMILY),
    Scenario("on LoRA's curve", temperatures=(0.6, 0.85, 1.15, 1.45)),
)
UNEQUAL = (
    Scenario("seed SD .6 against .15", replace(LORA, seed=0.6)),
    Scenario("one seed in ten collapses", replace(LORA, collapse=0.1)),
)
POWER = tuple(
    Scenario(
        f"gain .{gain * 1000:03.0f}, {prompts} x {seeds}", with_gain(LORA, gain), (LORA,), TEMPERATURES, prompts, seeds
    )
    for prompts, seeds in ((100, 3), (200, 3), (200, 5))
    for gain in (0.03, 0.065, 0.11)
)


def simulate(
    scenario: Scenario, rng: np.random.Generator, studies: int, replicates: int
) -> dict[str, dict[str, float]]:
    """The rates of each reading over this many studies."""
    total, ones, deep = studies * DOMAINS, pass_table(SAMPLES, 1), pass_table(SAMPLES, 10)
    test, validation = rng.standard_normal((total, scenario.prompts)), rng.standard_normal((total, VALIDATION))
    treatment = train(rng, scenario.treatment, total, scenario.seeds)
    family = [train(rng, skill, total, scenario.seeds) for skill in scenario.family]
    own, own_val = (treatment.passing(rng, x, scenario.temperatures, SAMPLES) for x in (test, validation))
    others = [member.passing(rng, test, TEMPERATURES, SAMPLES) for member in family]
    others_val = [member.passing(rng, validation, TEMPERATURES, SAMPLES) for member in family]
    scores = [np.stack([table[x].mean((1, 2)).max(-1) for x in others_val], -1) for table in (ones, deep)]
    chosen = np.array([choose(one, many, MARGIN) for one, many in zip(*scores, strict=True)])
    take = np.arange(total)
    control, control_val = np.stack(others)[chosen, take], np.stack(others_val)[chosen, take]
    inside = [best_parts([t[own], t[c]], replicates=replicates) for t, c in ((deep, control), (ones, others[0]))]
    by_domain = [_part(inside[0], slice(i, None, DOMAINS)) for i in range(DOMAINS)]
    shrunk = [part.interval() for part in shrink_seeds(by_domain, PRIOR_DF)]
    gains = {
        "chosen inside": inside[0].interval(),
        "chosen on validation": two_way_t(_at_best(deep, own, own_val), _at_best(deep, control, control_val)),
    }
    losses = {
        "chosen inside": inside[1].interval(),
        "chosen on validation": two_way_t(_at_best(ones, own, own_val), _at_best(ones, others[0], others_val[0])),
    }
    published = scenario.temperatures.index(0.7) if 0.7 in scenario.temperatures else 0
    gains["T = 0.7"] = two_way_t(deep[own][..., published], deep[others[0]][..., TEMPERATURES.index(0.7)])
    losses["T = 0.7"] = two_way_t(ones[own][..., published], ones[others[0]][..., TEMPERATURES.index(0.7)])
    domains = [slice(i, None, DOMAINS) for i in range(DOMAINS)]
    split = {name: [[found[name].at(own) for own in domains] for found in (gains, losses)] for name in gains}
    split["shrunk"] = shrunk, split["chosen inside"][1]
    return {name: _rates(*split[name]) for name in READINGS}


def _at_best(table: np.ndarray, test: np.ndarray, validation: np.ndarray) -> np.ndarray:
    best = table[validation].mean((1, 2)).argmax(-1)
    return np.take_along_axis(table[test], best[:, None, None, None], -1)[..., 0]


def _rates(gains: Sequence[Comparison], losses: Sequence[Comparison]) -> dict[str, float]:
    p = np.stack([gain.p for gain in gains], -1)
    above = np.stack([gain.difference > 0 for gain in gains], -1)
    kept = np.stack([loss.low > -MARGIN for loss in losses], -1)
    order = np.argsort(p, -1)
    steps = np.maximum.accumulate(np.take_along_axis(p, order, -1) * np.arange(DOMAINS, 0, -1), -1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, steps, -1)
    superior = (adjusted < 0.05) & above
    together, cost = pool(gains), pool(losses)
    return {
        "superior": float(((p < 0.05) & above).mean()),
        "supported_domain": float((superior & kept).mean()),
        "any_superior": float(superior.any(-1).mean()),
        "any_supported": float((superior & kept).any(-1).mean()),
        "pooled_superior": float((together.low > 0).mean()),
        "pooled_supported": float(((together.low > 0) & (cost.low > -MARGIN)).mean()),
        "difference": float(np.mean([gain.difference for gain in gains])),
    }


def _part(parts: Parts, studies: slice) -> Parts:
    return replace(
        parts,
        estimate=parts.estimate[studies],
        prompts=parts.prompts[studies],
        residual=parts.residual[studies],
        seeds=tuple((variance[studies], df) for variance, df in parts.seeds),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start, rows = time.perf_counter(), []
    columns = ("difference", "superior", "any_superior", "any_supported", "supported_domain", "pooled_supported")
    print(f"| scenario | reading | {' | '.join(name.replace('_', ' ') for name in columns)} |")
    print("|---|---|" + "---|" * len(columns))
    for scenario in (*PLACEBOS, *UNEQUAL, *POWER):
        rng = np.random.default_rng(args.seed)
        for reading, rates in simulate(scenario, rng, args.studies, args.replicates).items():
            rows.append({"scenario": scenario.name, "reading": reading, **rates})
            cells = [f"{rates['difference']:+.3f}", *(_with_error(rates[c], args.studies, c) for c in columns[1:])]
            print(f"| {scenario.name} | {reading} | {' | '.join(cells)} |", flush=True)
    settings = {"studies": args.studies, "replicates": args.replicates, "seed": args.seed}
    print(json.dumps({**settings, "seconds": round(time.perf_counter() - start, 1), "rows": rows}))


def _with_error(rate: float, studies: int, column: str) -> str:
    """A rate in percent with its Monte-Carlo standard error."""
    n = studies * (DOMAINS if column in ("superior", "supported_domain") else 1)
    return f"{rate:.1%} ± {np.sqrt(rate * (1 - rate) / n):.1%}"


if __name__ == "__main__":
    main()
