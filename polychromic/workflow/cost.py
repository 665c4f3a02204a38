"""Hours, dollars and memory of a study on a named card, from its settings: an estimate, made before anything is paid.

Time is the larger of what launching takes and what computing takes; what is counted is passes, launches, tokens and
bytes. `benchmarks/launches.py` counts launches and decode steps on a CPU. None of it has been compared with a card yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from polychromic.config.study import Domain, PromptArm, Study, TrainArm


@dataclass(frozen=True)
class Card:
    """By its maker's data sheet."""

    memory: float
    """GB."""
    bandwidth: float
    """GB/s."""
    compute: float
    """Dense bf16 TFLOP/s."""


CARDS = {
    "L4": Card(24, 300, 121),
    "A10": Card(24, 600, 125),
    "4090": Card(24, 1008, 165),
    "A6000": Card(48, 768, 155),
    "L40S": Card(48, 864, 362),
    "A100": Card(80, 2039, 312),
    "H100": Card(80, 3350, 989),
    "H200": Card(141, 4800, 989),
}

# What is assumed; each moves the hours in proportion.
EFFICIENCY = 0.4
"""Share of a card's TFLOP/s and GB/s that is reached."""
LAUNCH = 10e-6
"""Seconds of Python and dispatch an operation."""
LAUNCHES = {"train": 126, "decode": 46}
"""Operations a layer and forward pass, views not counted. On a CPU PEFT's layers with 4-bit weights take 105 and those
of `method/lean.py` 70; on a card bitsandbytes
takes four in place of one a linear layer, and a norm one in place of seven."""
PROMPT = 120
"""Tokens of a prompt."""
MEAN_LENGTH = 0.5
"""Mean length of answers and samples, as a share of the domain's `max_new_tokens`."""
KEPT_ROWS = 0.9
"""Share of a stream's rows that hold a sample which has not ended."""
LOAD = 60.0
"""Seconds until a job has its model on the card."""


@dataclass(frozen=True)
class Shape:
    """A decoder's size, as its transformers config gives it."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool

    @classmethod
    def of(cls, config) -> Shape:
        text = config.get_text_config()
        head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        return cls(
            text.num_hidden_layers, text.hidden_size, text.intermediate_size, text.num_attention_heads,
            text.num_key_value_heads, head_dim, text.vocab_size, bool(text.tie_word_embeddings),
        )  # fmt: skip

    @property
    def in_layers(self) -> int:
        """Parameters of the linear layers."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.inner)

    @property
    def head(self) -> int:
        return self.vocabulary * self.hidden

    def adapter(self, rank: int) -> int:
        """Parameters of LoRA on all linear layers."""
        wide = self.heads * self.head_dim, self.kv_heads * self.head_dim
        sides = 2 * (self.hidden + wide[0]) + 2 * (self.hidden + wide[1]) + 3 * (self.hidden + self.inner)
        return self.layers * rank * sides


QWEN3_8B = Shape(36, 4096, 12288, 32, 8, 128, 151_936, False)


def shape_of(name: str, revision: str | None = None) -> Shape | None:
    """Of a model whose config is in a folder or in the local hub cache; of the published study's, always."""
    from transformers import AutoConfig

    try:
        return Shape.of(AutoConfig.from_pretrained(name, revision=revision, local_files_only=True))
    except (OSError, ValueError, AttributeError):  # not here, or of a kind without these sizes
        return QWEN3_8B if name == "Qwen/Qwen3-8B" else None


@dataclass(frozen=True)
class DomainCost:
    """Of one domain; seconds."""

    lora: float
    """A training without the diversity term."""
    primary: float
    """A training of the study's primary arm."""
    generation: float
    """All generation jobs."""


@dataclass(frozen=True)
class Estimate:
    training_hours: float
    generation_hours: float
    dollars: float
    memory: float
    """GB at the largest moment."""
    ratio: float
    """Training time of the primary arm over that of its control, all domains together."""
    domains: dict[str, DomainCost]


class _Model:
    """Seconds of passes of a model on a card."""

    def __init__(self, study: Study, shape: Shape, card: Card):
        self.study, self.shape, self.card = study, shape, card
        self.flops = card.compute * 1e12 * EFFICIENCY
        self.bytes = card.bandwidth * 1e9 * EFFICIENCY
        four_bit = study.model.precision == "nf4"
        self.weight = {"nf4": 4.127 / 8, "bf16": 2, "fp32": 4}[study.model.precision] * shape.in_layers
        self.copy = 2 * shape.in_layers if four_bit and self.has_room_for_a_copy() else 0
        # Read the 4-bit weights, write them in bf16, read those: at each pass.
        self.per_pass = (self.weight + 4 * shape.in_layers if four_bit else self.weight) / self.bytes

    def has_room_for_a_copy(self) -> bool:
        free = self.card.memory * 1e9 - self.weights()
        return 2 * self.shape.in_layers <= 0.6 * free

    def weights(self) -> float:
        """Bytes of base, head and embedding."""
        wide = 4 if self.study.model.precision == "fp32" else 2
        return self.weight + wide * self.shape.head * (1 if self.shape.tied else 2)

    def passes(self, count: float, tokens: float, targets: float) -> float:
        """Forward passes in training: tokens through the layers, targets through the head, in all."""
        launching = count * LAUNCHES["train"] * self.shape.layers * LAUNCH
        computing = 2 * (self.shape.in_layers * tokens + self.shape.head * targets) / self.flops
        return max(launching, computing + count * self.per_pass)

    def decode(self, steps: float, rows: float, width: float) -> float:
        """Steps of one token a row, over a cache of `width` tokens a row."""
        launching = LAUNCHES["decode"] * self.shape.layers * LAUNCH
        if self.study.model.precision == "nf4" and not self.copy:
            weights = self.per_pass
        else:
            weights = 2 * self.shape.in_layers / self.bytes
        reading = weights + (2 * self.shape.head + rows * width * self.cache()) / self.bytes
        computing = 2 * rows * (self.shape.in_layers + self.shape.head) / self.flops
        return steps * max(launching, reading, computing)

    def cache(self) -> int:
        """Bytes of keys and values a token."""
        return 2 * self.shape.layers * self.shape.kv_heads * self.shape.head_dim * 2

    def saved(self) -> float:
        """Bytes kept a scored token for the backward pass. The coefficients fit what was measured on a CPU for the
        shapes of 0.6B, 8B and 14B (docs/gpu.md)."""
        shape = self.shape
        layer = 20 * shape.hidden + 6.5 * shape.inner + 15 * shape.heads * shape.head_dim
        return shape.layers * layer + 24 * shape.vocabulary


