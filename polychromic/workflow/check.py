"""Can this machine run a study? Asked by `python -m polychromic check [--card NAME] [study.yaml ...]`, a line a check,
and before the first job of every run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from polychromic.cards import BF16_CAPABILITY, check_cuda, machine_cards
from polychromic.config.loading import load_study
from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.hub_lock import hub_errors
from polychromic.method.packaged_models import PACKAGED_MODELS, find
from polychromic.metrics.judge_clients import KEYS
from polychromic.workflow import choices, cost
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
    found = _find_model(study)
    if study.model.precision != "nf4":
        return found
    from polychromic.method.four_bit_copy import copies, size  # here: it loads torch

    return f"{found}; {size() / 1e9:.1f} GB of 4-bit copies are in {copies()}"


def _find_model(study: Study) -> str:
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
    """Are there the graphics cards that the study asks for, and can PyTorch use them?

    Raises:
        StudyError: saying what is missing.
    """
    asked = study.gpus_per_job
    if not asked:
        if study.model.precision == "nf4":
            raise StudyError("model.precision nf4 needs a card: set gpus_per_job: 1, or model.precision: bf16 or fp32.")
        return "none; not needed for this study"
    check_cuda(asked, at_least=True)
    cards = machine_cards()
    old = [card.name for card in cards if card.capability < BF16_CAPABILITY]
    if old and study.model.precision != "fp32":
        raise StudyError(
            f"{', '.join(old)} cannot compute in bf16, as model.precision {study.model.precision} does: leave it out "
            "by CUDA_VISIBLE_DEVICES, or set model.precision: fp32."
        )
    return ", ".join(card.name for card in cards) or f"{asked} or more, without nvidia-smi"


def check_cost(study: Study, card: str | None = None) -> str:
    """What the study takes on a card, by an estimate.

    Args:
        card: a name of `cost.CARDS`; None: this machine's, or an H100 where it has none.

    Raises:
        StudyError: the study does not fit on that card.
    """
    if not study.gpus_per_job:
        return "no card, no bill"
    here = machine_cards()
    name = card or (here[0].name if here else "H100")
    found = cost.card_called(name)
    if found is None:
        return f"no estimate for {name}; --card names one of {', '.join(cost.CARDS)}"
    shape = cost.shape_of(study.model.name, study.model.revision)
    if shape is None:
        return f"no estimate: the config of {study.model.name} is not here yet"
    needed = cost.estimate(study, shape, found[1])
    primary, control = study.plan.primary, study.plan.control
    line = (
        f"estimate for {found[0]}: {needed.training_hours:.0f} h of training and {needed.generation_hours:.0f} h of "
        f"generation, {needed.dollars:.0f} dollars at {study.cost.price_per_gpu_hour} an hour, {needed.memory:.0f} of "
        f"{found[1].memory:.0f} GB; {primary} takes {needed.ratio:.1f} times as long to train as {control}"
    )
    if needed.memory > found[1].memory:
        raise StudyError(f"{line}. It does not fit: lower objective.score_tokens or training.batch_size.")
    return line


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


def checks_of(study: Study, card: str | None = None) -> dict[str, Callable[[], str]]:
    """What can be known before the first job, by name. Each check returns a line, or raises a StudyError."""
    memory, disk = (4, 2) if study.world else (4, 10) if study.model.name in PACKAGED_MODELS else (16, 60)  # GiB
    checks = {
        "libraries": check_libraries,
        "memory": lambda: check_memory(memory * GIB),
        "disk": lambda: check_disk(Path("results"), disk * GIB),
        "rows": lambda: check_rows(study),
        "model": lambda: check_model(study),
        "gpu": lambda: check_gpu(study),
        "cost": lambda: check_cost(study, card),
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


def refuse_what_must_fail(
    study: Study, stages: Collection[str], *, here: bool, card_kinds: Collection[str] = ()
) -> None:
    """Raise before the first job what would make a later one fail. Memory and disk are estimates: they stop nothing.

    Args:
        stages: those that have jobs to run.
        here: whether jobs run on this machine; on a cluster its cards are not theirs.
        card_kinds: the `gpu_model` of the jobs to run.

    Raises:
        StudyError: every check that failed.
    """
    elsewhere = set() if here else {"gpu", "sandbox"}
    failed = [
        f"gpu_model: {kind!r} is refused by Snakemake's SLURM plugin, which takes letters, digits, _ and . only: use "
        "`constraint` in profiles/gpu/config.yaml"
        for kind in sorted(set(card_kinds))
        if not re.fullmatch(r"[a-zA-Z0-9_.]+", kind)
    ]
    for name, check in checks_of(study).items():
        needed = name in NEEDED_BY and (NEEDED_BY[name] is None or NEEDED_BY[name] & set(stages))
        if needed and name not in elsewhere:
            try:
                check()
            except StudyError as error:
                failed.append(f"{name}: {error}")
    if failed:
        raise StudyError("nothing was started.\n  - " + "\n  - ".join(failed))


def main(arguments: list[str]) -> int:
    """`python -m polychromic check [--card NAME] [study.yaml ...]`"""
    card, paths = None, list(arguments)
    if "--card" in paths:
        at = paths.index("--card")
        card = next(iter(paths[at + 1 : at + 2]), "")
        del paths[at : at + 2]
    try:
        study = load_study(*(paths or ["config.yaml"]))
    except StudyError as error:
        print(f"  FAIL  config      {error}")
        return 1
    checks = checks_of(study, card)
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
