"""False positives and power of the gain over the control's frontier, on planted studies.

    python -m benchmarks.frontier [--studies 300] [--seed 0]

The control's abilities narrow as its temperature rises; the arm is the control at another temperature (it
lies on the
frontier: a gain is false) or has a Pass@10 that is higher by 0.08 at about the same Pass@1. Printed by number
of seeds and seed SD; the last line is one JSON object with the same figures. About three minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from scipy.special import expit

from polychromic.statistics.front import frontier_gain

SAMPLES = 10
# (mean, spread) of ability on the logit scale by temperature: hotter is worse on average and less sure
CONTROL = {0.5: (-0.9, 2.8), 0.7: (-1.0, 2.4), 1.0: (-1.2, 1.7), 1.3: (-1.8, 1.3)}
ARMS = {"on the frontier": (-1.1, 2.05), "above it": (-1.0, 1.05)}


def draw(rng: np.random.Generator, ability, mean, spread, level, seed_sd) -> np.ndarray:
    """[prompts, seeds, 2]: Pass@1 and Pass@10. level: the seeds' effects, the same at all temperatures."""
    noise = 0.3 * rng.standard_normal((len(ability), level.shape[1]))
    correct = rng.binomial(SAMPLES, expit(mean + spread * ability + noise + seed_sd * level))
    return np.stack([correct / SAMPLES, correct > 0], -1).astype(float)


def run(studies: int, seed: int, prompts: int = 150) -> list[dict]:
    rows = []
    for seeds in (3, 5):
        for seed_sd in (0.0, 0.15, 0.3):
            for name, (mean, spread) in ARMS.items():
                rng = np.random.default_rng(seed)
                found = []
                for _ in range(studies):
                    ability = rng.standard_normal((prompts, 1))
                    level = rng.standard_normal((1, seeds))
                    control = {t: draw(rng, ability, *skill, level, seed_sd) for t, skill in CONTROL.items()}
                    arm = draw(rng, ability, mean, spread, rng.standard_normal((1, seeds)), seed_sd)
                    found.append(frontier_gain(arm, control, replicates=1000))
                gains = [gain for gain in found if gain is not None]
                rows.append(
                    {
                        "arm": name,
                        "seeds": seeds,
                        "seed_sd": seed_sd,
                        "defined": len(gains) / studies,
                        "gain": float(np.mean([gain.difference for gain in gains])),
                        "called_above": sum(gain.low > 0 for gain in gains) / studies,
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.perf_counter()
    rows = run(args.studies, args.seed)
    print("| arm | seeds | seed SD | defined | mean gain | called above |\n|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['arm']} | {row['seeds']} | {row['seed_sd']} | {row['defined']:.0%} | "
            f"{row['gain']:+.3f} | {row['called_above']:.1%} |"
        )
    seconds = round(time.perf_counter() - start, 1)
    print(json.dumps({"studies": args.studies, "seed": args.seed, "seconds": seconds, "rows": rows}))


if __name__ == "__main__":
    main()
