"""log pi of given completions, with gradient, under the very distribution that they were sampled from."""

from __future__ import annotations

import torch

from polychromic.head import logits_at
from polychromic.method.cache import prefill, taken
from polychromic.method.nucleus import nucleus


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
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    written = torch.arange(longest, device=device) < lengths[:, None]
    logits, targets, row = run.logits[owner], tokens[:, 0], torch.arange(len(rows), device=device)
    if longest > 1:
        run.cache.batch_select_indices(owner)
        inputs = taken(
            model,
            input_ids=tokens[:, :-1],
            attention_mask=torch.cat([run.mask[owner], written[:, :-1].to(run.mask.dtype)], dim=1),
            position_ids=run.position[owner] + 1 + torch.arange(longest - 1, device=device),
            past_key_values=run.cache,
            use_cache=True,
        )
        later = written[:, 1:]
        _, rest = logits_at(model, later, lambda: model(**inputs))
        logits = torch.cat([logits, rest])
        targets = torch.cat([targets, tokens[:, 1:][later]])
        row = torch.cat([row, row.repeat_interleave(lengths - 1)])
    kept = nucleus(logits.float() / temperature, top_p, keep=targets)
    picked = kept.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return picked.new_zeros(len(rows)).index_add(0, row, picked)
