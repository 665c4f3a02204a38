"""How fast candidates run: judged against five tests each, and compared by behaviour as in the training loop.

    python -m benchmarks.sandbox [--candidates 1000]

Asked: 1,000 candidates with 5 tests each in under 10 s on two cores, and 2 to 3 ms a program for behaviours,
which run between two training steps. A tenth of the candidates is wrong and a twentieth breaks; the verdicts
are checked. The last line is one JSON object with the same figures.
"""

from __future__ import annotations

import argparse
import json
import os
import time

from polychromic.verifiers.code import behaviours, run_many
from polychromic.verifiers.sandbox import supervisor

CASES = [(list(range(n)), n) for n in range(3, 8)]
TESTS = "def check(candidate):\n" + "".join(
    f"    assert candidate({xs}, {n}) == {[(x * 3 + n) % 7 for x in xs]}\n" for xs, n in CASES
)
PROBES = [[list(range(n)), n] for n in (4, 6, 9)]


def candidate(number: int) -> tuple[str, str]:
    """A program that no other candidate equals, and the status that it must get."""
    name = f"item{number}"
    if number % 20 == 7:
        return f"def f(xs, n):\n    return [{name} for x in xs]", "error"
    shift, status = (1, "failed") if number % 10 == 3 else (0, "passed")
    loop = f"    for {name} in xs:\n        out.append(({name} * 3 + n + {shift}) % 7)\n"
    return f"def f(xs, n):\n    out = []\n{loop}    return out", status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--candidates", type=int, default=1000)
    count = parser.parse_args().candidates

    start = time.perf_counter()
    how = supervisor.describe()
    started = time.perf_counter() - start

    programs, expected = zip(*map(candidate, range(count)), strict=True)
    start = time.perf_counter()
    outcomes = run_many([(program, TESTS, "f") for program in programs], timeout=3.0)
    judged = time.perf_counter() - start
    wrong = sum(outcome.status != status for outcome, status in zip(outcomes, expected, strict=True))
    if wrong:
        raise SystemExit(f"{wrong} of {count} verdicts are not what they must be")

    start = time.perf_counter()
    labels = behaviours(programs, PROBES, "f")
    compared = time.perf_counter() - start
    if len(set(labels)) != 3:  # right, wrong, does not run
        raise SystemExit(f"{len(set(labels))} behaviours, not 3")

    start = time.perf_counter()
    for group in range(20):
        behaviours([program + f"\n# {group}" for program in programs[6 * group : 6 * group + 6]], PROBES, "f")
    grouped = time.perf_counter() - start

    figures = {
        "sandbox": how,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "candidates": count,
        "tests_each": 5,
        "start_ms": round(1000 * started, 1),
        "seconds": round(judged, 2),
        "ms_per_candidate": round(1000 * judged / count, 2),
        "behaviour_ms_per_program": round(1000 * compared / count, 2),
        "behaviour_ms_per_group_of_6": round(1000 * grouped / 20, 2),
    }
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:{width}}  {value}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
