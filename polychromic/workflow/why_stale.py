"""What would run again, and why: `python -m polychromic stale [overlay.yaml ...]`.

Lays the overlays over config.yaml, as `snakemake --configfile` does. Changes nothing.
"""

from __future__ import annotations

import sys

from polychromic.config.loading import load_study
from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.workflow.code import ROOT
from polychromic.workflow.graph import all_jobs, done_file
from polychromic.workflow.stage import results_folder
from polychromic.workflow.staleness import Stamps, reasons, wanted_jobs


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
    print(f"{len(stale)} of {len(wanted_jobs(study))} jobs of {results_folder(study)} are to run.")
    return 0
