"""One set of pins: the lock file, both conda environments, and what is installed here."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import httpx2
import huggingface_hub
import huggingface_hub.constants as hub
import pytest
from huggingface_hub.utils._http import default_client_factory

from polychromic.workflow import check

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


def test_without_a_network_the_other_checks_are_made(tmp_path, monkeypatch, capsys):
    def refuse(request):
        raise httpx2.ConnectError("[Errno -3] Temporary failure in name resolution", request=request)

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(refuse)))
    try:
        assert check.main([str(ROOT / "config.yaml")]) == 1
    finally:
        huggingface_hub.set_client_factory(default_client_factory)
    *lines, last = capsys.readouterr().out.splitlines()
    checked = {line.split()[1]: line for line in lines if line.startswith(("  ok", "  FAIL"))}
    assert list(checked) == ["libraries", "memory", "disk", "rows", "model", "gpu", "cost", "judge", "sandbox"]
    assert "FAIL" in checked["model"]
    assert (
        "the hub does not answer (ConnectError): run `hf download Qwen/Qwen3-8B` where there is a network"
        in checked["model"]
    )
    assert "of 9 checks passed" in last
