"""One set of pins: the lock file, both conda environments, and what is installed here."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pins(path: str) -> dict[str, str]:
    found = re.findall(r"^\s*(?:- )?([A-Za-z0-9._-]+)==(\S+)", (ROOT / path).read_text(), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize("path", ["envs/cpu.yaml", "envs/gpu.yaml"])
def test_conda_environments_have_the_pins_of_the_lock(path):
    assert pins(path) == pins("requirements.lock")


def test_what_is_asked_for_is_locked():
    asked = [
        line.split("==")[0].lower()
        for line in (ROOT / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert not set(asked) - set(pins("requirements.lock"))


def test_what_is_installed_is_what_is_locked():
    installed = {re.sub(r"[-_.]+", "-", d.metadata["Name"]).lower(): d.version.split("+")[0] for d in distributions()}
    locked = pins("requirements.lock")
    assert {name: installed.get(name) for name in locked} == locked
