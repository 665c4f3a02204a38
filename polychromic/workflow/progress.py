"""What a run shows: how far it is, and at its end which jobs failed, why, and what to do.

Jobs are separate processes, perhaps on other machines, so they meet in files under results/<study>/.running/.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from polychromic.files import write_atomic

FOLDER = ".running"


def begin(results: Path, total: int) -> None:
    """Note the start of a run of `total` jobs, and forget what an earlier one left."""
    shutil.rmtree(results / FOLDER, ignore_errors=True)
    write_atomic(results / FOLDER / "run.json", json.dumps({"started": time.time(), "jobs": total}))


def job_begins(results: Path, name: str, log: str) -> None:
    write_atomic(results / FOLDER / f"{name}.job", json.dumps({"log": log}))


def job_failed(results: Path, name: str, log: str, message: str) -> None:
    write_atomic(results / FOLDER / f"{name}.job", json.dumps({"log": log, "message": message}))


def job_ends(results: Path, name: str) -> None:
    (results / FOLDER / f"{name}.job").unlink(missing_ok=True)


def so_far(results: Path) -> str:
    """How far the run is: "12 of 213, about 9 min left"; empty where none was begun."""
    try:
        run = json.loads((results / FOLDER / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    finished = sum(file.stat().st_mtime >= run["started"] for file in (results / ".stamps").glob("*.done.json"))
    text = f"{finished} of {run['jobs']}"
    if finished >= 5:
        left = (time.time() - run["started"]) * (run["jobs"] - finished) / finished
        text += f", about {left / 60:.0f} min left" if left >= 90 else f", about {left:.0f} s left"
    return text


def failures(results: Path) -> str:
    """What a reader needs after a failed run: each failed job, why, and where its log is."""
    lines = []
    for file in sorted((results / FOLDER).glob("*.job")):
        job = json.loads(file.read_text(encoding="utf-8"))
        message = job.get("message", "ended without a message: it was stopped, or killed for lack of memory")
        lines += [f"  {file.stem}: {message}", f"    log: {job['log']}"]
    if not lines:
        return "The run failed, but no job did: Snakemake's own log, in .snakemake/log, says why."
    return "\n".join(
        ["Jobs that failed:", *lines, "Nothing that finished is lost: mend this and give the command again."]
    )
