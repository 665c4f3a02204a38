"""What the trained arms of a finished study do on validation prompts, where settings are chosen.

    python -m benchmarks.validation [--study results/demo-ablations] [--temperature 0.7]

By domain and arm, the means over prompts and seeds: Pass@1 and Pass@10; the share of valid samples (well-formed: a
program that runs, an answer, a text of the length asked for); how many of ten are distinct (of verifier's classes where
it has any, else of texts); and D, as it was measured on training prompts in the last tenth of the training. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from polychromic.metrics.passk import pass_at_k

ILL_FORMED = {"empty", "error", "extraction", "length", "timeout", "truncated"}


def last_diversity(folder: Path) -> float | None:
    """The mean of the D that the last tenth of the log of a training shows; None without a diversity term."""
    lines = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    found = [line["diversity"] for line in lines if "diversity" in line]
    return sum(found[-max(1, len(found) // 10) :]) / max(1, len(found) // 10) if found else None


def read_arm(folder: Path, temperature: float) -> dict[str, float]:
    passes = pd.read_parquet(folder / "passes_val.parquet")
    texts = pd.concat(
        pd.read_parquet(file).assign(seed=int(file.parent.name.removeprefix("seed-")))
        for file in folder.glob("seed-*/samples_val.parquet")
    )
    rows = passes.merge(texts, on=["prompt_id", "temperature", "sample", "seed"], suffixes=("", "_of_sample"))
    rows = rows[rows["temperature"] == temperature]
    groups = rows.groupby(["prompt_id", "seed"])
    count = groups.size().min()
    kind = rows["label"].fillna("") if rows["label"].notna().any() else rows["text"]
    diversities = [d for seed in folder.glob("seed-*") if (d := last_diversity(seed)) is not None]
    return {
        "pass@1": rows["passed"].mean(),
        f"pass@{count}": groups["passed"].apply(lambda p: pass_at_k(len(p), int(p.sum()), count)).mean(),
        "valid": 1 - rows["status"].isin(ILL_FORMED).mean(),
        "distinct": kind.groupby([rows["prompt_id"], rows["seed"]]).nunique().mean(),
        "D": sum(diversities) / len(diversities) if diversities else float("nan"),
        "prompts": rows["prompt_id"].nunique(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=Path("results/demo-ablations"))
    parser.add_argument("--temperature", type=float, default=0.7)
    options = parser.parse_args()
    found = sorted(options.study.glob("*/*/passes_val.parquet"))
    if not found:
        raise SystemExit(f"{options.study} holds no validation results: run `make demo-ablations` first.")
    rows = [
        {"domain": file.parts[-3], "arm": file.parts[-2], **read_arm(file.parent, options.temperature)}
        for file in found
        if (file.parent / "seed-42/train_log.jsonl").exists()
    ]
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    print(json.dumps({"benchmark": "validation", "study": str(options.study), "arms": rows}))


if __name__ == "__main__":
    main()
