"""GEM, entropy-preserving fine-tuning (Li et al. 2025, arXiv 2408.16673)."""

from __future__ import annotations

import torch

from polychromic.method.quality import QUALITY_TERMS


@QUALITY_TERMS.register("gem")
def linear(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, *, quality_beta: float) -> torch.Tensor:
    """GEM with a linear h, whose gradient is that of beta * CE(logits / beta)."""
    return gem(logits, labels, beta=quality_beta, log_sigmoid=False).sum()


@QUALITY_TERMS.register("gem_logsigmoid")
def published(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, *, quality_beta: float) -> torch.Tensor:
    """GEM as published: h is a log-sigmoid."""
    return gem(logits, labels, beta=quality_beta, log_sigmoid=True).sum()


linear.label = "GEM"
published.label = "GEM (log-sigmoid)"


def gem(logits: torch.Tensor, labels: torch.Tensor, *, beta: float, log_sigmoid: bool) -> torch.Tensor:
    """GEM's loss per token: -sum_v q_v * w_v * (log p_label - log p_v) with q = softmax(logits / beta), a constant.

    With the linear h, w = 1. The published h has w_v = sigmoid((z_v - z_label) / 100), a constant too.

    Args:
        logits: [tokens, vocabulary]; labels: [tokens].

    Returns:
        [tokens].
    """
    log_p = logits.log_softmax(-1)
    index = labels.unsqueeze(-1)
    with torch.no_grad():
        weight = (logits / beta).softmax(-1)
        if log_sigmoid:
            weight = weight * torch.sigmoid(0.01 * (logits - logits.gather(-1, index)))
    return -(weight * (log_p.gather(-1, index) - log_p)).sum(-1)
