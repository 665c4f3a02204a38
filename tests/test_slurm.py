"""The study through `--profile gpu` on a real SLURM (tests/slurm.py)."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest
from project import command, copy_project, environment, run
from slurm import slurm

# On a cluster of one machine with jobs of seconds: ask about them each second.
IMPATIENT = ("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "1")
IMPATIENT += ("--seconds-between-status-checks", "1")
ON_CARDS = "gpus_per_job: 1\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    root = tmp_path_factory.mktemp("slurm")
    with slurm(root):
        yield


@pytest.fixture
def project(tmp_path, tiny_model_dir):
    folder = copy_project(tmp_path / "project", tiny_model_dir)
    (folder / "cards.yaml").write_text(ON_CARDS)
    return folder


def edit_profile(project, old: str, new: str) -> None:
    profile = project / "profiles/gpu/config.yaml"
    text = profile.read_text()
    assert old in text
    profile.write_text(text.replace(old, new, 1))


def submitted(known: set[str] = frozenset()) -> list[dict[str, str]]:
    """The cluster's jobs, oldest first: id, state, memory, node and the rule that each ran."""
    fields = {"id": "%i", "state": "%T", "memory": "%m", "node": "%N", "rule": "%k"}
    text = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--sort=i", "--format", "|".join(fields.values())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    jobs = [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
    return [{**job, "rule": job["rule"].split("_")[1]} for job in jobs if job["id"] not in known]


def test_gpu_jobs_on_cards_of_their_own_and_memory_that_grows(cluster, project):
    """Training lands on the GPU node, two jobs on two cards; what ran out of memory is tried with more."""
    edit_profile(project, "calibrate:\n    mem_mb: 16000 * attempt", "calibrate:\n    mem_mb: 300 * attempt ** 4")
    before = {job["id"] for job in submitted()}
    done = run(
        project,
        "models",
        "data",
        profile="gpu",
        overlays=("cards.yaml",),
        options=IMPATIENT,
        env=environment(project),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = submitted(known=before)
    trained = [job for job in jobs if job["rule"] == "train"]
    assert [job["state"] for job in trained] == ["COMPLETED", "COMPLETED"]
    assert {job["node"] for job in trained} == {"n2"}
    assert {job["node"] for job in jobs if job["rule"] != "train"} == {"n1"}
    records = [json.loads(path.read_text()) for path in project.glob("results/tiny/qa/*/seed-42/run.json")]
    assert sorted(record["hardware"]["visible_cards"] for record in records) == ["0", "1"]
    first, second = (job for job in jobs if job["rule"] == "calibrate")
    assert (first["memory"], second["memory"], second["state"]) == ("300M", "4800M", "COMPLETED")
    log = project / f".snakemake/slurm_logs/rule_calibrate/qa/{first['id']}.log"
    assert "exceeded memory limit" in log.read_text()


def test_ctrl_c_cancels_the_jobs(cluster, project):
    before = {job["id"] for job in submitted()}
    started = subprocess.Popen(
        command("models", profile="gpu", overlays=("cards.yaml",), options=IMPATIENT),
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Whoever runs the tests in the background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: any(job["state"] == "RUNNING" for job in submitted(known=before)))
    started.send_signal(signal.SIGINT)
    assert started.wait(60) != 0
    wait_for(lambda: not {"RUNNING", "PENDING", "COMPLETING"} & {j["state"] for j in submitted(known=before)})
    assert "CANCELLED" in {job["state"] for job in submitted(known=before)}


@pytest.mark.slow
def test_a_time_limit_is_met_by_resuming(cluster, project):
    """SLURM counts time limits in minutes, so this takes some."""
    (project / "long.yaml").write_text("training: {epochs: 400}\n")
    edit_profile(project, "runtime: 480 * attempt", "runtime: 1 if attempt == 1 else 60")
    before = {job["id"] for job in submitted()}
    done = run(
        project,
        "results/tiny/qa/lora/seed-42/adapter",
        profile="gpu",
        overlays=("cards.yaml", "long.yaml"),
        options=IMPATIENT,
        env=environment(project),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    trained = [job["state"] for job in submitted(known=before) if job["rule"] == "train"]
    assert trained == ["TIMEOUT", "COMPLETED"]
    record = json.loads((project / "results/tiny/qa/lora/seed-42/run.json").read_text())
    assert record["resumed_from"].startswith("checkpoint-")


@pytest.mark.slow
def test_the_whole_study(cluster, project):
    done = run(
        project,
        "all",
        profile="gpu",
        overlays=("cards.yaml",),
        options=IMPATIENT,
        env=environment(project),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (project / "results/tiny/report.html").is_file()


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.5)
