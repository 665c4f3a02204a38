"""A copy of a base model in 4 bits: made by a machine's first job, read by the others.

Without it each job reads a model's full weights, 16 GB of an 8B, and quantises them again. The copy holds the very bits
that quantising gives, so it moves no number.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError

from polychromic.errors import StudyError
from polychromic.files import appearing, digest, read_json, write_json
from polychromic.hub_lock import MODEL_FILES, digests_once
from polychromic.method.models import FOUR_BIT, load_base, own_device

logger = logging.getLogger(__name__)

SUMS = "sha256.json"
NOT_KEPT = "no 4-bit copy of the model is kept (%s): every job quantises it again."


def copies() -> Path:
    """Where copies are kept: beside the hub cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).parent / "polychromic-nf4"


def size() -> int:
    """Bytes of all copies on this machine."""
    total = 0
    for folder, _, names in os.walk(copies()):
        for name in names:
            with suppress(FileNotFoundError):  # a job has just renamed it
                total += Path(folder, name).stat().st_size
    return total


def load_four_bit(
    name: str | Path, folder: str | Path, *, revision: str | None = None, attention: str = "sdpa", device: str = "auto"
):
    """As `load_base` in nf4, with the weights from this machine's copy; the first call makes it.

    A damaged copy is made again. Where none can be kept (no room, no permission) the model is quantised as always.

    Args:
        name: as for `load_base`. folder: where the model's files are.
    """
    how = {"revision": revision, "precision": "nf4", "attention": attention, "device": device}
    try:
        place = copies() / _key(Path(folder), own_device() if device == "auto" else device)
        with _alone(place):
            if not _whole(place):
                model, tokenizer = load_base(name, **how)
                _keep(model, place, _weights(Path(folder)))
                return model, tokenizer
    except OSError as error:
        logger.warning(NOT_KEPT, error)
        return load_base(name, **how)
    return load_base(name, **how, copy=place)


def _alone(place: Path):
    """A lock that makes this machine's other jobs wait while one makes the copy."""
    from filelock import FileLock

    return FileLock(place.with_suffix(".held"))


def _key(folder: Path, device: str) -> str:
    """Names a copy by all that its bits depend on: files, libraries, the kind of card, settings."""
    kind = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    files = sorted(path for pattern in MODEL_FILES for path in folder.glob(pattern))
    sums = digests_once(files, _memo())
    versions = {library: version(library) for library in ("torch", "transformers", "bitsandbytes")}
    return digest([{path.name: sum_ for path, sum_ in sums.items()}, versions, kind, FOUR_BIT])[:16]


def _memo() -> Path:
    return copies() / f"{platform.node()}.json"


def _whole(place: Path) -> bool:
    """Is there a copy, with the checksums that it was made with?"""
    if not place.is_dir():
        return False
    try:
        made = read_json(place / SUMS)
    except StudyError:
        made = {}
    found = digests_once(sorted(place.glob("*.safetensors")), _memo())
    if made and made == {path.name: sum_ for path, sum_ in found.items()}:
        return True
    logger.warning("the 4-bit copy %s is damaged: it is made again.", place)
    return False


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _keep(model, place: Path, room: int) -> None:
    """Save a quantised model as a copy. It needs less than `room`, the bytes of the full weights."""
    free = shutil.disk_usage(place.parent).free
    if free < room:
        logger.warning(NOT_KEPT, f"{place.parent} has {free / 1e9:.1f} GB free")
        return
    try:
        with appearing(place) as partial:
            model.save_pretrained(partial)
            sums = digests_once(sorted(partial.glob("*.safetensors")), _memo())
            write_json(partial / SUMS, {path.name: sum_ for path, sum_ in sums.items()})
    except (OSError, SafetensorError) as error:
        logger.warning(NOT_KEPT, error)
