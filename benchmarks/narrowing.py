"""How far training has narrowed a model, and what is left to gain: read off the samples of a finished study.

    python -m benchmarks.narrowing [--study results/real]

Of each arm and temperature, on test prompts: Pass@1; the share of prompts solved by no, some and all of the
samples; distinct answers a prompt, where answers have classes, else semantic diversity, of all samples and of those
that pass. The oracle of a domain is the share of prompts that any arm solves at any temperature: no choice among these
samples does better. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from benchmarks.embedded import STUDY


def spread(diversity: pd.DataFrame) -> dict[str, float]:
    """Means over prompts: of all samples, and of those that pass, where there are any (for a distance, two)."""
    name = "classes" if diversity["classes"].notna().any() else "semantic_diversity"
    passing = diversity.loc[diversity[f"{name}_passing"] > 0] if name == "classes" else diversity
    return {"of": name, "spread": diversity[name].mean(), "spread_passing": passing[f"{name}_passing"].mean()}


def readings(study: Path, domain: str) -> list[dict]:
    """A row an arm and temperature, with the oracle of the domain in each."""
    found, solved = [], []
    for file in sorted(study.glob(f"{domain}/*/passes.parquet")):
        passes, diversity = pd.read_parquet(file), pd.read_parquet(file.with_name("diversity.parquet"))
        solved.append(passes.groupby("prompt_id")["passed"].any())
        for temperature, here in passes.groupby("temperature"):
            share = here.groupby(["seed", "prompt_id"])["passed"].mean()
            found.append(
                {
                    "domain": domain,
                    "arm": file.parent.name,
                    "temperature": temperature,
                    "pass_1": share.mean(),
                    "none": (share == 0).mean(),
                    "some": share.between(0, 1, inclusive="neither").mean(),
                    "all": (share == 1).mean(),
                    **spread(diversity[diversity["temperature"] == temperature]),
                }
            )
    oracle = pd.concat(solved, axis=1).any(axis=1).mean()
    return [{**row, "oracle": oracle} for row in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY)
    study = parser.parse_args().study
    domains = sorted({file.parents[1].name for file in study.glob("*/*/passes.parquet")})
    if not domains:
        raise SystemExit(f"{study} has no verified samples: run its study first.")
    rows = [row for domain in domains for row in readings(study, domain)]
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format))
    print(json.dumps({"benchmark": "narrowing", "study": str(study), "rows": rows}))


if __name__ == "__main__":
    main()
