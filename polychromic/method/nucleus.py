"""The nucleus: the most probable tokens, as many as it takes for a probability of top_p."""

from __future__ import annotations

import torch


def nucleus(logits: torch.Tensor, top_p: float, keep: torch.Tensor | None = None) -> torch.Tensor:
    """Logits outside the smallest set of tokens with probability >= top_p, set to -inf (Holtzman et al. 2020,
    sec. 3.1).

    Args:
        logits: [..., vocabulary], already divided by the temperature. keep: [...], tokens that stay whatever
            happens (a sampled token, scored again, may sit on the border by a rounding error).
    """
    if top_p >= 1:
        return logits
    with torch.no_grad():  # which tokens are outside has no gradient, but sorting would keep a vocabulary of them
        ordered, order = logits.sort(dim=-1, descending=True)
        probabilities = ordered.softmax(-1)
        del ordered
        before = probabilities.cumsum(-1).sub_(probabilities)
        del probabilities
        outside = torch.empty_like(order, dtype=torch.bool).scatter_(-1, order, before >= top_p)
        if keep is not None:
            outside.scatter_(-1, keep.unsqueeze(-1), False)
        del before, order
    return logits.masked_fill(outside, float("-inf"))
