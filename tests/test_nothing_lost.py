"""Kills, a full disk, a read-only folder: nothing is lost, and the message says what to do.

`python -m benchmarks.kills` does the same to a whole study, thirty times.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from project import command, copy_curated, copy_project, run

from benchmarks.kills import resume, running_jobs, start

ADAPTER = "results/tiny/qa/lora/seed-42/adapter"


def checksums(adapter: Path) -> dict[str, str]:
    """Of all its files but the run record, which says how long it took."""
    files = [path for path in adapter.rglob("*") if path.is_file() and path.name != "run.json"]
    return {str(path.relative_to(adapter)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def trainable(curated: Path, folder: Path, model: Path) -> Path:
    project = copy_curated(curated, folder, model)
    (project / "longer.yaml").write_text("training: {epochs: 4}\n")
    return project


@pytest.fixture(scope="module")
def undisturbed(curated, tmp_path_factory, tiny_model_dir) -> dict[str, str]:
    """Checksums of the adapter of a run that nobody killed."""
    project = trainable(curated, tmp_path_factory.mktemp("undisturbed") / "project", tiny_model_dir)
    done = run(project, ADAPTER, overlays=("longer.yaml",), options=("--cores", "1"))
    assert done.returncode == 0, done.stdout[-3000:]
    return checksums(project / ADAPTER)


@pytest.mark.parametrize("victim", ["snakemake", pytest.param("job", marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_from_its_checkpoint(victim, curated, undisturbed, tmp_path, tiny_model_dir):
    """kill -9 while it trains, then the documented way back: the bytes of an undisturbed run."""
    project = trainable(curated, tmp_path / "project", tiny_model_dir)
    snakemake = command(ADAPTER, overlays=("longer.yaml",), options=("--cores", "1"))
    running = start(project, snakemake)
    deadline = time.monotonic() + 300
    while not list(project.glob("results/tiny/.checkpoints/*/*/checkpoint-*/trainer_state.json")):
        assert running.poll() is None, (project / "snakemake.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (running if victim == "snakemake" else running_jobs(running)[-1]).kill()
    resume(project, running, snakemake)
    assert not (project / ADAPTER / "adapter_model.safetensors").exists()
    assert start(project, snakemake).wait() == 0, (project / "snakemake.log").read_text()[-3000:]

    assert checksums(project / ADAPTER) == undisturbed != {}
    record = json.loads((project / ADAPTER).with_name("run.json").read_text())
    assert record["resumed_from"].startswith("checkpoint-")
    assert not list(project.glob("results/tiny/.checkpoints/*")), "checkpoints are cleaned up after success"


@contextmanager
def mounted(folder: Path, options: str):
    """A small file system of its own; needs root."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error(tmp_path):
    project = copy_project(tmp_path / "project")
    with mounted(project / "results", "size=1m"):
        filled = subprocess.run(["dd", "if=/dev/zero", f"of={project}/results/filler"], capture_output=True)
        assert filled.returncode != 0
        planned = run(project, "data", options=("--cores", "1"))
        assert planned.returncode != 0
        assert "the disk is full: free some space" in planned.stdout
        (project / "results/filler").unlink()
        assert run(project, "data", options=("--cores", "1", "-n")).returncode == 0
        subprocess.run(["dd", "if=/dev/zero", f"of={project}/results/filler"], capture_output=True)
        done = run(project, "data", options=("--cores", "1"))
        assert done.returncode != 0
        assert "the disk is full: free some space" in done.stdout
        (project / "results/filler").unlink()
        target = "results/tiny/qa/data/train.jsonl"
        assert run(project, target, options=("--cores", "1")).returncode == 0, "the same command again"


def test_a_read_only_folder_is_a_clear_error(tmp_path):
    project = copy_project(tmp_path / "project")
    with mounted(project / "results", "ro"):
        done = run(project, "data", options=("--cores", "1"))
    assert done.returncode != 0
    assert "the file system is read-only: make it writable" in done.stdout
    assert "Traceback" not in done.stdout
