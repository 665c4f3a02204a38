"""Kill a small study at random points, resume it as documented, and compare with one that was left alone.

    python -m benchmarks.kills --folder /tmp/kills [--kills 30] [--seed 0]

Each kill is a SIGKILL after a random time, sent in turn to Snakemake alone, to a job's process alone, or to
the whole process group. Resuming is what docs/reproducibility.md says: end survivors, `--unlock`, the same
command again. In the end samples, metrics, tables, figures and verdict must have the bytes of the undisturbed
run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
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

# What a run took and where it ran, which no two runs share.
ASIDE = (
    "run.json",
    "train_log.jsonl",
    "cost.*",
    "training_*",
    "benchmarks",
    "logs",
    ".*",
    "report.html",
    "paper",
)


def checksums(results: Path) -> dict[str, str]:
    """{file: SHA-256} of all results but timings, costs and what shows them."""
    found = {}
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        aside = any(Path(part).match(pattern) for part in parts for pattern in ASIDE)
        if path.is_file() and not aside:
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def start(project: Path, command: list[str]) -> subprocess.Popen:
    """Snakemake in a process group of its own."""
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


def kill(snakemake: subprocess.Popen, kind: str, chance: random.Random) -> str | None:
    """Send one SIGKILL; returns the script that was at work, or None if there was nobody to kill."""
    jobs = running_jobs(snakemake)
    if snakemake.poll() is not None or not jobs:
        return None
    victim = chance.choice(jobs)
    try:
        script = next(part for part in victim.cmdline() if ".snakemake/scripts" in part)
        if kind == "group":
            os.killpg(snakemake.pid, signal.SIGKILL)
        else:
            os.kill(victim.pid if kind == "job" else snakemake.pid, signal.SIGKILL)
    except (psutil.Error, ProcessLookupError):
        return None
    return script.rsplit(".", 2)[-2]


def resume(project: Path, snakemake: subprocess.Popen, command: list[str]) -> None:
    """The documented way: end survivors, then unlock."""
    for process in psutil.process_iter(["cmdline"]):
        if f"{project}/.snakemake/scripts" in " ".join(process.info["cmdline"] or []):
            process.kill()
    snakemake.wait()
    unlock = [*command[: command.index("--")], "--unlock", *command[command.index("--") :]]
    subprocess.run(unlock, cwd=project, env={**os.environ, "PYTHONPATH": str(project)}, capture_output=True)


def disturbed_run(project: Path, command: list[str], kills: int, span: float, seed: int) -> list[dict]:
    """Run to the end with `kills` kills on the way, each up to `span` seconds after a (re)start."""
    chance, log = random.Random(seed), []
    running = start(project, command)
    while len(log) < kills:
        time.sleep(chance.uniform(0.2, span))
        kind = KINDS[len(log) % len(KINDS)]
        script = kill(running, kind, chance)
        if script is not None:
            log.append({"kill": len(log) + 1, "sent to": kind, "script": script})
            print(f"kill {len(log):>3}: {kind:<10} during {script}", flush=True)
        if script is not None or running.poll() is not None:
            resume(project, running, command)
            if not any((project / "results").rglob("report.html")):
                running = start(project, command)
            else:  # finished before all kills were sent: from the start again
                print("       finished; once more from nothing", flush=True)
                shutil.rmtree(project / "results")
                running = start(project, command)
    if running.wait() != 0:
        resume(project, running, command)
        running = start(project, command)
    if running.wait() != 0:
        raise SystemExit(f"the resumed study failed: see {project}/snakemake.log")
    return log


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--span", type=float, default=20, help="seconds after a start within which a kill comes")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--study", nargs="+", default=["profiles/demo/study.yaml", "profiles/demo/smoke.yaml"])
    given = parser.parse_args()
    command = [SNAKEMAKE, "--profile", "profiles/demo", "--cores", str(os.cpu_count()), "--configfile"]
    command += [*given.study, "--", "all"]
    sums, log = {}, []
    for name in ("undisturbed", "disturbed"):
        project = given.folder / name
        subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(project)], check=True)
        began = time.monotonic()
        if name == "undisturbed":
            if start(project, command).wait() != 0:
                raise SystemExit(f"the study failed: see {project}/snakemake.log")
        else:
            log = disturbed_run(project, command, given.kills, given.span, given.seed)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        sums[name] = checksums(next((project / "results").iterdir()))
    differ = sorted(
        name
        for name in sums["undisturbed"].keys() | sums["disturbed"].keys()
        if sums["undisturbed"].get(name) != sums["disturbed"].get(name)
    )
    by_script = dict(Counter(entry["script"] for entry in log))
    print(f"{len(log)} kills ({by_script}); {len(sums['undisturbed'])} files compared, {len(differ)} differ")
    for name in differ:
        print(f"    {name}")
    print(json.dumps({"kills": len(log), "by_script": by_script, "files": len(sums["undisturbed"]), "differ": differ}))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
