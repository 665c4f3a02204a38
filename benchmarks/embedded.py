"""What the benchmarks take from a finished `make demo`: its base model, its rows, the settings of its jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polychromic.prompts import render
from polychromic.records import read_records

STUDY = Path("results/demo")


def base_folder(study: Path) -> Path:
    """The base model's folder; ends the benchmark if there is none."""
    folder = study / "base/model"
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing: run `make demo` first, or give --study another embedded study.")
    return folder


def settings(study: Path, rule: str, domain: str, arm: str, seed: int = 42) -> dict[str, Any]:
    """What the job's stamp says it was run with."""
    return json.loads((study / f".stamps/{rule}.{domain}.{arm}.{seed}.json").read_text())["params"]


def training_rows(study: Path, domain: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that an arm of the domain is trained on."""
    return [
        {
            "prompt": render(record.prompt, output=params["output"], **params["prompting"]),
            "completion": record.target,
            "record": record,
        }
        for record in read_records(study / domain / "data/train.jsonl")
    ]
