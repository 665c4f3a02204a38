"""The text encoder of a job: the offline one, a folder, or a hub model at the revision that the study locked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from polychromic.embedding import MINILM, Encoder
from polychromic.hub_lock import locked_model


def load_encoder(snakemake: Any, name: str) -> Encoder:
    """The encoder that `metrics.encoder` names, on the job's graphics card if it has one."""
    if name != MINILM and not Path(name).is_dir():
        name = str(locked_model(f"{snakemake.params.results}/lock.json", name))
    own = os.environ.get("LOCAL_RANK", "0")  # one of several processes of a job has its own card
    return Encoder(name, device=f"cuda:{own}" if torch.cuda.is_available() else "cpu")
