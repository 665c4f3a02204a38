"""The study through `--profile gpu` on a real SLURM (tests/slurm.py)."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time

import psutil
import pytest
from project import command, copy_curated, environment, run
from slurm import slurm

# On a cluster of one machine with jobs of seconds: ask about them each second.
IMPATIENT = ("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "1")
IMPATIENT += ("--seconds-between-status-checks", "1")
ON_CARDS = "gpus_per_job: 1\n"
ADAPTER = "results/tiny/qa/lora/seed-42/adapter"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    root = tmp_path_factory.mktemp("slurm")
    with slurm(root):
        yield


def made(curated, folder, model):
    project = copy_curated(curated, folder, model)
    (project / "cards.yaml").write_text(ON_CARDS)
    return project


@pytest.fixture
def project(curated, tmp_path, tiny_model_dir):
    return made(curated, tmp_path / "project", tiny_model_dir)


def edit_profile(project, old: str, new: str) -> None:
    profile = project / "profiles/gpu/config.yaml"
    text = profile.read_text()
    assert old in text
    profile.write_text(text.replace(old, new, 1))


def submitted(project) -> list[dict[str, str]]:
    """The project's SLURM jobs, oldest first: id, state, memory, node and the rule that each ran."""
    fields = {"id": "%i", "state": "%T", "memory": "%m", "node": "%N", "rule": "%k", "folder": "%Z"}
    text = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--sort=i", "--format", "|".join(fields.values())],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    jobs = [dict(zip(fields, line.split("|"), strict=True)) for line in text.splitlines()]
    return [{**job, "rule": job["rule"].split("_")[1]} for job in jobs if job["folder"] == str(project)]


@pytest.fixture(scope="module", autouse=True)
def too_short(cluster, curated, tmp_path_factory, tiny_model_dir):
    """(project, Snakemake at work): a training whose first attempt has a minute and hangs.

    SLURM counts time limits in minutes. So this begins first, costs nothing while it hangs, and is looked at last.
    """
    project = made(curated, tmp_path_factory.mktemp("short") / "project", tiny_model_dir)
    (project / "longer.yaml").write_text("training: {epochs: 30}\n")
    edit_profile(project, "runtime: 480 * attempt", "runtime: 1 if attempt == 1 else 60")
    overlays = ("longer.yaml",)  # without a card: they are for the others
    with (project / "log").open("w") as log:
        snakemake = subprocess.Popen(
            command(ADAPTER, profile="gpu", overlays=overlays, options=IMPATIENT),
            cwd=project,
            env=environment(project),
            stdout=log,
            stderr=log,
        )
    hanging = threading.Thread(target=hang_once_there_is_a_checkpoint, args=(project,))
    hanging.start()
    yield project, snakemake
    snakemake.kill()
    hanging.join()
    snakemake.wait()


def hang_once_there_is_a_checkpoint(project) -> None:
    wait_for(lambda: list(project.glob("results/tiny/.checkpoints/*/*/checkpoint-*/trainer_state.json")), 300)
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if f"{project}/.snakemake/scripts" in words and "train.py" in words:
            process.suspend()


def test_gpu_jobs_have_cards_of_their_own_and_memory_grows_with_the_attempt(cluster, project):
    """Training lands on the GPU node, two jobs on two cards; what ran out of memory is tried with more."""
    edit_profile(project, "calibrate:\n    mem_mb: 16000 * attempt", "calibrate:\n    mem_mb: 300 * attempt ** 4")
    done = run(
        project,
        "models",
        "data",
        profile="gpu",
        overlays=("cards.yaml",),
        options=(*IMPATIENT, "--forcerun", "calibrate"),
        env=environment(project),
    )
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = submitted(project)
    trained = [job for job in jobs if job["rule"] == "train"]
    assert [job["state"] for job in trained] == ["COMPLETED", "COMPLETED"]
    assert {job["node"] for job in trained} == {"n2"}
    assert {job["node"] for job in jobs if job["rule"] != "train"} == {"n1"}
    records = [json.loads(path.read_text()) for path in project.glob("results/tiny/qa/*/seed-42/run.json")]
    assert sorted(record["hardware"]["visible_cards"] for record in records) == ["0", "1"]
    first, second = (job for job in jobs if job["rule"] == "calibrate")
    assert (first["memory"], second["memory"], second["state"]) == ("300M", "4800M", "COMPLETED")
    assert first["state"] != "COMPLETED"


def test_ctrl_c_cancels_the_jobs_under_way(cluster, project):
    started = subprocess.Popen(
        command("models", profile="gpu", overlays=("cards.yaml",), options=IMPATIENT),
        cwd=project,
        env=environment(project),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Whoever runs the tests in the background has them ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: any(job["state"] == "RUNNING" for job in submitted(project)))
    started.send_signal(signal.SIGINT)
    assert started.wait(60) != 0
    wait_for(lambda: not {"RUNNING", "PENDING", "COMPLETING"} & {j["state"] for j in submitted(project)})
    assert "CANCELLED" in {job["state"] for job in submitted(project)}


def test_a_job_that_met_its_time_limit_goes_on_from_its_checkpoint(too_short):
    project, snakemake = too_short
    assert snakemake.wait(600) == 0, (project / "log").read_text()[-3000:]
    assert [job["state"] for job in submitted(project) if job["rule"] == "train"] == ["TIMEOUT", "COMPLETED"]
    record = json.loads((project / "results/tiny/qa/lora/seed-42/run.json").read_text())
    assert record["resumed_from"].startswith("checkpoint-")


@pytest.mark.slow
def test_the_whole_study_runs_on_a_cluster(cluster, project):
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
