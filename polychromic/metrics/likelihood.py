"""How likely a model holds the references: their negative log-likelihood and perplexity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from polychromic.errors import StudyError
from polychromic.memory import Budget


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
    model: Any,
    rows: Sequence[tuple[Sequence[int], Sequence[int]]],
    batch_size: int = 16,
    budget: Budget | None = None,
) -> list[tuple[float, int]]:
    """(summed nll in nats, number of tokens) of each target given its prompt, both as token ids.

    model: a causal language model of transformers, in evaluation mode; targets end with the end token if it
    is to count. The prompt's own tokens are not counted. budget: tokens of a batch, padding included (None: 16,384);
    of those that the head is run on, the targets', a sixteenth. Halved where memory does not hold them.

    Raises:
        StudyError: for an empty prompt, NaN from the model, or a row that memory does not hold.
    """
    budget = budget or Budget(16_384)
    for i, (prompt, _) in enumerate(rows):
        if not len(prompt):
            raise StudyError(f"row {i}: perplexity of a target needs a prompt of at least one token")
    left = sorted(range(len(rows)), key=lambda i: (len(rows[i][0]) + len(rows[i][1]), i))
    results: list[tuple[float, int]] = [(0.0, 0)] * len(rows)
    while left:
        least = len(rows[left[0]][0]) + len(rows[left[0]][1])

        def score(some: list[int] = left[:batch_size]) -> dict[int, float]:
            batch = some[: _fitting([rows[i] for i in some], budget.tokens)]
            return dict(zip(batch, _batch_nll(model, [rows[i] for i in batch]), strict=True))

        found = budget.within(score, least=least, what="likelihood of references")
        left = left[len(found) :]
        for i, value in found.items():
            if not math.isfinite(value):
                raise StudyError(f"row {i}: the model gives an nll of {value} for its reference")
            results[i] = (value, len(rows[i][1]))
    return results


def _fitting(rows: Sequence[tuple[Sequence[int], Sequence[int]]], tokens: int) -> int:
    """How many of the first rows, shortest first, may run together: one at least."""
    count, targets = 0, 0
    for prompt, target in rows:
        targets += len(target)
        if count and ((count + 1) * (len(prompt) + len(target)) > tokens or targets > tokens // 16):
            break
        count += 1
    return count


def _batch_nll(model: Any, rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[float]:
    """Summed nll of each target. Padding is on the right, where no earlier token sees it."""
    import torch

    from polychromic.head import logits_at

    device = next(model.parameters()).device
    width = max(len(prompt) + len(target) for prompt, target in rows)
    ids, real, before = (torch.zeros(len(rows), width, dtype=torch.long, device=device) for _ in range(3))
    for row, (prompt, target) in enumerate(rows):
        end = len(prompt) + len(target)
        ids[row, :end] = torch.tensor([*prompt, *target], device=device)
        real[row, :end] = 1
        before[row, len(prompt) - 1 : end - 1] = 1  # the positions whose next token is of the target
    keep = before.bool()
    with torch.inference_mode():
        inputs = {"input_ids": ids, "attention_mask": real, "use_cache": False}
        _, logits = logits_at(model, keep, lambda: model(**inputs))
        targets = ids.roll(-1, dims=1)[keep]
        nll = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none").double()
        return nll.new_zeros(len(rows)).index_add(0, keep.nonzero()[:, 0], nll).tolist()
