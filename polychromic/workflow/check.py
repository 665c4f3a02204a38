"""Can this machine run a study? Asked by `python -m polychromic check [study.yaml ...]`, a line a check, and before the
first job of every run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from polychromic.config.loading import load_study
from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.hub_lock import hub_errors
from polychromic.method.packaged_models import PACKAGED_MODELS, find
from polychromic.metrics.judge_clients import KEYS
from polychromic.workflow import choices
from polychromic.workflow.code import ROOT, locked_versions
from polychromic.workflow.stage import is_embedded, raw_paths, results_folder

GIB = 2**30
LIBRARIES = ("torch", "transformers", "peft", "snakemake", "sacrebleu", "pandas", "scipy")


def check_libraries() -> str:
    """Are the libraries those of the lock file? Stamps and signatures name its versions.

    Raises:
        StudyError: naming those that are not.
    """
    pins = locked_versions(ROOT / "requirements.lock")
    odd = []
    for name, pin in pins.items():
        try:
            installed = version(name).split("+")[0]
        except PackageNotFoundError:
            installed = "not installed"
        if installed != pin:
            odd.append(f"{name} is {installed}, the lock says {pin}")
    if odd:
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise StudyError(
            f"{'; '.join(odd[:3])}{more}: pip install -r requirements.lock, or `make lock` for new versions."
        )
    return ", ".join(f"{name} {pins[name]}" for name in LIBRARIES)


def check_memory(need: int) -> str:
    free = psutil.virtual_memory().available
    if free < need:
        raise StudyError(f"{free / GIB:.1f} GiB of memory are free, {need / GIB:.0f} are needed: close other programs.")
    return f"{free / GIB:.1f} GiB free"


def check_disk(folder: Path, need: int) -> str:
    """Space and write permission where results go.

    Raises:
        StudyError: naming the folder.
    """
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise StudyError(f"{folder.resolve()} is not writable: change its permissions, or run from another folder.")
    free = shutil.disk_usage(folder).free
    if free < need:
        raise StudyError(
            f"{folder.resolve()} has {free / GIB:.1f} GiB free, a study needs {need / GIB:.0f}: make space."
        )
    return f"{free / GIB:.0f} GiB free"


def check_rows(study: Study) -> str:
    """Are the files here that the domains' rows come from? Curated rows need them no more.

    Raises:
        StudyError: naming all that are missing.
    """
    missing = [
        str(path)
        for domain in study.domains
        if not (results_folder(study) / domain / "data" / "curated.jsonl").is_file()
        for path in raw_paths(study, domain)
        if not path.is_file() and not is_embedded(study, path)
    ]
    if missing:
        raise StudyError(
            f"{', '.join(dict.fromkeys(missing))} {'is' if len(missing) == 1 else 'are'} not here. docs/data.md says "
            "where public rows come from; take a domain away with `null`, or set `hub` in place of `path`."
        )
    return "all files are here"


def check_model(study: Study) -> str:
    """Is the base model here, or can it be fetched?

    Raises:
        StudyError: saying how to get it.
    """
    name = study.model.name
    if name == "embedded":
        return "embedded: trained by the workflow"
    if name in PACKAGED_MODELS:
        return f"{name}: {PACKAGED_MODELS[name].file}, made ready by the workflow"
    if Path(name).is_dir():
        return f"{name}: a local folder"
    from huggingface_hub import HfApi, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json", revision=study.model.revision), str):
        return f"{name}: in the local hub cache"
    try:
        HfApi().model_info(name, revision=study.model.revision, timeout=10)
    except hub_errors() as error:
        raise StudyError(
            f"{name} is not in the local hub cache and the hub does not answer ({type(error).__name__}): run "
            f"`hf download {name}` where there is a network, or set model.name to a folder that holds it."
        ) from None
    return f"{name}: on the hub, will be downloaded"


def check_gpu(study: Study) -> str:
    """Are there the graphics cards that the study asks for?

    Raises:
        StudyError: saying what is missing.
    """
    import torch

    asked = study.gpus_per_job or int(study.model.precision == "nf4")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count < asked:
        setting = "gpus_per_job" if study.gpus_per_job else "model.precision nf4"
        raise StudyError(
            f"{setting} needs {asked} GPU(s) and torch sees {count}: set gpus_per_job: 0 and model.precision: bf16 or "
            "fp32 for a CPU, mend the driver, or on a cluster run this on a GPU node."
        )
    if not count:
        return "none; not needed for this study"
    memory = torch.cuda.get_device_properties(0).total_memory / GIB
    return f"{count} x {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"


def check_judge(study: Study) -> str:
    """Is there a key for the judge?

    Raises:
        StudyError: naming the environment variable.
    """
    if study.judge.provider not in KEYS:
        return f"{study.judge.provider}: needs no key"
    key = KEYS[study.judge.provider]
    if not os.environ.get(key):
        raise StudyError(f"judge.provider is {study.judge.provider}: set {key} in the environment.")
    return f"{study.judge.provider}: {key} is set"


def check_sandbox() -> str:
    from polychromic.verifiers.sandbox.supervisor import describe

    return describe()


def checks_of(study: Study) -> dict[str, Callable[[], str]]:
    """What can be known before the first job, by name. Each check returns a line, or raises a StudyError."""
    memory, disk = (4, 2) if study.world else (4, 10) if study.model.name in PACKAGED_MODELS else (16, 60)  # GiB
    checks = {
        "libraries": check_libraries,
        "memory": lambda: check_memory(memory * GIB),
        "disk": lambda: check_disk(Path("results"), disk * GIB),
        "rows": lambda: check_rows(study),
        "model": lambda: check_model(study),
        "gpu": lambda: check_gpu(study),
        "judge": lambda: check_judge(study),
    }
    if study.model.name in PACKAGED_MODELS:
        checks["package"] = lambda: f"{find(study.model.name)}"
    return checks | ({"sandbox": check_sandbox} if any(map(choices.runs_code, study.domains.values())) else {})


# Stages that need what a check looks at; the others can run where it fails. Missing rows stop their own domain alone.
NEEDED_BY = {
    "libraries": None,
    "model": {"train", "generate"},
    "package": {"packaged"},
    "gpu": {"train", "generate"},
    "judge": {"judge", "calibrate", "verify"},
    "sandbox": {"curate", "calibrate", "verify", "train"},
}


def refuse_what_must_fail(study: Study, stages: Collection[str], *, here: bool) -> None:
    """Raise before the first job what would make a later one fail. Memory and disk are estimates: they stop nothing.

    Args:
        stages: those that have jobs to run.
        here: whether jobs run on this machine; on a cluster its cards are not theirs.

    Raises:
        StudyError: every check that failed.
    """
    elsewhere = set() if here else {"gpu", "sandbox"}
    failed = []
    for name, check in checks_of(study).items():
        needed = name in NEEDED_BY and (NEEDED_BY[name] is None or NEEDED_BY[name] & set(stages))
        if needed and name not in elsewhere:
            try:
                check()
            except StudyError as error:
                failed.append(f"{name}: {error}")
    if failed:
        raise StudyError("nothing was started.\n  - " + "\n  - ".join(failed))


def main(paths: list[str]) -> int:
    try:
        study = load_study(*(paths or ["config.yaml"]))
    except StudyError as error:
        print(f"  FAIL  config      {error}")
        return 1
    checks = checks_of(study)
    failed = 0
    for name, check in checks.items():
        try:
            print(f"  ok    {name:<11} {check()}")
        except StudyError as error:
            failed += 1
            print(f"  FAIL  {name:<11} {error}")
    print(
        f"{len(checks) - failed} of {len(checks)} checks passed: "
        + ("this machine can run " if not failed else "this machine cannot yet run ")
        + f"the study {study.study}."
    )
    return 1 if failed else 0
