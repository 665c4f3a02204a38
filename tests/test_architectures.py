"""Tiny random models of many architectures: sampled and scored rightly, or refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from benchmarks.architectures import PROMPTS, Tokenizer, adapted, build, table
from polychromic.errors import StudyError
from polychromic.head import logits_at
from polychromic.method import cache
from polychromic.method.audit import base_checksum, check_base, check_log_probs, probe, rounding_noise
from polychromic.method.cache import check_can_sample
from polychromic.method.lean import merged_adapter
from polychromic.method.sampling import sample_groups

OWN_POSITIONS = {
    "Bart", "BigBirdPegasus", "Blenderbot", "BlenderbotSmall", "Camembert", "CpmAnt", "Data2VecText", "LongcatFlash",
    "MBart", "Marian", "Mllama", "Musicgen", "MusicgenMelody", "Mvp", "PLBart", "Pegasus", "ProphetNet", "RoFormer",
    "Roberta", "RobertaPreLayerNorm", "TrOCR", "XLMRoberta", "XLMRobertaXL", "Xmod",
}  # fmt: skip
"""Known to be refused by the probe: decoders of encoder-decoders and encoders that number their positions themselves,
and a few that take no text alone. Any other architecture is right or refused by a rule."""
EXPERTS = ["mixtral", "qwen3_moe", "olmoe", "deepseek_v3"]
WINDOWS = [
    "mistral",
    "phi3",
    "starcoder2",
    "gemma2",
    "gemma3_text",
    "olmo3",
    "cohere2",
    "gpt_oss",
    "qwen2",
    "llama4_text",
]
RECURRENT = ["mamba", "jamba", "qwen3_next", "recurrent_gemma", "rwkv", "falcon_h1"]


def model_class(kind):
    found = {config.model_type: classes for config, classes in MODEL_FOR_CAUSAL_LM_MAPPING.items()}[kind]
    return found[0] if isinstance(found, tuple) else found


@pytest.fixture(scope="module")
def rows():
    """(architecture, result, note) of every one. `right` is sampled and scored as by a plain forward, to 1e-3, with
    prompts below, at and beyond a window of 8, padded and not, and samples that cross it; and its base is as it was.
    """
    return table()


@pytest.mark.parametrize("kind", [*EXPERTS, *WINDOWS])
def test_experts_and_windows_are_sampled_and_scored_as_by_a_plain_forward(kind, rows):
    assert {name: result for name, result, _ in rows}[model_class(kind).__name__] == "right"


@pytest.mark.parametrize("kind", EXPERTS)
def test_adapters_on_experts_leave_the_base_as_it_was(kind):
    model = adapted(build(model_class(kind)))
    before = {name: p.clone() for name, p in model.named_parameters()}
    sample_groups(model, Tokenizer(), PROMPTS, [[1, 2]] * 3, temperature=1.0, max_new_tokens=3)
    assert [name for name, p in model.named_parameters() if not torch.equal(before[name], p)] == []


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_and_hybrid_models_are_refused_by_name(kind):
    chosen = model_class(kind)
    with torch.device("meta"):
        model = chosen(chosen.config_class())
    with pytest.raises(StudyError, match=rf"^{chosen.__name__} has .*weight=0"):
        check_can_sample(model)


def test_every_architecture_is_right_or_refused_by_name(rows):
    print(*(f"{name:46}{result:22}{note}" for name, result, note in rows), sep="\n")
    assert [row for row in rows if row[1] == "wrong"] == []
    probed = {name.removesuffix("ForCausalLM") for name, result, _ in rows if result == "refused by the probe"}
    assert probed - OWN_POSITIONS == set()
    assert sum(result == "right" for _, result, _ in rows) > 90


@pytest.mark.parametrize("kind", ["qwen3", "gemma2", "cohere2", "granite", "gpt2", "mixtral"])
def test_the_head_on_targets_only_is_the_whole_head(kind):
    """Scaling and soft caps of the logits included."""
    model = build(model_class(kind))
    ids = torch.tensor([[5, 6, 7, 8], [9, 8, 7, 6]])
    keep = torch.tensor([[False, True, True, False], [False, False, True, True]])
    calls = []
    handle = model.get_output_embeddings().register_forward_hook(lambda m, i, o: calls.append(o.shape[:2].numel()))
    _, logits = logits_at(model, keep, lambda: model(input_ids=ids))
    handle.remove()
    assert calls == [4]
    torch.testing.assert_close(logits, model(input_ids=ids).logits[keep], atol=1e-6, rtol=1e-6)


def test_a_changed_base_is_named(tiny_model):
    tiny_model.requires_grad_(False)
    before = base_checksum(tiny_model)
    check_base(before, tiny_model)
    tiny_model.model.layers[0].mlp.down_proj.weight.data[0, 0] += 1
    with pytest.raises(StudyError, match="1 frozen weights, e.g. .*down_proj"):
        check_base(before, tiny_model)


def test_a_model_that_is_sampled_wrongly_is_refused_by_name(tiny_model, tiny_tokenizer, monkeypatch):
    real = cache.next_logits
    monkeypatch.setattr(cache, "next_logits", lambda *inputs: real(*inputs) * 1.5)
    with pytest.raises(StudyError, match="Qwen3ForCausalLM is sampled or scored wrongly"):
        probe(tiny_model, tiny_tokenizer, [[5, 6], [7, 8, 9]])


def test_the_audit_of_a_rounded_model_allows_what_rounding_does_and_little_more(tiny_model, tiny_tokenizer):
    """In bfloat16 the samples pass; log pi that is off by less than half a nat a square root of a token does not."""
    tiny_model.to(torch.bfloat16)
    prompts = [[5, 6], [7, 8, 9]]
    groups = sample_groups(tiny_model, tiny_tokenizer, prompts, [[1, 2], [3, 4]], temperature=1.0, max_new_tokens=12)
    assert 0 < rounding_noise(tiny_model, prompts, groups, temperature=1.0) < 0.05
    check_log_probs(tiny_model, prompts, groups, temperature=1.0)
    groups[1][1] = replace(groups[1][1], log_prob=groups[1][1].log_prob + 0.45 * len(groups[1][1].tokens) ** 0.5)
    with pytest.raises(StudyError, match="sample 1 of prompt 1 is .* as sampled"):
        check_log_probs(tiny_model, prompts, groups, temperature=1.0)


def test_rounding_at_random_leaves_the_model_as_it_was(tiny_model, tiny_tokenizer):
    prompts = [[5, 6]]
    groups = sample_groups(tiny_model, tiny_tokenizer, prompts, [[1]], temperature=1.0, max_new_tokens=4)
    noise = [rounding_noise(tiny_model, prompts, groups, temperature=1.0) for _ in range(2)]
    assert noise[0] == noise[1] < 1e-5  # float32
    assert not any(module._forward_hooks for module in tiny_model.modules())


@pytest.mark.parametrize(
    "settings", [{"lora_bias": True}, {"use_dora": True}, {"target_modules": ["lm_head", "q_proj"]}]
)
def test_adapters_that_cannot_be_merged_stay_beside(tiny_model, tiny_tokenizer, settings):
    """A bias where the layer has none; a head whose weights are the embedding's too."""
    from peft import LoraConfig, get_peft_model

    settings = {"r": 4, "target_modules": "all-linear", "init_lora_weights": False, **settings}
    model = get_peft_model(tiny_model, LoraConfig(**settings)).eval()
    probe(model, tiny_tokenizer, [[5, 6], [7, 8, 9]], tolerance=1e-3)


def test_layer_norm_tuning_can_be_sampled(tiny_model, tiny_tokenizer):
    from peft import LNTuningConfig, get_peft_model

    model = get_peft_model(tiny_model, LNTuningConfig(target_modules=["input_layernorm", "norm"])).eval()
    for name, parameter in model.named_parameters():
        if "ln_tuning_layers" in name:
            parameter.data.mul_(1.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    probe(model, tiny_tokenizer, [[5, 6], [7, 8, 9]], tolerance=1e-3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with merged_adapter(model) as bare:
        assert bare is model.get_base_model()
