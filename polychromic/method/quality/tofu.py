"""TOFU, the tempered focal loss (Klypa and Cherednichenko 2026, arXiv 2605.00195)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from polychromic.method.quality import QUALITY_TERMS


@QUALITY_TERMS.register("tofu")
def tofu(
    logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, *, quality_beta: float, focal_gamma: float
) -> torch.Tensor:
    """TOFU: beta * CE(logits / beta), each token times the slope of the focal loss, a constant.

    The focal loss (Lin et al. 2017) is -(1 - p)^gamma log p with p the label's probability. Its slope in -log p is
    (1 - p)^gamma - gamma p (1 - p)^(gamma - 1) log p. With gamma = 0 this is GEM with a linear h, with beta = 1 the
    focal loss, both by their gradients. The paper takes beta 0.8 and gamma 3.
    """
    log_p = -F.cross_entropy(logits, labels, reduction="none").detach()
    # 1 - p, kept off 0, where a gamma below 1 would give infinity times zero.
    p, miss = log_p.exp(), (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
    slope = miss**focal_gamma - focal_gamma * p * miss ** (focal_gamma - 1) * log_p
    tempered = quality_beta * F.cross_entropy(logits / quality_beta, labels, reduction="none")
    return (slope * tempered).sum()


tofu.label = "TOFU"
