"""Cards of a job's own, and jobs of several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from project import REPOSITORY, copy_project, run

from polychromic.cards import PRETEND

HOLDER = """
import os, sys, time
sys.path.insert(0, "workflow_scripts")
from _processes import take_cards
take_cards({count}, cards=["4", "7"])
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(60)
"""


def hold(count: int, folder) -> subprocess.Popen:
    env = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(count=count)],
        cwd=REPOSITORY,
        env={**env, "TMPDIR": str(folder), PRETEND: "1"},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_two_jobs_share_a_card(tmp_path):
    """A third job waits until one of two ends, even by kill -9."""
    jobs = [hold(1, tmp_path) for _ in range(2)]
    try:
        assert sorted(job.stdout.readline().strip() for job in jobs) == ["4", "7"]
        jobs.append(hold(2, tmp_path))
        time.sleep(3)
        assert jobs[2].poll() is None
        for job in jobs[:2]:
            job.kill()
        assert jobs[2].stdout.readline().strip() == "4,7"
    finally:
        for job in jobs:
            job.kill()
            job.wait()


@pytest.mark.slow
def test_two_processes_a_job(tmp_path, tiny_model_dir):
    """Training in two gloo processes; generation over two shards is that of one process, byte for byte."""
    project = copy_project(tmp_path / "project", tiny_model_dir)
    (project / "cards.yaml").write_text("gpus_per_job: 2\n")
    options = ("--cores", "2")
    done = run(project, "generations", overlays=("cards.yaml",), options=options)
    assert done.returncode == 0, done.stdout[-3000:]
    folder = project / "results/tiny/qa/polychromic/seed-42"
    assert json.loads((folder / "run.json").read_text())["processes"] == 2
    names = ("samples.parquet", "samples_val.parquet", "reference_nll.parquet")
    of_two = {name: (folder / name).read_bytes() for name in names}
    assert not list(folder.glob("*.shard-*"))
    # The same adapters; only generation again, in one process.
    options = (*options, "--set-resources", "generate:gpu=1", "--forcerun", "generate")
    done = run(project, "generations", overlays=("cards.yaml",), options=options)
    assert done.returncode == 0, done.stdout[-3000:]
    assert {name: (folder / name).read_bytes() for name in names} == of_two
