"""Where the method helps: its gain over the tuned control, by the skew of the training part and the wrong answers.

    python -m benchmarks.sensitivity [--cores 2] [--out results/demo/sensitivity.csv]

A small embedded study a cell: three skews of the training targets times three shares of wrong answers in the base's
corpus. The base is trained once a share: an edit of the skew leaves it as it is. Each gain is the verdict's own: best
Pass@10 over temperatures, of polychromic minus the tuned control, and its interval over prompts (one seed). The table
is what the figure `sensitivity` reads; the last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import yaml

SKEWS = (0.6, 0.75, 0.9)
WRONG_SHARES = (0.2, 0.5, 0.85)
SEED = 77
"""Of the worlds: not that of the demo, whose settings these studies share."""


def overlay(wrong_share: float, skew: float) -> dict:
    """What a cell's study changes of the demo's: its world, one seed, and no arm that the gain does not need."""
    return {
        "study": f"sensitivity-{wrong_share}",
        "title": f"Sensitivity (skew {skew}, wrong answers {wrong_share})",
        "world": {"skew": skew, "wrong_share": wrong_share, "seed": SEED},
        "seeds": [42],
        "arms": {"few_shot": None, "lora_again": None},
        "plan": {"placebos": [], "replications": []},
        "metrics": {"bertscore": False},
    }


def study(wrong_share: float, skew: float, cores: int) -> list[dict]:
    """Run a cell's study to its verdict; a row a domain."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cell.yaml"
        file.write_text(yaml.safe_dump(overlay(wrong_share, skew)))
        results = Path(f"results/sensitivity-{wrong_share}")
        target = results / "statistics/verdict.json"
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--profile", "profiles/demo"]
        files = ["profiles/demo/study.yaml", str(file)]
        subprocess.run([*command, "--configfile", *files, "--", str(target)], check=True)
    verdict = json.loads(target.read_text())
    values = pd.read_parquet(results / "statistics/summary.parquet").query(
        "metric == 'pass_at_1' and temperature == 0.7"
    )
    pass_1 = values.pivot(index="domain", columns="arm", values="value")
    pass_1.loc["pooled"] = pass_1.loc[list(verdict["domains"])].mean()
    return [
        {
            "world_skew": skew,
            "wrong_share": wrong_share,
            "domain": domain,
            **{key: found[key] for key in ("low", "high")},
            "gain": found["difference"],
            "lora_pass1": pass_1.loc[domain, "lora"],
            "zero_shot_pass1": pass_1.loc[domain, "zero_shot"],
        }
        for domain, found in {**verdict["domains"], "pooled": verdict["pooled"]}.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("results/demo/sensitivity.csv"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for wrong_share in WRONG_SHARES:
        for skew in SKEWS:
            rows += study(wrong_share, skew, options.cores)
            pd.DataFrame(rows).to_csv(options.out, index=False)
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format))
    print(json.dumps({"benchmark": "sensitivity", "cells": rows}))


if __name__ == "__main__":
    main()
