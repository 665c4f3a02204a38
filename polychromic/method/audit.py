"""Checks that stop a run before it is silently wrong: log pi read in three ways, the base's checksum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from polychromic.errors import StudyError
from polychromic.head import logits_at
from polychromic.method.cache import check_can_sample
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.nucleus import nucleus
from polychromic.method.sampling import Completion, sample_groups

FAILURES = (RuntimeError, ValueError, TypeError, AttributeError, AssertionError, LookupError)
"""What an architecture raises that cannot run the way sampling runs it."""


def architecture(model) -> str:
    return type(model.get_base_model() if hasattr(model, "get_base_model") else model).__name__


def probe(
    model, tokenizer, prompts: list[list[int]], *, max_new_tokens: int = 4, tolerance: float | None = None
) -> None:
    """Sample from a few prompts and compare log pi with a plain forward, so that an architecture that would be
    sampled or scored wrongly is refused by its name.

    Raises:
        StudyError: naming the architecture.
    """
    check_can_sample(model)
    seeds = [[1000 + i, 2000 + i] for i in range(len(prompts))]
    try:
        groups = sample_groups(model, tokenizer, prompts, seeds, temperature=1.0, max_new_tokens=max_new_tokens)
        check_log_probs(model, prompts, groups, temperature=1.0, tolerance=tolerance)
    except FAILURES as error:
        if isinstance(error, StudyError | torch.OutOfMemoryError):
            raise
        raise StudyError(
            f"{architecture(model)} cannot be sampled with one cache for all samples of a prompt "
            f"({type(error).__name__}: {error}). Use another architecture, or weight=0."
        ) from error


def check_log_probs(
    model,
    prompts: list[list[int]],
    groups: list[list[Completion]],
    *,
    temperature: float,
    top_p: float = 1.0,
    tolerance: float | None = None,
    rows: list[int] | None = None,
) -> None:
    """Compare log pi of samples as sampled, as scored and by a plain forward of prompt and sample together.

    Args:
        tolerance: in nats a square root of a token, as roundings add up; None: .01 in float32, and in any other type
            four times what `rounding_noise` measures on these samples, if that is more.
        rows: the prompts' numbers, for the message.

    Raises:
        StudyError: naming the architecture and the sample that differs most.
    """
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            if tolerance is None:
                exact = all(p.dtype == torch.float32 for p in model.parameters()) and not torch.is_autocast_enabled(
                    model.device.type
                )
                noise = 0.0 if exact else rounding_noise(bare, prompts, groups, temperature=temperature, top_p=top_p)
                tolerance = max(0.01, 4 * noise)
            completions = [[sample.tokens for sample in group] for group in groups]
            scored = iter(
                completion_log_probs(bare, prompts, completions, temperature=temperature, top_p=top_p).tolist()
            )
            for i, (prompt, group) in enumerate(zip(prompts, groups, strict=True)):
                for j, sample in enumerate(group):
                    plain = float(_plain_log_probs(bare, prompt, sample.tokens, temperature, top_p).sum())
                    found = {"sampled": sample.log_prob, "scored": next(scored)}
                    allowed = tolerance * math.sqrt(len(sample.tokens))
                    if not all(abs(value - plain) <= allowed for value in found.values()):
                        raise StudyError(
                            f"{architecture(model)} is sampled or scored wrongly: log pi of sample {j} of prompt "
                            f"{rows[i] if rows else i} is {found['sampled']:.3f} as sampled, {found['scored']:.3f} as "
                            f"scored and {plain:.3f} by a plain forward. Use another architecture, or weight=0, and "
                            "report it."
                        )
    finally:
        model.train(was_training)


def rounding_noise(
    bare, prompts: list[list[int]], groups: list[list[Completion]], *, temperature: float, top_p: float = 1.0
) -> float:
    """How far log pi of a token moves when all is rounded otherwise: the root mean square over tokens, in nats.

    Two right ways to compute log pi (with a cache, with padding, in one piece) differ by rounding alone. Here every
    module's output is rounded once more, at random, by up to half a unit in its last place: Monte Carlo arithmetic
    (Parker 1997). What that moves, on this model and these samples, is what rounding may do; roundings within a module
    and the rarer large ones are what a factor on top is for.
    """
    squares = []
    with torch.no_grad():
        for prompt, group in zip(prompts, groups, strict=True):
            for sample in group:
                plain = _plain_log_probs(bare, prompt, sample.tokens, temperature, top_p)
                with _rounded_at_random(bare):
                    rounded = _plain_log_probs(bare, prompt, sample.tokens, temperature, top_p)
                squares.append((rounded - plain) ** 2)
    return float(torch.cat(squares).mean().sqrt())


@contextmanager
def _rounded_at_random(model) -> Iterator[None]:
    """Within the block, the outputs of all modules that hold no others are off by half a unit in the last place."""
    generator = torch.Generator(model.device).manual_seed(0)

    def disturb(module, inputs, output):
        if isinstance(output, torch.Tensor) and output.is_floating_point():
            half = torch.finfo(output.dtype).eps / 2
            noise = torch.rand(output.shape, generator=generator, device=output.device) * 2 - 1
            return (output.float() * (1 + half * noise)).to(output.dtype)
        return None

    leaves = [module for module in model.modules() if not any(True for _ in module.children())]
    handles = [module.register_forward_hook(disturb) for module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _plain_log_probs(bare, prompt: list[int], tokens: list[int], temperature: float, top_p: float) -> torch.Tensor:
    """log pi of the tokens, [tokens], by one forward of prompt and tokens together, without a cache and without
    padding."""
    ids = torch.tensor([prompt + tokens], device=bare.device)
    keep = torch.zeros_like(ids, dtype=torch.bool)
    keep[:, len(prompt) - 1 : -1] = True
    _, logits = logits_at(bare, keep, lambda: bare(input_ids=ids, use_cache=False))
    targets = ids[0, len(prompt) :]
    kept = nucleus(logits.float() / temperature, top_p, keep=targets)
    return kept.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def base_checksum(model) -> dict[str, int]:
    """{name: a sum over the bits} of every frozen weight: equal before and after a rollout."""
    sums = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            raw = parameter.detach().reshape(-1).contiguous()
            integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[raw.element_size()]
            sums[name] = int(raw.view(integers).sum(dtype=torch.int64))
    return sums


def check_base(before: dict[str, int], model) -> None:
    """Raise StudyError if a frozen weight is not what it was."""
    after = base_checksum(model)
    changed = [name for name, value in before.items() if after[name] != value]
    if changed:
        raise StudyError(
            f"a rollout of {architecture(model)} has changed {len(changed)} frozen weights, e.g. {changed[0]}: the "
            "adapter would belong to another base. Use another adapter type, or weight=0, and report it."
        )


def check_weights(model) -> None:
    """Raise StudyError if a trained weight is not finite."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not parameter.isfinite().all():
            raise StudyError(f"{name} is not finite any more: nothing is saved. Lower the learning rate.")
