"""Adapters made from trained ones, without training: WiSE-FT averages and scaled adapters. Exact, in PEFT's
format.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from polychromic.errors import StudyError

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def average_adapters(early_dir: str | Path, late_dir: str | Path, out_dir: str | Path, *, share: float = 0.5) -> None:
    """WiSE-FT on the weights' change, (1 - share) * dW_early + share * dW_late, with twice the rank.

    Wortsman et al. 2022 (arXiv 2109.01903), for checkpoints of one fine-tuning run as in Dang et al.
    2025 (arXiv 2504.10478). With dW = scaling * B A the average is exact: A' = [A_early; A_late] and
    B' = [(1 - share) B_early, share B_late].

    Raises:
        StudyError: not two LoRA adapters of one run (other settings, other modules).
    """
    early, settings = _load(early_dir)
    late, late_settings = _load(late_dir)
    if settings != late_settings or early.keys() != late.keys():
        odd = sorted(key for key in settings | late_settings if settings.get(key) != late_settings.get(key))
        raise StudyError(
            f"{early_dir} and {late_dir} are not checkpoints of one run: they differ in {', '.join(odd) or 'modules'}."
        )
    merged = {}
    for name, first in early.items():
        second = late[name]
        if ".lora_A." in name:
            merged[name] = torch.cat([first, second], dim=0)
        elif ".lora_B." in name:
            merged[name] = torch.cat([(1 - share) * first, share * second], dim=1)
        else:  # a module trained in full
            merged[name] = (1 - share) * first + share * second
    # scaling is alpha / r, or alpha / sqrt(r) for rsLoRA: alpha grows so that it stays
    factor = math.sqrt(2) if settings.get("use_rslora") else 2
    _save(out_dir, merged, settings, ranks=lambda r: 2 * r, alphas=lambda alpha: factor * alpha)


def scale_adapter(adapter_dir: str | Path, out_dir: str | Path, *, share: float) -> None:
    """share * dW: 0 is the base model, 1 the adapter, between them the interpolation of the weights.

    Raises:
        StudyError: not a LoRA adapter, or one with modules trained in full (their base weights are not in
        it).
    """
    tensors, settings = _load(adapter_dir)
    full = [name for name in tensors if ".lora_A." not in name and ".lora_B." not in name]
    if full:
        raise StudyError(f"{adapter_dir} cannot be scaled: {full[0]} was trained in full. Use average_adapters.")
    scaled = {name: share * tensor if ".lora_B." in name else tensor for name, tensor in tensors.items()}
    _save(out_dir, scaled, settings)


def _load(folder: str | Path) -> tuple[dict[str, torch.Tensor], dict]:
    folder = Path(folder)
    if not (folder / WEIGHTS).is_file():
        raise StudyError(f"{folder} holds no adapter ({WEIGHTS} is missing). Train it first.")
    settings = json.loads((folder / CONFIG).read_text())
    if settings.get("peft_type") != "LORA" or settings.get("use_dora"):
        raise StudyError(f"{folder} is not a plain LoRA adapter: only those can be averaged or scaled exactly.")
    return load_file(folder / WEIGHTS), settings


def _save(folder, tensors, settings, ranks=lambda r: r, alphas=lambda alpha: alpha) -> None:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings | {
        "r": ranks(settings["r"]),
        "lora_alpha": alphas(settings["lora_alpha"]),
        "rank_pattern": {key: ranks(r) for key, r in (settings.get("rank_pattern") or {}).items()},
        "alpha_pattern": {key: alphas(alpha) for key, alpha in (settings.get("alpha_pattern") or {}).items()},
    }
    (folder / CONFIG).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()},
        folder / WEIGHTS,
        metadata={"format": "pt"},
    )
