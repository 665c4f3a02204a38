"""log pi of given completions, with gradient, under the very distribution that they were sampled from."""

from __future__ import annotations

from copy import copy

import torch

from polychromic.head import logits_at
from polychromic.method.cache import Prefill, prefill, taken
from polychromic.method.nucleus import nucleus

PASS = 100
"""Tokens, forward and backward, that cost about as much as beginning one more pass, of a tiny model on a CPU."""


def completion_log_probs(
    model,
    prompts: list[list[int]],
    completions: list[list[list[int]]],
    *,
    temperature: float,
    top_p: float = 1.0,
) -> torch.Tensor:
    """Sum over tokens of log pi(token | prompt, tokens before), under softmax(logits / temperature) and the nucleus.

    A prompt is run once and its cache, gradient included, shared by its completions. The caller sets the model's
    mode: eval, so that dropout is off as it was while sampling.

    Args:
        model: a causal LM whose adapter, if any, is injected into its layers.
        prompts: token ids. completions: for each prompt its completions' token ids, end token included.

    Returns:
        [rows], float32: the completions of the first prompt, then of the second, ...
    """
    device = model.device
    run = prefill(model, prompts)
    rows = [tokens for group in completions for tokens in group]
    owner = torch.tensor([i for i, group in enumerate(completions) for _ in group], device=device)
    logits, targets = [run.logits[owner]], [torch.tensor([tokens[0] for tokens in rows], device=device)]
    row = [torch.arange(len(rows), device=device)]
    for some in passes([len(tokens) - 1 for tokens in rows], PASS if device.type == "cpu" else None):
        index = torch.tensor(some, device=device)
        rest, later = _continued(model, run, owner[index], [rows[i] for i in some])
        logits.append(rest)
        targets.append(later)
        row.append(index.repeat_interleave(torch.tensor([len(rows[i]) - 1 for i in some], device=device)))
    target = torch.cat(targets)
    kept = nucleus(torch.cat(logits).float() / temperature, top_p, keep=target)
    picked = kept.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return picked.new_zeros(len(rows)).index_add(0, torch.cat(row), picked)


def _continued(model, run: Prefill, owner: torch.Tensor, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """(logits, token) of every token of the rows but the first; `owner`: each row's prompt in `run`, which is kept."""
    lengths, longest = torch.tensor([len(row) for row in rows], device=owner.device), max(map(len, rows))
    tokens = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=owner.device)
    written = torch.arange(longest, device=owner.device) < lengths[:, None]
    cache = copy(run.cache)
    cache.layers = [copy(layer) for layer in run.cache.layers]
    cache.batch_select_indices(owner)
    inputs = taken(
        model,
        input_ids=tokens[:, :-1],
        attention_mask=torch.cat([run.mask[owner], written[:, :-1].to(run.mask.dtype)], dim=1),
        position_ids=run.position[owner] + 1 + torch.arange(longest - 1, device=owner.device),
        past_key_values=cache,
        use_cache=True,
    )
    later = written[:, 1:]
    _, logits = logits_at(model, later, lambda: model(**inputs))
    return logits, tokens[:, 1:][later]


def passes(lengths: list[int], cost: int | None) -> list[list[int]]:
    """Numbers of the rows with tokens, shortest first, in passes of like length, so that less is padding.

    Args:
        lengths: tokens of each row. cost: of one more pass, in tokens; None: all rows in one.
    """
    order = sorted((i for i, length in enumerate(lengths) if length), key=lengths.__getitem__)
    if not order:
        return []
    longest = lengths[order[-1]]
    saved, cut = max((cut * (longest - lengths[order[cut - 1]]), cut) for cut in range(1, len(order) + 1))
    if cost is None or saved <= cost:
        return [order]
    short, long = order[:cut], order[cut:]
    return [[part[i] for i in some] for part in (short, long) for some in passes([lengths[i] for i in part], cost)]
