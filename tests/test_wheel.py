"""What `pip install polychromic` brings: built, put alone into a folder, and run with its own dependencies only."""

from __future__ import annotations

import importlib.metadata as metadata
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def normal(name):
    return re.sub("[-_.]+", "-", name).lower()


def needs(requires, seen, extra=""):
    """The distributions, by name, that pip installs for these requirements with an extra of the first."""
    for text in requires or ():
        requirement = Requirement(text)
        name = normal(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        seen[name] = metadata.distribution(name)
        needs(seen[name].requires, seen)
    return seen


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist, built from the package's own files."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "polychromic", source / "polychromic", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools import build_meta as b; b.build_wheel('dist'); b.build_sdist('dist')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return source / "dist"


def installed(built, folder, extra=""):
    """A folder in which the wheel is installed, and what it depends on: links to what is installed here."""
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(folder)
    (wheel,) = metadata.distributions(path=[str(folder)])
    for found in needs(wheel.requires, {}, extra).values():
        for top in {file.parts[0] for file in found.files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(found.locate_file(top))
    return folder


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """The wheel without extras."""
    return installed(built, tmp_path_factory.mktemp("site"))


def alone(site, code, cwd):
    """Run code with an interpreter that sees no other packages than those of the folder."""
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys._base_executable, "-S", "-P", "-c", code], cwd=cwd, env=environment, capture_output=True, text=True
    )


def test_wheel_and_sdist_carry_their_files(built, site):
    for name in ("py.typed", "data/review.html", "paper/templates/report.html.j2", "method/quality/gem.py"):
        assert (site / "polychromic" / name).is_file(), name
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        assert any(name.endswith("paper/templates/report.css") for name in archive.getnames())


def test_the_readme_runs_word_for_word_from_the_wheel_and_a_missing_extra_is_named(site, tiny_model_dir, tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(snippet.strip().splitlines()) <= 15
    shutil.copytree(tiny_model_dir, tmp_path / "Qwen/Qwen3-0.6B")
    check = (
        "\nimport json, sys\nassert any('diversity' in line for line in map(json.loads, open('out/train_log.jsonl')))"
    )
    # Pydantic comes with the hub's client; `polychromic.settings` is where this package would use it.
    check += "\nassert not {'polychromic.settings', 'polychromic.config'} & set(sys.modules)"
    # Here, as another process would import torch again: an encoder, which needs an extra, is asked for in the end.
    check += "\nprint('trained', flush=True)\nfrom polychromic.embedding import Encoder\nEncoder().encode(['a'])"
    done = alone(site, snippet + check, tmp_path)
    assert done.stdout.splitlines()[-1] == "trained", done.stderr
    assert (tmp_path / "out/adapter/adapter_model.safetensors").is_file()
    assert not (site / "snakemake").exists()
    assert "polychromic[semantic]" in done.stderr.splitlines()[-1], "the missing extra is named"


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("code", "from polychromic.verifiers.code import run\nassert run('x = 1', 'assert x == 1').passed"),
        (
            "semantic",
            "from polychromic.embedding import Encoder\nassert Encoder().encode(['a', 'b']).shape == (2, 384)",
        ),
    ],
)
def test_an_extra_brings_all_that_it_is_for(built, tmp_path, extra, code):
    done = alone(installed(built, tmp_path, extra), code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_command_of_the_study_names_its_extra(site, tmp_path):
    code = (
        "import runpy, sys\nsys.argv = ['polychromic', 'check']\nrunpy.run_module('polychromic', run_name='__main__')"
    )
    done = alone(site, code, tmp_path)
    assert done.returncode == 2
    assert "polychromic[study]" in done.stderr.splitlines()[-1]


def test_the_extras_bring_all_that_is_installed_here_but_the_tools():
    tools = {"ruff", "snakefmt", "pytest", "pytest-xdist", "hypothesis", "jsonschema"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = {normal(Requirement(text).name) for texts in (project["dependencies"], *extras) for text in texts}
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    direct = {normal(Requirement(line).name) for line in lines if line and not line.startswith("#")}
    assert direct - tools - asked == set()


def test_the_example_trains_with_its_own_measure(tiny_model_dir, tmp_path, monkeypatch, capsys):
    script = str(ROOT / "examples/own_diversity.py")
    monkeypatch.setattr(sys, "argv", [script, str(tiny_model_dir), str(tmp_path), "--steps", "5"])
    runpy.run_path(script, run_name="__main__")
    assert "step    5: loss" in capsys.readouterr().out
    assert (tmp_path / "adapter/adapter_model.safetensors").is_file()
