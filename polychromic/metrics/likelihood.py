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

    from polychromic.head import logits_at

    device = next(model.parameters()).device
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    by_length = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) + len(rows[i][1]), i))
    for start in range(0, len(rows), batch_size):
        batch = by_length[start : start + batch_size]
        width = max(len(rows[i][0]) + len(rows[i][1]) for i in batch)
        ids, real, before = (torch.zeros(len(batch), width, dtype=torch.long, device=device) for _ in range(3))
        for row, i in enumerate(batch):  # padding stands on the right, where no earlier token sees it
            prompt, target = rows[i]
            if not len(prompt):
                raise StudyError(f"row {i}: perplexity of a target needs a prompt of at least one token")
            end = len(prompt) + len(target)
            ids[row, :end] = torch.tensor([*prompt, *target], device=device)
            real[row, :end] = 1
            before[row, len(prompt) - 1 : end - 1] = 1  # the positions whose next token is of the target
        keep = before.bool()
        with torch.inference_mode():
            inputs = {"input_ids": ids, "attention_mask": real}
            _, logits = logits_at(model, keep, lambda inputs=inputs: model(**inputs))
            targets = ids.roll(-1, dims=1)[keep]
            nll = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none").double()
            sums = nll.new_zeros(len(batch)).index_add(0, keep.nonzero()[:, 0], nll).tolist()
        for i, value in zip(batch, sums, strict=True):
            if not math.isfinite(value):
                raise StudyError(f"row {i}: the model gives an nll of {value} for its reference")
            results[i] = (value, len(rows[i][1]))
    return results
