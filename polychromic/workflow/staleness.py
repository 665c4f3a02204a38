"""Which jobs are to run, and why: for Snakemake, through the times of the stamps, and for people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.files import file_digest, write_atomic
from polychromic.registry import plugin_module
from polychromic.workflow.graph import (
    all_jobs,
    as_list,
    done_file,
    job_name,
    nearest,
    output_paths,
    stamp_file,
    upstream,
)
from polychromic.workflow.stage import Job, results_folder
from polychromic.workflow.stages import STAGES
from polychromic.workflow.stamps import damaged, explain, make_stamp, read_stamp, stamp_text

LONG_AGO = 1


class Stamps:
    """The stamps of a study's jobs, each made once.

    Args:
        scripts: the folder of the stages' scripts. lock: the pip lock file.
    """

    def __init__(self, study: Study, scripts: Path, lock: Path):
        self.study, self.scripts, self.lock = study, scripts, lock
        self._made: dict[str, dict[str, Any]] = {}

    def of(self, job: Job) -> dict[str, Any]:
        name = job_name(job)
        if name not in self._made:
            stage, wildcards = STAGES[job[0]], job[1]
            chosen = frozenset(stage.modules(self.study, **wildcards))
            plugins = [file for file in self.study.plugins if plugin_module(file) in chosen]
            above = {job_name(up): self.of(up)["key"] for up in upstream(self.study, job)}
            self._made[name] = make_stamp(
                stage.name,
                wildcards,
                stage.settings(self.study, **wildcards),
                self.scripts / f"{stage.name}.py",
                self.lock,
                above | self._user_files(job),
                aside={**stage.aside(self.study, **wildcards), "plugins": plugins},
                chosen=chosen,
                texts=stage.texts,
            )
        return self._made[name]

    def _user_files(self, job: Job) -> dict[str, str]:
        """Hashes of the user's files that a job reads. One that is not here counts as it was when the job was done:
        results are copied to where the raw rows are not.
        """
        paths = STAGES[job[0]].user_files(self.study, **job[1])
        done = read_stamp(done_file(self.study, job)) if paths else None
        known = done["upstream"] if done else {}
        return {str(p): file_digest(p) if p.is_file() else known.get(str(p), "missing") for p in paths}


def wanted_jobs(study: Study) -> list[Job]:
    """The jobs of the study's results. What `all` does not ask for counts only where it has been made."""
    return [job for job in all_jobs(study) if not STAGES[job[0]].on_request or done_file(study, job).is_file()]


def reasons(study: Study, stamps: Stamps) -> dict[str, list[str]]:
    """{job that is to run: why, one line a reason}, in the order in which they would run.

    A job runs when its stamp is not that of its done file; when a file that it wrote is damaged, or missing and
    read by a job that runs or wanted for itself; and when a job whose outputs it reads runs.
    """
    jobs = wanted_jobs(study)
    why = {job_name(job): _changes(study, job, stamps) or _missing(study, job) for job in jobs}
    by_name = {job_name(job): job for job in jobs}
    above = {name: [job_name(up) for up in nearest(study, job)] for name, job in by_name.items()}
    changed = True
    while changed:
        changed = False
        for name, job in by_name.items():
            if not why[name] and (running := [up for up in above[name] if why.get(up)]):
                why[name] = [f"reads the outputs of {running[0]}"]
                changed = True
            if why[name]:
                changed |= _ask_for_missing(study, job, why)
    return {name: lines for name, lines in why.items() if lines}


def _changes(study: Study, job: Job, stamps: Stamps) -> list[str]:
    """Why a job's outputs are not what its settings, code and inputs give; empty when they are."""
    done = read_stamp(done_file(study, job))
    lines = explain(stamps.of(job), done)
    lines = lines or [f"{file} is missing or was changed" for file in damaged(done, results_folder(study))]
    return lines or STAGES[job[0]].outdated(study, **job[1])


def _missing(study: Study, job: Job) -> list[str]:
    """Missing outputs that `all` asks for. Others may be deleted when the jobs that read them are done."""
    if job[0] not in ("figures", "tables", "report"):
        return []
    paths = [path for name in STAGES[job[0]].outputs for path in output_paths(study, job, name)]
    return [f"{path} is missing" for path in paths if not path.exists()]


def _ask_for_missing(study: Study, job: Job, why: dict[str, list[str]]) -> bool:
    """Give the jobs whose missing outputs a running job reads their reason; returns whether there were any."""
    stage, wildcards = STAGES[job[0]], job[1]
    found = False
    for key, outputs in stage.reads(study, **wildcards).items():
        for up, name in as_list(outputs):
            if key in stage.optional or why.get(job_name(up), True):
                continue
            missing = [path for path in output_paths(study, up, name) if not path.exists()]
            if missing:
                why[job_name(up)] = [f"{missing[0]} is missing, and {job_name(job)} reads it"]
                found = True
    return found


def refresh_stamps(study: Study, stamps: Stamps) -> list[Job]:
    """Bring the stamp files of all jobs up to date, and set their times so that Snakemake sees what has changed.

    Returns the jobs that have changed.

    Stamp and done files are the only inputs whose time counts (the others are `ancient`): both from 1970 when the job
    is done; the stamp from now when it has to run again. Missing outputs Snakemake sees for itself.

    Raises:
        StudyError: if another run of this study is under way and the stamps of its jobs would change.
    """
    jobs = all_jobs(study)
    if _under_way(study):
        changed = [job for job in jobs if read_stamp(stamp_file(study, job)) != stamps.of(job)]
        if changed:
            raise StudyError(
                f"{results_folder(study)}: a run of this study is under way, and settings or code have changed "
                f"since it began ({job_name(changed[0])} first); jobs that have not started would use the new ones. "
                "Wait for it, or give this study another name; `python -m polychromic stale` says what would "
                "re-run. If it was killed: `snakemake --unlock`."
            )
    stale = []
    for job in jobs:
        if changed := bool(_changes(study, job, stamps)):
            stale.append(job)
        _refresh(stamps.of(job), stamp_file(study, job), done_file(study, job), stale=changed)
    return stale


def _refresh(stamp: dict[str, Any], file: Path, done: Path, *, stale: bool) -> None:
    text = stamp_text(stamp)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_atomic(file, text)
    if stale:
        os.utime(file)
        return
    for path in (file, done):
        if path.stat().st_mtime != LONG_AGO:
            os.utime(path, (LONG_AGO, LONG_AGO))


def _under_way(study: Study) -> bool:
    """Whether Snakemake holds a lock on this study's outputs."""
    ours = f"{results_folder(study)}/"
    locks = Path(".snakemake/locks").glob("*.output.lock")
    return any(line.startswith(ours) for lock in locks for line in lock.read_text(encoding="utf-8").splitlines())
