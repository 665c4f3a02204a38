"""The record of a training run: what was run on what, how long it took and what it cost."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from polychromic.files import file_digest, write_json

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "transformers", "peft", "accelerate", "numpy")


def git_commit() -> str | None:
    """The commit of this checkout, with "+" if files differ from it; None outside a repository."""

    def git(*command: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *command], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def hardware() -> dict[str, Any]:
    """Processor, cores and graphics cards of this machine; which cards this job was given, and on which node."""
    import torch

    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "visible_cards": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "slurm_node": os.environ.get("SLURMD_NODENAME"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write_run_record(
    path: str | Path,
    *,
    identity: dict[str, str],
    config: dict[str, Any],
    data: list[Path],
    account: dict[str, Any],
    price_per_gpu_hour: float,
) -> None:
    """Write run.json.

    Args:
        identity: study, domain, arm, seed. config: the settings the run used. data: files whose SHA-256 is recorded.
        account: what the training itself measured, from `training.finetune`, with seconds["load"].
        price_per_gpu_hour: dollars; 0 GPU hours, and so no dollars, without a card.
    """
    machine = hardware()
    gpu_hours = len(machine["gpus"]) * account["seconds"]["total"] / 3600
    record = {
        **identity,
        "status": "finished",
        "config": config,
        "data_sha256": {file.name: file_digest(file) for file in data},
        "packages": {name: version(name) for name in PACKAGES},
        "git_commit": git_commit(),
        "hardware": machine,
        **account,
        "tokens": {"trained": account["target_tokens"], "sampled": account["sampled_tokens"]},
        "peak_memory_bytes": round(account["peak_memory_gib"] * 2**30),
        "gpu_hours": gpu_hours,
        "price_per_gpu_hour": price_per_gpu_hour,
        "dollars": gpu_hours * price_per_gpu_hour,
    }
    write_json(path, dict(sorted(record.items())))
