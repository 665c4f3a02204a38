"""What the benchmarks take from a finished `make demo`: its base model, its rows, the settings of its jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polychromic.records import read_records
from polychromic.training import training_rows

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


def rows_of(study: Path, domain: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that an arm of the domain is trained on."""
    return training_rows(read_records(study / domain / "data/train.jsonl"), params["output"], params["prompting"])
