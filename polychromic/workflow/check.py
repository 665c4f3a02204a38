"""Can this machine run a study? `python -m polychromic check [study.yaml ...]` prints a line a check."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from polychromic.config.loading import load_study
from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.hub_lock import hub_errors
from polychromic.workflow.code import ROOT, locked_versions

GIB = 2**30
LIBRARIES = ("torch", "transformers", "peft", "snakemake", "sacrebleu", "pandas", "scipy")


def check_libraries() -> str:
    pins = locked_versions(ROOT / "requirements.lock")
    for name in LIBRARIES:
        try:
            installed = version(name).split("+")[0]
        except PackageNotFoundError:
            raise StudyError(f"{name} is not installed: pip install -r requirements.lock") from None
        if installed != pins[name]:
            raise StudyError(f"{name} is {installed}, the lock says {pins[name]}: pip install -r requirements.lock")
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


def check_model(study: Study) -> str:
    """Is the base model here, or can it be fetched?

    Raises:
        StudyError: saying how to get it.
    """
    name = study.model.name
    if name == "embedded":
        return "embedded: trained by the workflow"
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
    import torch

    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / GIB
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
    if study.model.precision == "nf4":
        raise StudyError("no GPU, and model.precision nf4 needs one (on a cluster: run this check on a GPU node).")
    return "none; not needed for this study"


def check_sandbox() -> str:
    from polychromic.verifiers.sandbox.supervisor import describe

    return describe()


def main(paths: list[str]) -> int:
    try:
        study = load_study(*(paths or ["config.yaml"]))
    except StudyError as error:
        print(f"  FAIL  config      {error}")
        return 1
    small = study.world is not None
    checks = {
        "libraries": check_libraries,
        "memory": lambda: check_memory((4 if small else 16) * GIB),
        "disk": lambda: check_disk(Path("results"), (2 if small else 60) * GIB),
        "model": lambda: check_model(study),
        "gpu": lambda: check_gpu(study),
        "sandbox": check_sandbox,
    }
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
