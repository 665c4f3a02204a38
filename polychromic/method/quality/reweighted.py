"""Cross-entropy with a weight on each token that depends on the model's own probabilities, a constant: DFT and EAFT."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from polychromic.method.quality import QUALITY_TERMS

TOP = 20  # K of EAFT's entropy


@QUALITY_TERMS.register("dft")
def dft(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """DFT (Wu et al. 2025, arXiv 2508.05629): p * -log p with the p in front a constant.

    Its gradient is that of -p: tokens that the model holds unlikely hardly pull.
    """
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (losses.detach().neg().exp() * losses).sum()


@QUALITY_TERMS.register("eaft")
def eaft(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """EAFT (Diao et al. 2026, arXiv 2601.02151): cross-entropy times the next token's normalised entropy, a constant.

    As in the authors' code the entropy is of the 20 likeliest tokens, their probabilities made to add up to one. It is
    divided by ln 20, its largest value, where their code divides by 3.
    """
    with torch.no_grad():
        likeliest = logits.topk(min(TOP, logits.shape[-1]), dim=-1).values
        log_p = likeliest.log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1) / math.log(likeliest.shape[-1])
    return (entropy * F.cross_entropy(logits, labels, reduction="none")).sum()


dft.label = "DFT"
eaft.label = "EAFT"
