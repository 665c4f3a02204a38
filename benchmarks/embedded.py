"""What the benchmarks take from a finished study: its base model, its rows, the settings of its jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from polychromic.config.study import Objective
from polychromic.method.diversity import Measure, make_measure
from polychromic.method.finetune import training_rows
from polychromic.records import read_records
from polychromic.verifiers import make_verifier

STUDY = Path("results/demo")


def base_folder(study: Path) -> Path:
    """The base model's folder; ends the benchmark if there is none."""
    for folder in (study / "base/model", study / "base/packaged"):
        if folder.is_dir():
            return folder
    raise SystemExit(f"{study} has no base model: run `make demo` first, or give --study another finished study.")


def settings(study: Path, rule: str, domain: str, arm: str, seed: int = 42) -> dict[str, Any]:
    """What the job's stamp says it was run with; settings that are newer than the study have their defaults."""
    params = json.loads((study / f".stamps/{rule}.{domain}.{arm}.{seed}.json").read_text())["params"]
    if "objective" in params:
        params["objective"] = Objective().model_dump() | params["objective"]
    return params


def rows_of(study: Path, domain: str, params: dict[str, Any], part: str = "train") -> list[dict[str, Any]]:
    """The rows of a domain's part, as an arm is trained on them."""
    return training_rows(read_records(study / domain / f"data/{part}.jsonl"), params["output"], params["prompting"])


def diversity_measure(params: dict[str, Any], encode) -> Measure | None:
    """D of an arm's training; None without a diversity term."""
    objective = params["objective"]
    if not objective["weight"]:
        return None
    verifier = make_verifier(**params["verifier"], encode=encode)
    return make_measure(objective["diversity"], encode=encode, verifier=verifier, gate=objective["gate"])
