"""log pi of given completions, with gradient, under the very distribution that they were sampled from."""

from __future__ import annotations

import torch
from transformers import DynamicCache

from polychromic.method.sampling import nucleus


def completion_log_probs(
    model,
    prompts: list[list[int]],
    completions: list[list[list[int]]],
    *,
    temperature: float,
    top_p: float = 1.0,
) -> torch.Tensor:
    """Sum over tokens of log pi(token | prompt, tokens before), under softmax(logits / temperature) and the
    nucleus.

    A prompt is run once and its cache, gradient included, shared by its completions. The caller sets the
    model's
    mode: eval, so that dropout is off as it was while sampling.

    Args:
        model: a causal LM whose adapter, if any, is injected into its layers.
        prompts: token ids. completions: for each prompt its completions' token ids, end token included.

    Returns:
        [rows], float32: the completions of the first prompt, then of the second, ...
    """
    device = model.device
    width = max(map(len, prompts))
    ids = torch.tensor([[prompt[0]] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    first = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits

    rows = [tokens for group in completions for tokens in group]
    owner = torch.tensor([i for i, group in enumerate(completions) for _ in group], device=device)
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    written = torch.arange(longest, device=device) < lengths[:, None]
    logits = first[owner]
    if longest > 1:
        cache.batch_select_indices(owner)
        rest = model(
            input_ids=tokens[:, :-1],
            attention_mask=torch.cat([mask[owner], written[:, :-1].to(mask.dtype)], dim=1),
            position_ids=positions[owner, -1:] + 1 + torch.arange(longest - 1, device=device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        logits = torch.cat([logits, rest], dim=1)
    # Padding is dropped before the softmax over the vocabulary: it is the widest tensor here.
    kept = nucleus(logits[written].float() / temperature, top_p, keep=tokens[written])
    picked = kept.log_softmax(-1).gather(-1, tokens[written].unsqueeze(-1)).squeeze(-1)
    row = torch.arange(len(rows), device=device).repeat_interleave(lengths)
    return picked.new_zeros(len(rows)).index_add(0, row, picked)
