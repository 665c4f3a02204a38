"""Polychromic LoRA: fine-tuning for the best of k samples. L = L_quality - lambda * E[D(generations)]."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["PolychromicConfig", "PolychromicTrainer"]


def __getattr__(name: str) -> Any:
    # The trainer imports torch and transformers (seconds); stages that only read tables must not pay for it.
    if name in __all__:
        return getattr(importlib.import_module("polychromic.method.trainer"), name)
    raise AttributeError(f"module 'polychromic' has no attribute {name!r}")
