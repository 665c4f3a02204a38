"""The quality term: cross-entropy (standard LoRA) and its peers GEM, DCO and an entropy bonus.

Each is a `compute_loss_func` of `transformers.Trainer`: (model outputs, labels, number of target tokens in
the whole effective batch) -> scalar. Labels are -100 where no loss is taken, and are shifted here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from polychromic.errors import StudyError

QUALITY_TERMS = ("ce", "gem", "gem_logsigmoid", "dco", "entropy")

Loss = Callable[..., torch.Tensor]


def quality_loss(name: str, *, beta: float = 0.7, dco_samples: int = 10) -> Loss | None:
    """The loss function of this name; None for "ce", which is the model's own.

    Args:
        name: "ce", "gem" (linear h), "gem_logsigmoid" (the published h), "dco" or "entropy".
        beta: GEM's temperature; for "entropy", the weight of the bonus.
        dco_samples: N of DCO.

    Raises:
        StudyError: unknown name, or a parameter out of its range.
    """
    if name not in QUALITY_TERMS:
        raise StudyError(f"quality {name!r} is unknown: use one of {', '.join(QUALITY_TERMS)}.")
    if beta <= 0 or dco_samples < 1:
        raise StudyError(f"quality needs beta > 0 and dco_samples >= 1, got {beta} and {dco_samples}.")
    if name == "ce":
        return None
    if name == "dco":
        return _dco_loss(dco_samples)
    if name == "entropy":
        return _on_targets(lambda logits, labels: entropy_regularised(logits, labels, bonus=beta))
    return _on_targets(lambda logits, labels: gem(logits, labels, beta=beta, log_sigmoid=name == "gem_logsigmoid"))


def gem(logits: torch.Tensor, labels: torch.Tensor, *, beta: float, log_sigmoid: bool) -> torch.Tensor:
    """GEM, entropy-preserving fine-tuning (Li et al. 2025, arXiv 2408.16673), per token.

    With q = softmax(logits / beta), a constant: -sum_v q_v * w_v * (log p_label - log p_v). With the linear
    h, w = 1 and the gradient is that of beta * CE(logits / beta). The published h is a log-sigmoid: w_v =
    sigmoid((z_v - z_label) / 100), a constant too.

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


def entropy_regularised(logits: torch.Tensor, labels: torch.Tensor, *, bonus: float) -> torch.Tensor:
    """Cross-entropy minus bonus * entropy of the next-token distribution, per token (Pereyra et al. 2017)."""
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    return -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1) - bonus * entropy


def dco(sequence_log_probs: torch.Tensor, *, samples: int) -> torch.Tensor:
    """DCO: -log of the chance that one of N samples is the target (Chen et al. 2025, arXiv 2502.07154).

    -log(1 - (1 - p)^N) with p = exp(sequence_log_probs), a sequence. N = 1 is the cross-entropy.
    """
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


def _on_targets(per_token: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Loss:
    """A Trainer loss from a loss per target token: their sum over the number of targets in the effective
    batch.
    """

    def loss(outputs, labels, num_items_in_batch=None):
        labels = labels[:, 1:]
        target = labels != -100
        losses = per_token(outputs.logits[:, :-1][target].float(), labels[target])
        return losses.sum() / (target.sum() if num_items_in_batch is None else num_items_in_batch)

    return loss


def _dco_loss(samples: int) -> Loss:
    """DCO summed over sequences, over the number of target tokens: with one sample exactly the token-mean
    CE.
    """

    def loss(outputs, labels, num_items_in_batch=None):
        labels = labels[:, 1:]
        target = labels != -100
        losses = torch.zeros(labels.shape, device=labels.device)
        losses[target] = F.cross_entropy(outputs.logits[:, :-1][target].float(), labels[target], reduction="none")
        total = dco(-losses.sum(-1), samples=samples).sum()
        return total / (target.sum() if num_items_in_batch is None else num_items_in_batch)

    return loss