def estimate(study: Study, shape: Shape, card: Card) -> Estimate:
    """What the whole study takes on one such card."""
    model = _Model(study, shape, card)
    domains, training, generation = {}, 0.0, 0.0
    for name, domain in study.domains.items():
        by_arm = {
            arm: train_seconds(model, study, arm, name) for arm in study.arms if isinstance(study.arms[arm], TrainArm)
        }
        drawn = sum(_generate_seconds(model, study, arm, domain) for arm in study.arms) * len(study.seeds)
        domains[name] = DomainCost(by_arm[study.plan.control], by_arm[study.plan.primary], drawn)
        training += (sum(by_arm.values()) + LOAD * len(by_arm)) * len(study.seeds)
        generation += drawn
    lora, primary = (sum(getattr(cost, side) for cost in domains.values()) for side in ("lora", "primary"))
    hours = (training + generation) / 3600
    return Estimate(
        training / 3600,
        generation / 3600,
        hours * study.cost.price_per_gpu_hour,
        _memory(model, study) / 1e9,
        primary / lora,
        domains,
    )


def steps_of(study: Study, arm: str, domain: Domain) -> int:
    """Optimiser steps of a training, if the domain keeps as many rows as half-way between its bounds."""
    t = study.training_of(arm)
    rows = 0.8 * (domain.curation.min_rows + domain.curation.max_rows) / 2
    batch = t.batch_size * t.accumulation * max(1, study.gpus_per_job)
    return math.ceil(t.epochs * rows / batch)


def train_seconds(model: _Model, study: Study, arm: str, name: str) -> float:
    """Of one training: passes of the quality term, rollouts and scoring."""
    domain, t, o = study.domains[name], study.training_of(arm), study.objective_of(arm, name)
    answer = MEAN_LENGTH * domain.max_new_tokens
    steps = steps_of(study, arm, domain)
    rows = steps * t.batch_size * t.accumulation
    # Forward, forward again where activations are computed twice, and backward to the activations, no weights.
    times = 3 if t.gradient_checkpointing else 2
    total = model.passes(times * steps * t.accumulation, times * rows * (PROMPT + answer), 2 * rows * answer)
    if o.weight == 0:
        return total
    draws, samples = steps // o.every + 1, o.prompts * o.samples
    length = min(MEAN_LENGTH * domain.max_new_tokens, o.max_new_tokens)
    longest = min(o.max_new_tokens, domain.max_new_tokens)  # as long as the longest sample
    total += draws * model.decode(longest, min(samples, 256), PROMPT + longest)
    total += draws * model.passes(1, o.prompts * PROMPT, o.prompts)
    tokens = samples * length + o.prompts * PROMPT
    passes = max(1, math.ceil(1.2 * tokens / o.score_tokens))
    return total + draws * model.passes(2 * passes, 2 * tokens, 2 * samples * length)


def _generate_seconds(model: _Model, study: Study, arm: str, domain: Domain) -> float:
    """Of one generation job."""
    s, longest = study.sampling, domain.max_new_tokens
    prompts = s.test_prompts + s.validation_prompts
    shots = getattr(study.arms[arm], "shots", 0) if isinstance(study.arms[arm], PromptArm) else 0
    prompt = PROMPT + shots * (PROMPT + MEAN_LENGTH * longest)
    samples = prompts * s.samples * len(study.temperatures_of(arm))
    rows = max(1, min(s.batch_size, s.batch_tokens // (prompt + longest), samples))
    steps = samples * MEAN_LENGTH * longest / (rows * KEPT_ROWS) + longest
    return (
        LOAD
        + model.decode(steps, rows, prompt + MEAN_LENGTH * longest)
        + model.passes(prompts / 4, prompts * prompt, prompts)
    )


def _memory(model: _Model, study: Study) -> float:
    """Bytes at the largest moment: the term's backward pass, the quality term's, or decoding."""
    rank = max(study.training_of(arm).rank for arm in study.arms if isinstance(study.arms[arm], TrainArm))
    held = model.weights() + 16 * model.shape.adapter(rank)
    moments = [model.copy + study.sampling.batch_tokens * model.cache() * 9 / 8]
    for arm in study.arms:
        if not isinstance(study.arms[arm], TrainArm):
            continue
        t = study.training_of(arm)
        moments.append(t.batch_size * t.max_length * (12 * model.shape.vocabulary + model.saved() / model.shape.layers))
        for name in study.domains:
            o = study.objective_of(arm, name)
            if o.weight > 0:
                moments.append(max(o.score_tokens, PROMPT + o.max_new_tokens) * model.saved())
    return held + max(moments)


def card_called(name: str) -> tuple[str, Card] | None:
    """The card of the table that a device's name or a user's word means."""
    found = [key for key in CARDS if key.lower() in name.lower()]
    return (max(found, key=len), CARDS[max(found, key=len)]) if found else None
