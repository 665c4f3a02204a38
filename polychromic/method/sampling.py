"""Group sampling: N completions a prompt from one shared prefill. Training and evaluation share it.

A lean loop over the model's own forward, in a stream of rows (`stream.py`). Each sample has its own counter-based
random stream, keyed by its seed, so that neither the rows beside it nor the order matters (up to float rounding).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from polychromic.errors import StudyError
from polychromic.memory import Budget
from polychromic.method.cache import check_can_sample
from polychromic.method.lean import lean
from polychromic.method.models import context_length, end_tokens
from polychromic.method.stream import Request, Stream, Work

TOKENS = 80_000
"""Tokens in the cache of a decode, padding included. Of an 8B model with 8 key-value heads they take 12 GB in bf16."""


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
    temperature: float | list[list[float]],
    top_p: float = 1.0,
    max_new_tokens: int,
    batch_size: int = 256,
    budget: Budget | None = None,
    work: Work | None = None,
) -> list[list[Completion]]:
    """Sample len(seeds[i]) completions of prompts[i], from softmax(logits / temperature), cut to the top_p
    nucleus.

    Dropout is off while sampling and the model's mode is restored. What the model computes with meanwhile is said in
    `lean.lean`.

    Args:
        model: a causal LM, with or without a PEFT adapter.
        prompts: token ids (`models.encode_prompt`).
        seeds: one seed a sample; the same seed with the same prompt gives the same completion.
        temperature: > 0; one for all, or one a sample, as `seeds`.
        top_p: in (0, 1]. max_new_tokens: in tokens, the end token included.
        batch_size: samples decoded together, at most.
        budget: tokens of their cache, at most (None: `TOKENS`); halved where memory does not hold them.
        work: counts what is computed.

    Raises:
        StudyError: if a prompt is empty or, with `max_new_tokens`, longer than the model's context; or if memory does
            not hold a single sample.
    """
    if not isinstance(temperature, list):
        temperature = [[temperature] * len(group) for group in seeds]
    _check_request(model, prompts, temperature, top_p, max_new_tokens)
    budget, work = budget or Budget(TOKENS), work or Work()
    ends = end_tokens(model, tokenizer)
    numbers = np.cumsum([0, *map(len, seeds)])
    requests = [
        Request(prompt, list(range(start, start + len(own))), degrees, uniforms(own, max_new_tokens))
        for prompt, start, own, degrees in zip(prompts, numbers, seeds, temperature, strict=False)
        if own
    ]
    drawn: dict[int, tuple[list[int], float]] = {}
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), lean(model) as bare, fused_attention(bare):
            for some in _streams(requests, batch_size, budget, max_new_tokens):
                longest = max(len(request.prompt) for request in some) + max_new_tokens

                def draw(some=some, longest=longest):
                    left = [request for request in (request.without(drawn) for request in some) if request.samples]
                    rows = budget.rows(longest, batch_size)
                    fixed = bare.device.type == "cuda"
                    Stream(bare, left, ends, top_p, max_new_tokens, rows, budget.tokens // 8, fixed, work).run(drawn)

                budget.within(draw, least=longest, what="sampling")
    finally:
        model.train(was_training)
    texts = iter(tokenizer.batch_decode([drawn[i][0] for i in range(numbers[-1])], skip_special_tokens=True))
    samples = iter(drawn[i] for i in range(numbers[-1]))
    return [
        [
            Completion(tokens, next(texts), "stop" if tokens[-1] in ends else "length", seed, log_prob)
            for seed, (tokens, log_prob) in zip(own, samples, strict=False)
        ]
        for own in seeds
    ]


def uniforms(seeds: Sequence[int], count: int) -> np.ndarray:
    """[len(seeds), count] float64 in [0, 1): row i is the Philox stream of seeds[i], whatever else is
    drawn.
    """
    return np.stack([np.random.Generator(np.random.Philox(key=seed)).random(count) for seed in seeds])


def _check_request(model, prompts, temperature, top_p: float, max_new_tokens: int) -> None:
    lowest = min((degree for group in temperature for degree in group), default=1.0)
    if lowest <= 0 or not 0 < top_p <= 1 or max_new_tokens < 1:
        raise StudyError(
            f"cannot sample at temperature {lowest}, top_p {top_p}, max_new_tokens {max_new_tokens}: "
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


@contextmanager
def fused_attention(model) -> Iterator[None]:
    """SDPA for the time of the `with` block, where the model was loaded with eager attention.

    Eager attention trains faster on a CPU, but decodes slower and holds the scores of all pairs of tokens. SDPA has no
    soft cap.
    """
    config, before = model.config, model.config._attn_implementation
    capped = getattr(config.get_text_config(), "attn_logit_softcapping", None)
    if before == "eager" and getattr(model, "_supports_sdpa", False) and not capped:
        config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = before


def _streams(requests: list[Request], batch_size: int, budget: Budget, max_new_tokens: int) -> Iterator[list[Request]]:
    """Requests that are drawn in one stream, longest prompts first. Where the budget has room for twice the rows, as
    prompts get shorter, a new stream begins.
    """
    some, rows = [], 0
    for request in sorted(requests, key=lambda request: -len(request.prompt)):
        fit = budget.rows(len(request.prompt) + max_new_tokens, batch_size)
        if some and fit >= 2 * rows:
            yield some
            some = []
        if not some:
            rows = fit
        some.append(request)
    if some:
        yield some
