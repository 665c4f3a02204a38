"""Write requirements.lock from what is installed, and envs/cpu.yaml and envs/gpu.yaml with the same pins.

The two environments differ in one thing: where PyTorch's wheel comes from.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS = {"cpu": "https://download.pytorch.org/whl/cpu", "gpu": "https://download.pytorch.org/whl/cu130"}


def installed() -> list[str]:
    """Pins of every installed package, without local version suffixes such as +cpu."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split("+")[0] for line in lines if "==" in line]


def environment(kind: str, pins: list[str]) -> str:
    lines = [
        f"# The pins of requirements.lock for conda, with PyTorch's {kind} build. Made by envs/lock.py.",
        f"name: polychromic-{kind}",
        "channels: [conda-forge]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
        f"      - --extra-index-url {WHEELS[kind]}",
        *(f"      - {pin}" for pin in pins),
    ]
    return "\n".join(lines) + "\n"


def lock_text(pins: list[str]) -> str:
    return "\n".join(["# Every package of the tested environment, pinned. Made by `make lock`.", *pins]) + "\n"


if __name__ == "__main__":
    found = installed()
    (ROOT / "requirements.lock").write_text(lock_text(found))
    for name in WHEELS:
        (ROOT / f"envs/{name}.yaml").write_text(environment(name, found))
