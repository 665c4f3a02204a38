"""Continuous batching, token budgets, and what a 4-bit model is sampled with."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from polychromic.errors import StudyError
from polychromic.memory import Budget
from polychromic.method import sampling
from polychromic.method.lean import lean
from polychromic.method.models import keep_differentiable, load_base
from polychromic.method.sampling import sample_groups
from polychromic.method.stream import Stream, Work

PROMPTS = [[5], [9, 8, 7, 6, 5, 4, 3, 5, 6, 7, 8], [20, 21], [30, 31, 32, 33]]
SEEDS = [[10 * i + j for j in range(6)] for i in range(4)]


def draw(model, tokenizer, prompts=PROMPTS, seeds=SEEDS, temperature=1.0, new=12, **how):
    groups = sample_groups(model, tokenizer, prompts, seeds, temperature=temperature, max_new_tokens=new, **how)
    return [[sample.tokens for sample in group] for group in groups]


@pytest.fixture(scope="module")
def model(tiny_model_dir):
    return load_base(tiny_model_dir, attention="eager", device="cpu")[0]


@pytest.fixture
def soon(model, monkeypatch):
    """Samples end after eight tokens, in the mean."""
    monkeypatch.setattr(model.generation_config, "eos_token_id", list(range(1, 37)))


@pytest.fixture(scope="module")
def alone(model, tiny_tokenizer):
    """Every sample drawn on its own, for two temperatures."""
    return {
        (i, j, t): draw(model, tiny_tokenizer, [PROMPTS[i]], [[SEEDS[i][j]]], t)[0][0]
        for i in range(4)
        for j in range(6)
        for t in (0.7, 1.3)
    }


@settings(max_examples=8, deadline=None)
@given(
    rows=st.integers(1, 30),
    tokens=st.integers(1, 400),
    slack=st.integers(1, 20),
    fixed=st.booleans(),
    order=st.permutations(range(4)),
)
def test_a_sample_depends_on_its_own_seed_alone(model, tiny_tokenizer, alone, rows, tokens, slack, fixed, order):
    """Whatever rows are beside it, when it takes over a row, where the cache is, and whether ended rows go along."""
    temperatures = [[(0.7, 1.3)[j % 2] for j in range(6)] for _ in range(4)]

    class Fixed(Stream):
        def run(self, done):
            self.fixed = fixed
            super().run(done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polychromic.method.stream.SLACK", slack)
        patch.setattr(sampling, "Stream", Fixed)
        drawn = draw(
            model, tiny_tokenizer, [PROMPTS[i] for i in order], [SEEDS[i] for i in order], temperatures,
            batch_size=rows, budget=Budget(tokens),
        )  # fmt: skip
    for place, i in enumerate(order):
        assert drawn[place] == [alone[i, j, (0.7, 1.3)[j % 2]] for j in range(6)]


def test_rows_do_not_wait_for_the_longest(model, tiny_tokenizer, soon):
    work = Work()
    drawn = draw(model, tiny_tokenizer, [[5]], [list(range(200))], 1.5, 40, batch_size=16, work=work)
    lengths = [len(tokens) for tokens in drawn[0]]
    assert work.kept_tokens == sum(lengths)
    batches = sum(max(lengths[i : i + 16]) for i in range(0, 200, 16))
    assert work.steps < 0.6 * batches
    assert work.prefilled_tokens == 1


class Short:
    """A model that has no memory for more than so many rows."""

    def __init__(self, monkeypatch, most: int):
        self.most, self.asked = most, []
        plain = sampling.Stream.run

        def run(stream, done):
            self.asked.append(stream.rows)
            if stream.rows > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. More.")
            plain(stream, done)

        monkeypatch.setattr(sampling.Stream, "run", run)


def test_too_many_rows_are_halved_and_it_is_said(model, tiny_tokenizer, monkeypatch, caplog):
    whole = draw(model, tiny_tokenizer)
    budget, short = Budget(23 * 24), Short(monkeypatch, 6)
    with caplog.at_level(logging.WARNING):
        assert draw(model, tiny_tokenizer, budget=budget) == whole
    assert short.asked[:3] == [24, 12, 6]
    assert budget.tokens == 23 * 6, "the next step begins with what fits"
    assert "sampling: out of memory; going on with 138 tokens at a time" in caplog.text


def test_what_was_drawn_before_memory_ran_out_is_kept(model, tiny_tokenizer, soon, monkeypatch):
    whole, advance, steps = draw(model, tiny_tokenizer), Stream._advance, []

    def once(stream):
        steps.append(len(stream.done))
        if len(steps) == 8:
            raise torch.OutOfMemoryError("out")
        return advance(stream)

    monkeypatch.setattr(Stream, "_advance", once)
    work = Work()
    assert draw(model, tiny_tokenizer, work=work) == whole
    assert steps[8] >= steps[7] > 0
    assert work.kept_tokens == sum(len(tokens) for group in whole for tokens in group)


def test_memory_for_not_even_one_row_is_an_error(model, tiny_tokenizer, monkeypatch):
    Short(monkeypatch, 0)
    with pytest.raises(StudyError, match="does not hold a single row of 23 tokens"):
        draw(model, tiny_tokenizer)


@pytest.fixture
def four_bit(wide_model_dir):
    base, tokenizer = load_base(wide_model_dir, precision="nf4", attention="sdpa", device="cpu")
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(base, config).eval()
    keep_differentiable(model)
    return model, tokenizer


def test_dequantised_weights_give_what_bitsandbytes_gives(four_bit):
    """Bit for bit: its own way for large batches dequantises and multiplies."""
    model, _ = four_bit
    bare = model.get_base_model()
    layers = [layer for layer in bare.modules() if type(layer).__module__ == "bitsandbytes.nn.modules"]
    assert len(layers) == 14
    torch.manual_seed(0)
    inputs = [torch.randn(rows, layer.in_features).bfloat16() for layer in layers for rows in (1, 4, 33)]
    with torch.no_grad():
        theirs = [layer(inputs[3 * i + j]) for i, layer in enumerate(layers) for j in range(3)]
        with lean(model):
            ours = [layer(inputs[3 * i + j]) for i, layer in enumerate(layers) for j in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))


def test_an_adapter_beside_four_bits_is_what_peft_computes(four_bit):
    """In bf16 to its rounding; afterwards the layers are as they were."""
    model, _ = four_bit
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad():
        plain = model(ids).logits
        with lean(model) as bare:
            torch.testing.assert_close(bare(ids).logits, plain, atol=0.15, rtol=0.05)
        assert torch.equal(model(ids).logits, plain)
    assert not any("forward" in vars(module) for module in model.modules())


def test_without_room_for_a_copy_the_weights_stay_in_four_bits(four_bit, monkeypatch):
    model, _ = four_bit
    monkeypatch.setattr("polychromic.method.lean._fits", lambda size, device: False)
    with lean(model) as bare:
        layers = [module for module in bare.modules() if type(module).__name__ == "Linear4bit"]
        assert len(layers) == 28  # PEFT's and bitsandbytes' own
        assert not any("forward" in vars(layer) for layer in layers)
