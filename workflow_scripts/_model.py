"""The base model of a job: the embedded one, a folder, or a hub repository at the revision that the study locked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from polychromic.hub_lock import locked_model
from polychromic.method.four_bit_copy import load_four_bit
from polychromic.method.models import load_base


def load_base_model(snakemake: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    """(model, tokenizer) for the `model` section of the config."""
    torch.set_num_threads(snakemake.threads)
    name, revision = settings["name"], settings["revision"]
    if snakemake.input.base:
        name, revision = str(snakemake.input.base), None
    folder = Path(name)
    if not folder.is_dir():
        # The hub's cache names a snapshot by its commit. By name, not by folder: the adapter's config repeats it.
        folder = locked_model(f"{snakemake.params.results}/lock.json", name, revision)
        revision = folder.name
    if settings["precision"] == "nf4":
        return load_four_bit(name, folder, revision=revision, attention=settings["attention"])
    return load_base(name, revision=revision, precision=settings["precision"], attention=settings["attention"])
