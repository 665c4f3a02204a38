from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polychromic.errors import StudyError
from polychromic.method import log_probs
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.nucleus import nucleus
from polychromic.method.sampling import sample_groups, uniforms

SETTINGS = {"temperature": 0.9, "max_new_tokens": 12}


@pytest.fixture
def prompts(tiny_tokenizer):
    texts = ["the cat", "what is the answer?", "a", "return a + b on the mat", "mat"]
    return [tiny_tokenizer(text)["input_ids"] for text in texts]


@pytest.fixture
def seeds(prompts):
    return [[100 * i + j for j in range(4)] for i in range(len(prompts))]


def tokens_of(groups):
    return [[sample.tokens for sample in group] for group in groups]


@pytest.mark.parametrize("batch_size", [1, 4, 8, 100])
def test_batch_size_and_order_do_not_matter(tiny_model, tiny_tokenizer, prompts, seeds, batch_size):
    whole = sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, **SETTINGS, batch_size=1000)
    parts = sample_groups(tiny_model, tiny_tokenizer, prompts[::-1], seeds[::-1], **SETTINGS, batch_size=batch_size)
    assert tokens_of(parts[::-1]) == tokens_of(whole)


def test_log_prob_is_that_of_the_full_model(tiny_model, tiny_tokenizer, prompts, seeds):
    """Cache, padding, positions and dropped rows: the sampled log pi is that of one plain forward."""
    for prompt, group in zip(
        prompts, sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, **SETTINGS), strict=True
    ):
        for sample in group:
            with torch.no_grad():
                logits = tiny_model(torch.tensor([prompt + sample.tokens])).logits[0] / SETTINGS["temperature"]
            log_p = logits.log_softmax(-1)[len(prompt) - 1 : -1]
            expected = log_p.gather(-1, torch.tensor(sample.tokens)[:, None]).sum()
            assert sample.log_prob == pytest.approx(float(expected), abs=1e-4)


@pytest.mark.parametrize("top_p", [1.0, 0.7])
def test_scoring_agrees_with_sampling(tiny_model, tiny_tokenizer, prompts, seeds, top_p):
    groups = sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, top_p=top_p, **SETTINGS)
    scored = completion_log_probs(
        tiny_model, prompts, tokens_of(groups), temperature=SETTINGS["temperature"], top_p=top_p
    )
    sampled = torch.tensor([sample.log_prob for group in groups for sample in group])
    torch.testing.assert_close(scored.detach(), sampled, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cost", [0, 10**6], ids=["many passes", "one pass"])
def test_scoring_has_the_gradient_of_a_plain_forward(tiny_model, tiny_tokenizer, prompts, seeds, monkeypatch, cost):
    """The prompt's cache is shared with its gradient, not cut off, by all passes."""
    monkeypatch.setattr(log_probs, "PASS", cost)
    groups = tokens_of(sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, **SETTINGS))
    completion_log_probs(tiny_model, prompts, groups, temperature=1.0).sum().backward()
    shared = {name: p.grad.clone() for name, p in tiny_model.named_parameters()}
    tiny_model.zero_grad()
    for prompt, group in zip(prompts, groups, strict=True):
        for row in group:
            log_p = tiny_model(torch.tensor([prompt + row])).logits[0].log_softmax(-1)[len(prompt) - 1 : -1]
            log_p.gather(-1, torch.tensor(row)[:, None]).sum().backward()
    for name, parameter in tiny_model.named_parameters():
        torch.testing.assert_close(shared[name], parameter.grad, atol=1e-3, rtol=1e-3)


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(0, 200))
def test_passes_of_like_length_pay_for_themselves(lengths, cost):
    split = log_probs.passes(lengths, cost)
    assert sorted(i for some in split for i in some) == [i for i, length in enumerate(lengths) if length]
    tokens = sum(cost + len(some) * max(lengths[i] for i in some) for some in split)
    together = log_probs.passes(lengths, None)
    assert tokens <= sum(cost + len(some) * max(lengths) for some in together)
    assert len(together) <= 1


def test_a_model_may_call_its_cache_by_its_newer_name(tiny_model, tiny_tokenizer, prompts, seeds, monkeypatch):
    expected = sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, **SETTINGS)

    class Newer(type(tiny_model)):
        def forward(self, input_ids=None, attention_mask=None, position_ids=None, cache=None, **kwargs):
            return super().forward(input_ids, attention_mask, position_ids, cache, **kwargs)

    monkeypatch.setattr(tiny_model, "__class__", Newer)
    assert sample_groups(tiny_model, tiny_tokenizer, prompts, seeds, **SETTINGS) == expected
    completion_log_probs(tiny_model, prompts, tokens_of(expected), temperature=0.9)


