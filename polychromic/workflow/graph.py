"""The jobs of a study, and which of them read what others write. All of it follows from the stages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from polychromic.config.study import Study
from polychromic.workflow.stage import Job, Output, results_folder
from polychromic.workflow.stages import STAGES


def all_jobs(study: Study) -> list[Job]:
    """Every job of the study, in the order data flows."""
    values = {"domain": list(study.domains), "arm": list(study.arms), "seed": [str(seed) for seed in study.seeds]}
    return [
        (stage.name, wildcards)
        for stage in STAGES.values()
        for cell in product(*(values[name] for name in stage.scope))
        if stage.exists(study, **(wildcards := dict(zip(stage.scope, cell, strict=True))))
    ]


def upstream(study: Study, job: Job) -> list[Job]:
    """The jobs whose outputs a job reads, each once."""
    stage, wildcards = job
    read = STAGES[stage].reads(study, **wildcards).values()
    return list({job_name(up): up for outputs in read for up, _ in as_list(outputs)}.values())


def as_list(outputs: Output | list[Output]) -> list[Output]:
    """What a stage reads under one name, as a list."""
    return outputs if isinstance(outputs, list) else [outputs]


def nearest(study: Study, job: Job) -> list[Job]:
    """The jobs whose outputs a job reads, less those that another of these reads too: when they run, so does it."""
    read = upstream(study, job)
    by_others = {job_name(further) for up in read for further in upstream(study, up)}
    return [up for up in read if job_name(up) not in by_others]


def is_folder(output: str) -> bool:
    """Whether a path in `Stage.outputs` is a folder's."""
    return output.endswith("/")


def output_paths(study: Study, job: Job, name: str) -> list[Path]:
    """The files or folders of one output of a job."""
    stage, wildcards = job
    patterns = STAGES[stage].outputs[name]
    return [
        results_folder(study) / pattern.format(**wildcards)
        for pattern in ([patterns] if isinstance(patterns, str) else patterns)
    ]


def input_paths(study: Study, job: Job) -> dict[str, str | list[str]]:
    """{input: a file or folder, or a list of such}. Of optional ones, those that are here or that no job has made."""
    stage, wildcards = STAGES[job[0]], job[1]

    def paths(key: str, outputs: list[Output]) -> list[str]:
        found = [(path, up) for up, name in outputs for path in output_paths(study, up, name)]
        if key in stage.optional:
            found = [(path, up) for path, up in found if path.exists() or not done_file(study, up).exists()]
        return [str(path) for path, _ in found]

    read = stage.reads(study, **wildcards)
    return {
        key: paths(key, outputs) if isinstance(outputs, list) else paths(key, [outputs])[0]
        for key, outputs in read.items()
    }


def packed_patterns() -> Iterator[str]:
    """Patterns, under results/<study>/, of the outputs that belong in a bundle."""
    for stage in STAGES.values():
        for name in stage.packed:
            yield pattern_of(stage.name, name)


def pattern_of(stage: str, name: str) -> str:
    """An output of all jobs of a stage as a glob pattern, e.g. `*/*/seed-*/run.json`."""
    path = STAGES[stage].outputs[name].format(domain="*", arm="*", seed="*")
    return f"{path}**/*" if is_folder(path) else path


def job_name(job: Job) -> str:
    stage, wildcards = job
    return ".".join([stage, *wildcards.values()])


def stamp_file(study: Study, job: Job) -> Path:
    return results_folder(study) / ".stamps" / f"{job_name(job)}.json"


def done_file(study: Study, job: Job) -> Path:
    return results_folder(study) / ".stamps" / f"{job_name(job)}.done.json"
