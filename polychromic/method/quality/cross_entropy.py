"""Cross-entropy, and cross-entropy with an entropy bonus."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from polychromic.method.quality import QUALITY_TERMS


@QUALITY_TERMS.register("ce")
def cross_entropy(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Token cross-entropy: standard LoRA."""
    return F.cross_entropy(logits, labels, reduction="sum")


@QUALITY_TERMS.register("entropy")
def entropy(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, *, quality_beta: float) -> torch.Tensor:
    """Cross-entropy minus beta times the entropy of the next-token distribution (Pereyra et al. 2017)."""
    log_p = logits.log_softmax(-1)
    bonus = -(log_p.exp() * log_p).sum(-1)
    return -(log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1) + quality_beta * bonus).sum()


cross_entropy.label = "cross-entropy"
entropy.label = "entropy bonus"
