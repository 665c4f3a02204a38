"""The embedded model and rows that the benchmarks use: a base kept in results/benchmarks/."""

from __future__ import annotations

import json
from pathlib import Path

from polychromic.demo.base import train_base
from polychromic.demo.broad import write_broad
from polychromic.trainer import PolychromicConfig

FOLDER = Path("results/benchmarks")


def base_folder(given: str | None) -> Path:
    """The folder of the base model: the one given, or a small one, trained now if it is not there yet."""
    if given:
        return Path(given)
    folder = FOLDER / "base"
    if not folder.exists():
        corpus()
        train_base(FOLDER / "broad.jsonl", folder, hidden=192, layers=4, vocabulary=1200)
    return folder


def corpus() -> Path:
    path = FOLDER / "broad.jsonl"
    if not path.exists():
        write_broad(path, rows=6000)
    return path


def rows(count: int) -> list[dict[str, str]]:
    """Prompt-completion pairs out of the broad corpus."""
    pairs = []
    with corpus().open() as file:
        for line in file:
            prompt, newline, completion = json.loads(line)["text"].partition("\n")
            if newline and prompt.startswith("Generate"):
                pairs.append({"prompt": prompt + newline, "completion": completion})
    return pairs[:count]


def settings(folder: Path, **changed) -> PolychromicConfig:
    """The demo's training settings."""
    common = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 16,
        "learning_rate": 2e-3,
        "logging_steps": 1000,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "rollout_max_new_tokens": 64,
    }
    return PolychromicConfig(**common | changed)
