"""How likely a model holds the references: their negative log-likelihood and perplexity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from polychromic.errors import StudyError


def perplexity(nll: float, tokens: int) -> float:
    """exp(nll / tokens): the model's mean surprise per reference token, in [1, inf), lower is better.

    nll: summed negative log-likelihood in nats. Pool a prompt's (or a part's) nll and tokens before, as a
    mean of perplexities is dominated by its worst. NaN without tokens.
    """
    if tokens == 0:
        return math.nan
    if not math.isfinite(nll):
        raise StudyError(f"perplexity of an nll of {nll}: the model gave NaN or infinity")
    return math.exp(nll / tokens)


def reference_nll(
    model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]], batch_size: int = 16
) -> list[tuple[float, int]]:
    """(summed nll in nats, number of tokens) of each target given its prompt, both as token ids.

    model: a causal language model of transformers, in evaluation mode; targets end with the end token if it
    is to count. The prompt's own tokens are not counted.

    Raises:
        StudyError: for an empty prompt, or NaN from the model.
    """
    import torch

    device = next(model.parameters()).device
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) + len(rows[i][1]), i))
    for start in range(0, len(rows), batch_size):
        batch = by_length[start : start + batch_size]
        width = max(len(rows[i][0]) + len(rows[i][1]) for i in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.long, device=device)
        real = torch.zeros(len(batch), width, dtype=torch.long, device=device)
        for row, i in enumerate(batch):  # padding stands on the right, where no earlier token sees it
            prompt, target = rows[i]
            if not len(prompt):
                raise StudyError(f"row {i}: perplexity of a target needs a prompt of at least one token")
            ids[row, : len(prompt) + len(target)] = torch.tensor([*prompt, *target], device=device)
            real[row, : len(prompt) + len(target)] = 1
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=real).logits[:, :-1].float()
            nll = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        for row, i in enumerate(batch):
            prompt, target = rows[i]
            value = nll[row, len(prompt) - 1 : len(prompt) + len(target) - 1].double().sum().item()
            if not math.isfinite(value):
                raise StudyError(f"row {i}: the model gives an nll of {value} for its reference")
            results[i] = (value, len(target))
    return results
