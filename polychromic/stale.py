"""What would run again, and why: `python -m polychromic.stale [overlay.yaml ...]`.

Lays the overlays over config.yaml, as `snakemake --configfile` does, and compares every job's stamp with what
its results were made from (see `staleness`). Changes nothing.
"""

from __future__ import annotations

import sys

from polychromic.config import Study, load_study
from polychromic.errors import StudyError
from polychromic.jobs import Job, Stamps, done_file, job_name, results_folder, upstream
from polychromic.staleness import ROOT, explain, read_stamp

# What `snakemake all data` asks for; the paper and the review sheets count where they have been made.
TARGETS = ("figures", "tables", "report")
ON_REQUEST = ("paper", "review_sheet")


def all_jobs(study: Study) -> list[Job]:
    """Every job of a study, each after the jobs whose outputs it reads."""
    ordered: dict[str, Job] = {}

    def add(job: Job) -> None:
        if job_name(job) not in ordered:
            for above in upstream(study, job):
                add(above)
            ordered[job_name(job)] = job

    calibrated: list[Job] = [("calibrate", {"domain": d}) for d in study.domains]
    asked: list[Job] = [("paper", {}), *(("review_sheet", {"domain": d}) for d in study.domains)]
    for job in [
        *((rule, {}) for rule in TARGETS),
        *calibrated,
        *(job for job in asked if done_file(study, job).is_file()),
    ]:
        add(job)
    return list(ordered.values())


def reasons(study: Study, stamps: Stamps) -> dict[str, list[str]]:
    """{stale job: what changed, one line a change}, in the order in which they would run."""
    found = {}
    for job in all_jobs(study):
        lines = explain(stamps.of(job), read_stamp(done_file(study, job)))
        if lines:
            found[job_name(job)] = lines
    return found


def without_a_job(study: Study) -> list[str]:
    """Finished jobs that the study no longer has: a removed arm's, say. Their files are kept and not read."""
    known = {done_file(study, job).name for job in all_jobs(study)}
    return sorted(
        file.name.removesuffix(".done.json")
        for file in (results_folder(study) / ".stamps").glob("*.done.json")
        if file.name not in known
    )


def main(overlays: list[str]) -> int:
    try:
        study = load_study("config.yaml", *overlays)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    stamps = Stamps(study, ROOT / "workflow_scripts", ROOT / "requirements.lock")
    stale = reasons(study, stamps)
    for name, lines in stale.items():
        print(name)
        for line in lines:
            print(f"    {line}")
    for name in without_a_job(study):
        print(f"{name}\n    no longer part of the study; its files are kept")
    print(f"{len(stale)} of {len(all_jobs(study))} jobs of {results_folder(study)} are to run.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
