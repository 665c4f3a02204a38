"""Kill a small study in every stage, resume it as documented, and compare with two that were left alone.

    python -m benchmarks.kills --folder /tmp/kills [--kills 30] [--seed 0]

The study has every stage of a real one and little in each. Each kill is a SIGKILL, sent in turn to Snakemake
alone, to a job's process alone, or to the whole process group, at a random moment of a job of the stage whose
turn it is. Resuming is what docs/reproducibility.md says: end survivors, `--unlock`, the same command again. In
the end samples, metrics, tables, figures and verdict must have the bytes of the undisturbed runs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
KINDS = ("snakemake", "job", "group")
ANY = "a job of any stage"
STUDY = """
study: kills
title: "Killed and resumed (synthetic data, smallest size)"
world: {raw_rows: 300, broad_rows: 1000, hidden: 32, layers: 1, vocabulary: 300}
training: {checkpoint_every: 5}
sampling: {test_prompts: 8, validation_prompts: 4}
domains: {social: null, creative: null, qa: null}
arms:
  zero_shot: null
  few_shot: null
  polychromic_literal: null
  polychromic: {objective: {diversity: distinct_n, gate: false}}  # a model of this size writes nothing well-formed
  half: {kind: derived, method: wise_ft, source: lora}
"""
# In the order data flows. The stages that take longest, or hold most, are killed more often.
STAGES = (
    *("raw", "broad", "base", "base", "curate", "curate", "split", "calibrate", *["train"] * 5, "derive"),
    *(*["generate"] * 4, "encode", "encode", "verify", "verify", "diversity", "quality", "quality", "judge", "judge"),
    *("power", "analyse", "analyse", "figures", "tables", "report"),
)

# What a run took and where it ran, which no two runs share, and what shows it.
ASIDE = ("run.json", "train_log.jsonl", "cost.*", "equal_compute.*", "costs.html", "benchmarks", "logs", ".*", "*.zip")


def checksums(results: Path) -> dict[str, str]:
    """{file: SHA-256} of all results but timings, costs and what shows them."""
    found = {}
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        aside = any(Path(part).match(pattern) for part in parts for pattern in ASIDE)
        if path.is_file() and not aside:
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differing(*runs: dict[str, str]) -> list[str]:
    """Files that are not in all runs, or not the same in all."""
    return sorted(name for name in set().union(*runs) if len({run.get(name) for run in runs}) > 1)


def start(project: Path, command: list[str]) -> subprocess.Popen:
    """Snakemake in a separate process group."""
    env = {**os.environ, "PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    log = (project / "snakemake.log").open("a")
    return subprocess.Popen(command, cwd=project, env=env, stdout=log, stderr=log, start_new_session=True)


def running_jobs(snakemake: subprocess.Popen) -> list[psutil.Process]:
    """The scripts that Snakemake runs now."""
    try:
        below = psutil.Process(snakemake.pid).children(recursive=True)
        return [process for process in below if ".snakemake/scripts" in " ".join(process.cmdline())]
    except psutil.Error:
        return []


def stage_of(job: psutil.Process) -> str:
    """The name of the script that a job runs; empty if it has ended."""
    try:
        return next(part for part in job.cmdline() if ".snakemake/scripts" in part).rsplit(".", 2)[-2]
    except (psutil.Error, StopIteration):
        return ""


def shortest_jobs(benchmarks: Path) -> dict[str, float]:
    """{stage: seconds of its quickest job}, from Snakemake's benchmark files."""
    found: dict[str, float] = {}
    for file in benchmarks.glob("*.tsv"):
        stage, seconds = file.name.split(".")[0], float(file.read_text().splitlines()[1].split("\t")[0])
        found[stage] = min(seconds, found.get(stage, seconds))
    return found


def resume(project: Path, snakemake: subprocess.Popen, command: list[str]) -> None:
    """The documented way: end survivors, then unlock."""
    for process in psutil.process_iter(["cmdline"]):
        if f"{project}/.snakemake/scripts" in " ".join(process.info["cmdline"] or []):
            process.kill()
    snakemake.wait()
    unlock = [*command[: command.index("--")], "--unlock", *command[command.index("--") :]]
    subprocess.run(unlock, cwd=project, env={**os.environ, "PYTHONPATH": str(project)}, capture_output=True)


def disturbed_run(project: Path, command: list[str], spans: dict, seed: int) -> list[dict]:
    """Run to the end with a kill for every entry of STAGES, at a random moment of one of its jobs.

    Args:
        spans: how long the shortest job of a stage takes, in seconds.

    Returns:
        A line a kill: its number, whom it hit, the stage at work, and how long that job had run, in seconds.
    """
    chance, left, log, pace = random.Random(seed), Counter(STAGES), [], 1.0
    running = start(project, command)
    while running.poll() is None:
        at_work = {stage_of(job): job for job in running_jobs(running)}
        stage = next((stage for stage in at_work if left[stage] > 0), None)
        turn = stage or ANY
        if stage is None and left[ANY] > 0:
            stage = next(filter(None, at_work), None)
        if stage is None:
            time.sleep(0.05)
            continue
        victim = at_work[stage]
        time.sleep(chance.uniform(0, pace * spans.get(stage, 1)))
        left[turn] -= 1
        if stage_of(victim) != stage:  # it was quicker: another job will do
            left[ANY] += 1
            pace *= 0.8
            continue
        kind = KINDS[len(log) % len(KINDS)]
        age = time.time() - victim.create_time()
        if kind == "group":
            os.killpg(running.pid, signal.SIGKILL)
        else:
            os.kill(victim.pid if kind == "job" else running.pid, signal.SIGKILL)
        log.append({"kill": len(log) + 1, "of": kind, "stage": stage, "after_s": round(age, 1)})
        print(f"kill {len(log):>3}: {kind:<10} during {stage:<10} {age:5.1f} s after its start", flush=True)
        resume(project, running, command)
        running = start(project, command)
    if running.returncode != 0:
        raise SystemExit(f"the resumed study failed: see {project}/snakemake.log")
    return log


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=30, help="so many at least, or it fails")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    given = parser.parse_args()
    command = [SNAKEMAKE, "--profile", "profiles/demo", "--cores", str(os.cpu_count()), "--configfile"]
    command += ["profiles/demo/study.yaml", "profiles/demo/smoke.yaml", "kills.yaml", "--", "all"]
    sums, log = {}, []
    projects = {name: given.folder / name for name in ("undisturbed", "again", "killed")}
    for project in projects.values():
        subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(project)], check=True)
        (project / "kills.yaml").write_text(STUDY)
    for name, project in projects.items():
        began = time.monotonic()
        if name == "killed":
            spans = shortest_jobs(given.folder / "undisturbed/results/kills/benchmarks")
            log = disturbed_run(project, command, spans, given.seed)
        elif start(project, command).wait() != 0:
            raise SystemExit(f"the study failed: see {project}/snakemake.log")
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        sums[name] = checksums(project / "results/kills")
    differ = differing(*sums.values())
    count = len(sums["undisturbed"])
    print(f"{len(log)} kills; {count} files, {count - len(differ)} of them the same in all three runs")
    for name, digest in sums["undisturbed"].items():
        print(f"    {'DIFFERS' if name in differ else digest[:16]}  {name}")
    by_stage = Counter(entry["stage"] for entry in log)
    print(json.dumps({"kills": len(log), "by_stage": by_stage, "files": count, "differ": differ}))
    return 1 if differ or len(log) < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
