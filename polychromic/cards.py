"""Graphics cards: those that this machine has, those that a job may see, and whether PyTorch can use them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from polychromic.errors import StudyError

PRETEND = "POLYCHROMIC_PRETEND_CARDS"
"""Set by the tests of SLURM and of several processes: cards are counted, and the work is done on the CPU."""

LOWEST_DRIVER = {"11": 450, "12": 525, "13": 580}
"""The oldest driver, by CUDA's main version (CUDA Compatibility, "minor version compatibility")."""

BF16_CAPABILITY = (8, 0)


@dataclass(frozen=True)
class Card:
    """A graphics card, or a MIG part of one."""

    uuid: str
    """As `CUDA_VISIBLE_DEVICES` takes it. CUDA's own numbers depend on what else is visible, and on the speed of the
    cards."""
    name: str
    driver: str
    capability: tuple[int, int]
    """Of CUDA: (8, 0) for Ampere."""


def machine_cards() -> list[Card]:
    """The cards that `nvidia-smi` lists, the MIG parts in place of a card that is divided; none without a driver."""
    fields = "uuid,name,driver_version,compute_cap,mig.mode.current"
    cards = []
    for line in _nvidia_smi(f"--query-gpu={fields}", "--format=csv,noheader"):
        uuid, name, driver, capability, mig = (part.strip() for part in line.split(","))
        major, _, minor = capability.partition(".")
        uuids = _parts_of(uuid) if mig == "Enabled" else [uuid]
        cards += [Card(own, name, driver, (int(major), int(minor or 0))) for own in uuids]
    return cards


def visible_cards() -> list[str]:
    """The cards that this process may use, in the words of `CUDA_VISIBLE_DEVICES`."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [card.strip() for card in given.split(",") if card.strip()]
    if cards := machine_cards():
        return [card.uuid for card in cards]
    # Without nvidia-smi: CUDA counts the cards that it sees from 0, whatever the numbers of their devices are.
    return [str(i) for i in range(len([p for p in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", p.name)]))]


def check_cuda(count: int, *, at_least: bool = False) -> None:
    """Refuse to go on where PyTorch does not see exactly the `count` cards that a job holds.

    Without this, a job with a driver too old would run on the CPU, for days; one that sees a second card would train
    on both, with another batch than the study's.

    Args:
        at_least: more cards are fine: the whole machine is checked, before jobs have taken theirs.

    Raises:
        StudyError: why, and what to change.
    """
    if PRETEND in os.environ:
        return
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        raise StudyError(
            f"{_cards(count)} asked for, but this PyTorch ({torch.__version__}) is built for the CPU alone: install "
            "the build with CUDA (PyPI's for Linux), or set gpus_per_job: 0 and model.precision: bf16 or fp32."
        )
    if not torch.cuda.is_available():
        raise StudyError(f"{_cards(count)} asked for, but PyTorch can use none: {_why_none(torch.version.cuda)}")
    found = torch.cuda.device_count()
    if found < count:
        raise StudyError(f"{_cards(count)} asked for, but PyTorch sees {found}. {_visible()}")
    if found > count and not at_least:
        raise StudyError(
            f"the job holds {_cards(count)}, but PyTorch sees {found}: it would train on all of them, with another "
            f"batch than the study's. Set CUDA_VISIBLE_DEVICES to the job's own. {_visible()}"
        )


def check_capability(device: int, precision: str) -> None:
    """Raise StudyError where a card is too old for bf16, in which 4-bit weights compute too."""
    import torch

    found = torch.cuda.get_device_capability(device)
    if precision != "fp32" and found < BF16_CAPABILITY:
        raise StudyError(
            f"{torch.cuda.get_device_name(device)} has compute capability {found[0]}.{found[1]}; precision {precision} "
            "computes in bf16, which needs 8.0 (Ampere) or newer: take another card, or precision: fp32."
        )


def _why_none(cuda: str | None) -> str:
    cards = machine_cards()
    if not cards:
        return (
            f"nvidia-smi finds no card. On a machine with one, install its driver. {_visible()} For a CPU set "
            "gpus_per_job: 0 and model.precision: bf16 or fp32."
        )
    lowest = LOWEST_DRIVER.get((cuda or "").partition(".")[0], 0)
    if int(cards[0].driver.partition(".")[0]) < lowest:
        return (
            f"its CUDA {cuda} needs driver {lowest} or newer, this machine has {cards[0].driver}: update the driver, "
            "or take a machine with a newer one."
        )
    return f"nvidia-smi lists {', '.join(card.name for card in cards)}. {_visible()} Set it to one of these cards."


def _visible() -> str:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "CUDA_VISIBLE_DEVICES is not set." if given is None else f"CUDA_VISIBLE_DEVICES is {given!r}."


def _cards(count: int) -> str:
    return f"{count} graphics card{'s' if count != 1 else ''}"


def _parts_of(uuid: str) -> list[str]:
    """UUIDs of the MIG parts of a card."""
    own, found = False, []
    for line in _nvidia_smi("-L"):
        if line.startswith("GPU "):
            own = uuid in line
        elif own and (part := re.search(r"UUID: (MIG-[^)]+)", line)):
            found.append(part[1])
    return found


def _nvidia_smi(*options: str) -> list[str]:
    try:
        done = subprocess.run(["nvidia-smi", *options], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):  # no driver, or one that does not answer
        return []
    return [line for line in done.stdout.splitlines() if line.strip()]
