"""Polychromic LoRA: fine-tuning for the best of k samples. L = L_quality - lambda * E[D(generations)]."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
_MODULE_OF = {
    "PolychromicConfig": "polychromic.method.config",
    "PolychromicTrainer": "polychromic.method.trainer",
    "make_measure": "polychromic.method.diversity",
    "own_measure": "polychromic.method.diversity",
}
__all__ = ["PolychromicConfig", "PolychromicTrainer", "make_measure", "own_measure"]


def __getattr__(name: str) -> Any:
    # The trainer imports torch and transformers (seconds); stages that only read tables must not pay for it.
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    raise AttributeError(f"module 'polychromic' has no attribute {name!r}")
