"""DCO: the loss of pass@N on the target (Chen et al. 2025, arXiv 2502.07154)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from polychromic.method.quality import QUALITY_TERMS


@QUALITY_TERMS.register("dco")
def on_targets(logits: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, *, dco_samples: int) -> torch.Tensor:
    """DCO: -log of the chance that one of N samples is the target; with N = 1 the cross-entropy."""
    losses = F.cross_entropy(logits, labels, reduction="none")
    sequences, row = rows.unique(return_inverse=True)
    summed = losses.new_zeros(len(sequences)).index_add(0, row, losses)
    return dco(-summed, samples=dco_samples).sum()


on_targets.label = "DCO"


def dco(sequence_log_probs: torch.Tensor, *, samples: int) -> torch.Tensor:
    """-log(1 - (1 - p)^N) with p = exp(sequence_log_probs), for each sequence: [sequences] -> [sequences]."""
    # Below -85, where float32 soon has no p, it is -log(N p) to every digit; above, the exact form.
    rare = sequence_log_probs < -85
    # (1 - p)^N in logs; clamped off p = 1, where the loss and its gradient are 0 anyway.
    log_miss = samples * log1mexp(torch.where(rare, -1.0, sequence_log_probs.clamp(max=-1e-6)))
    exact = -log1mexp(log_miss.clamp(max=-torch.finfo(log_miss.dtype).tiny))
    return torch.where(rare, -sequence_log_probs - math.log(samples), exact)


def log1mexp(x: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x < 0, accurate at both ends (Maechler 2012)."""
    near = x > -0.6931472
    # The branch not taken gets a harmless argument: `where` would pass its NaN gradient on.
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, x, -0.5))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, x))),
    )