def test_first_tokens_follow_the_model(tiny_model, tiny_tokenizer):
    prompt = tiny_tokenizer("the")["input_ids"]
    drawn = sample_groups(tiny_model, tiny_tokenizer, [prompt], [list(range(4000))], temperature=0.5, max_new_tokens=1)[
        0
    ]
    with torch.no_grad():
        p = (tiny_model(torch.tensor([prompt])).logits[0, -1] / 0.5).softmax(-1).numpy()
    counts = Counter(sample.tokens[0] for sample in drawn)
    for token in np.argsort(-p)[:5]:
        assert counts[token] / 4000 == pytest.approx(p[token], abs=4 * float(p[token] / 4000) ** 0.5)


def test_a_sample_ends_at_the_end_token_or_at_the_limit_and_says_which(tiny_model, tiny_tokenizer):
    end = tiny_tokenizer.eos_token_id
    prompt = tiny_tokenizer("the")["input_ids"]
    groups = sample_groups(tiny_model, tiny_tokenizer, [prompt], [list(range(300))], temperature=1.5, max_new_tokens=20)
    finishes = {sample.finish for sample in groups[0]}
    assert finishes == {"stop", "length"}
    for sample in groups[0]:
        assert end not in sample.tokens[:-1]
        assert (sample.tokens[-1] == end) == (sample.finish == "stop")
        assert len(sample.tokens) == 20 or sample.finish == "stop"
        assert "<|end|>" not in sample.text


def test_streams_are_keyed_by_their_seed():
    together = uniforms([7, 8, 2**63 - 1], 5)
    assert (together[1] == uniforms([8], 9)[0, :5]).all()
    assert len({tuple(row) for row in together}) == 3


def test_nucleus_keeps_the_smallest_set():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert torch.isinf(nucleus(logits, 0.7)).tolist() == [False, False, True, True]
    assert torch.isinf(nucleus(logits, 1.0)).tolist() == [False] * 4
    assert torch.isinf(nucleus(logits, 1e-9)).tolist() == [False, True, True, True]
    assert not torch.isinf(nucleus(logits, 0.5, keep=torch.tensor(2))[2])


def test_a_nucleus_keeps_no_more_than_its_mask_for_the_backward_pass():
    logits = torch.randn(3, 50, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        inside = nucleus(logits * 2, 0.9, keep=torch.tensor([1, 2, 3]))
    assert [tensor.dtype for tensor in kept] == [torch.bool]
    inside.masked_fill(inside.isinf(), 0).sum().backward()
    assert (logits.grad == torch.where(inside.isinf(), 0.0, 2.0)).all()


def test_a_uniform_that_rounds_to_one_draws_a_token_of_the_nucleus(tiny_model, tiny_tokenizer, monkeypatch):
    """In float32 1 - 2**-26 is 1: no cumulative probability is above it."""
    from polychromic.method import sampling

    monkeypatch.setattr(sampling, "uniforms", lambda seeds, count: np.full((len(seeds), count), 1 - 2**-26))
    prompt = tiny_tokenizer("the")["input_ids"]
    ((sample,),) = sample_groups(tiny_model, tiny_tokenizer, [prompt], [[1]], top_p=0.5, **SETTINGS)
    assert np.isfinite(sample.log_prob)


def test_an_empty_prompt_too_long_a_prompt_and_a_wrong_temperature_are_refused(tiny_model, tiny_tokenizer):
    with pytest.raises(StudyError, match="no tokens"):
        sample_groups(tiny_model, tiny_tokenizer, [[]], [[1]], **SETTINGS)
    with pytest.raises(StudyError, match="context of 256"):
        sample_groups(tiny_model, tiny_tokenizer, [[5] * 250], [[1]], **SETTINGS)
    with pytest.raises(StudyError, match="temperature"):
        sample_groups(tiny_model, tiny_tokenizer, [[5]], [[1]], temperature=0, max_new_tokens=3)


def test_the_model_is_left_as_it_was(tiny_model, tiny_tokenizer, prompts, seeds):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny_model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        logits = model(torch.tensor(prompts[1:2])).logits
    groups = sample_groups(model, tiny_tokenizer, prompts, seeds, **SETTINGS)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(model(torch.tensor(prompts[1:2])).logits, logits, rtol=0, atol=0)
    model.eval()
    unmerged = completion_log_probs(
        model.get_base_model(), prompts, tokens_of(groups), temperature=SETTINGS["temperature"]
    )
    sampled = torch.tensor([sample.log_prob for group in groups for sample in group])
    torch.testing.assert_close(unmerged.detach(), sampled, atol=1e-3, rtol=1e-3)
