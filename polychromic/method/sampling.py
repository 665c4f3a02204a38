"""Group sampling: N completions a prompt from one shared prefill. Training and evaluation share it.

A lean loop over the model's own forward: the prompts of a batch are prefilled together (left-padded), their
cache is repeated N times into preallocated buffers, and rows that ended are dropped. Each sample has its own
counter-based random stream, keyed by its seed, so that neither the batch it is in nor the order matters (up
to float rounding).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from polychromic.errors import StudyError
from polychromic.method.cache import Preallocated, check_can_sample, next_logits, prefill
from polychromic.method.models import context_length, end_tokens, merged_adapter


@dataclass(frozen=True)
class Completion:
    """One sample: its tokens (the end token included if drawn), text without special tokens, why it stopped,
    its seed.
    """

    tokens: list[int]
    text: str
    finish: str
    """"stop": the end token was drawn; "length": `max_new_tokens` were drawn without it."""
    seed: int
    log_prob: float
    """Sum over `tokens` of log pi under the distribution sampled from (temperature, nucleus), in nats."""


def sample_groups(
    model,
    tokenizer,
    prompts: list[list[int]],
    seeds: list[list[int]],
    *,
    temperature: float,
    top_p: float = 1.0,
    max_new_tokens: int,
    batch_size: int = 256,
) -> list[list[Completion]]:
    """Sample len(seeds[i]) completions of prompts[i], from softmax(logits / temperature), cut to the top_p
    nucleus.

    Dropout is off while sampling and the model's mode is restored. float32 LoRA weights are merged for the
    duration (the base weights are put back untouched); on any other base the adapter runs beside it.

    Args:
        model: a causal LM, with or without a PEFT adapter.
        prompts: token ids (`models.encode_prompt`).
        seeds: one seed a sample; the same seed with the same prompt gives the same completion.
        temperature: > 0. top_p: in (0, 1]. max_new_tokens: in tokens, the end token included.
        batch_size: samples decoded together, at most (a prompt's samples stay together).

    Raises:
        StudyError: if a prompt is empty or, with `max_new_tokens`, longer than the model's context.
    """
    if temperature <= 0 or not 0 < top_p <= 1 or max_new_tokens < 1:
        raise StudyError(
            f"cannot sample at temperature {temperature}, top_p {top_p}, max_new_tokens {max_new_tokens}: "
            "need temperature > 0, 0 < top_p <= 1, max_new_tokens >= 1."
        )
    check_can_sample(model)
    context = context_length(model)
    for i, prompt in enumerate(prompts):
        if not prompt:
            raise StudyError(f"prompt {i} has no tokens.")
        if context and len(prompt) + max_new_tokens > context:
            raise StudyError(
                f"prompt {i} has {len(prompt)} tokens; with max_new_tokens = {max_new_tokens} that exceeds "
                f"the model's context of {context}. Shorten the prompt or lower max_new_tokens."
            )
    results: list[list[Completion]] = [[] for _ in prompts]
    ends = end_tokens(model, tokenizer)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), merged_adapter(model) as lean, _fused_attention(lean):
            for batch in _batches(prompts, seeds, batch_size):
                drawn = _decode(
                    lean,
                    [prompts[i] for i in batch],
                    [seeds[i] for i in batch],
                    ends,
                    temperature,
                    top_p,
                    max_new_tokens,
                )
                for i in batch:
                    tokens, log_probs = zip(*[next(drawn) for _ in seeds[i]], strict=True)
                    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True)
                    results[i] = [
                        Completion(row, text, "stop" if row[-1] in ends else "length", seed, log_prob)
                        for row, text, seed, log_prob in zip(tokens, texts, seeds[i], log_probs, strict=True)
                    ]
    finally:
        model.train(was_training)
    return results


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


def uniforms(seeds: Sequence[int], count: int) -> np.ndarray:
    """[len(seeds), count] float64 in [0, 1): row i is the Philox stream of seeds[i], whatever else is
    drawn.
    """
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(count) for seed in seeds])


@contextmanager
def _fused_attention(model) -> Iterator[None]:
    """SDPA instead of eager attention, which trains faster on a CPU but decodes slower. SDPA has no soft cap."""
    config, before = model.config, model.config._attn_implementation
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None)
    if before == "eager" and getattr(model, "_supports_sdpa", False) and not capped:
        config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = before


def _batches(prompts: list[list[int]], seeds: list[list[int]], batch_size: int) -> list[list[int]]:
    """Indices of prompts, grouped by similar length so that little is padded, at most `batch_size` samples a
    group.
    """
    order = sorted((i for i in range(len(prompts)) if seeds[i]), key=lambda i: (len(prompts[i]), i))
    batches: list[list[int]] = []
    rows = batch_size
    for i in order:
        if rows + len(seeds[i]) > batch_size:
            batches.append([])
            rows = 0
        batches[-1].append(i)
        rows += len(seeds[i])
    return batches


def _decode(
    model,
    prompts: list[list[int]],
    seeds: list[list[int]],
    ends: frozenset[int],
    temperature: float,
    top_p: float,
    max_new_tokens: int,
) -> Iterator[tuple[list[int], float]]:
    """(tokens, log pi) of every sample, prompt by prompt."""
    device = model.device
    run = prefill(model, prompts)
    cache, width = run.cache, run.mask.shape[1]
    padded = any(len(prompt) < width for prompt in prompts)
    owner = torch.tensor([i for i, group in enumerate(seeds) for _ in group], device=device)
    noise = torch.from_numpy(uniforms([seed for group in seeds for seed in group], max_new_tokens)).to(device)
    cache.layers = [Preallocated(layer, owner, width + max_new_tokens) for layer in cache.layers]
    logits = run.logits[owner]
    position = run.position[owner]
    mask = torch.cat([run.mask[owner], run.mask.new_ones((len(owner), max_new_tokens))], dim=1) if padded else None
    is_end = torch.zeros(logits.shape[-1], dtype=torch.bool, device=device)
    is_end[[token for token in ends if token < len(is_end)]] = True

    alive = torch.arange(len(owner), device=device)
    drawn = torch.full((len(owner), max_new_tokens), -1, dtype=torch.long, device=device)
    log_probs = torch.zeros(len(owner), device=device)
    for step in range(max_new_tokens):
        probabilities = nucleus(logits.float() / temperature, top_p).softmax(-1)
        cumulative = probabilities.cumsum(-1)
        # Rounding to float32 can make a uniform 1, which would draw the vocabulary's last token, likely or not.
        uniform = noise[alive, step].to(cumulative.dtype).clamp(max=1 - 2**-24)
        target = uniform.unsqueeze(-1) * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[-1] - 1)
        drawn[alive, step] = token.squeeze(-1)
        log_probs[alive] += probabilities.gather(-1, token).squeeze(-1).log()
        if step + 1 == max_new_tokens:
            break
        going = ~is_end[token.squeeze(-1)]
        remaining = int(going.sum())
        if remaining == 0:
            break
        if remaining < len(alive):
            # The last rows move into the places of those that ended, so that little of the cache is copied.
            target = (~going[:remaining]).nonzero().squeeze(-1)
            source = remaining + going[remaining:].nonzero().squeeze(-1)
            for layer in cache.layers:
                layer.move(source, target)
            for rows in filter(lambda rows: rows is not None, (alive, token, position, mask)):
                rows[target] = rows[source]
            alive, token, position = alive[:remaining], token[:remaining], position[:remaining]
            mask = mask[:remaining] if padded else None
        position = position + 1
        logits = next_logits(model, token, mask[:, : width + step + 1] if padded else None, position, cache)
    return (
        ([token for token in row if token >= 0], log_prob)
        for row, log_prob in zip(drawn.tolist(), log_probs.tolist(), strict=True)
    )
