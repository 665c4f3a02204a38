from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora.layer import Linear as LoraLinear

from polychromic.errors import StudyError
from polychromic.method.lean import lean, merged_adapter
from polychromic.method.models import (
    check_tokenizer,
    encode_completion,
    encode_prompt,
    end_tokens,
    keep_differentiable,
    load_adapter,
    load_base,
)
from polychromic.method.sampling import sample_groups


@pytest.fixture
def adapted(tiny_model):
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(tiny_model, config).eval()


def test_saved_adapter_is_the_trained_one(adapted, tiny_model_dir, tmp_path):
    adapted.save_pretrained(tmp_path / "adapter")
    base, _ = load_base(tiny_model_dir, attention="eager", device="cpu")
    loaded = load_adapter(base, tmp_path / "adapter")
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, adapted(ids).logits, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("change", ["rank", "modules", "missing"])
def test_adapter_that_does_not_match_is_refused(adapted, tiny_model_dir, tmp_path, change):
    folder = tmp_path / "adapter"
    adapted.save_pretrained(folder)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    if change == "rank":
        config["r"] = 8
    if change == "modules":
        config["target_modules"] = ["q_proj"]
    if change == "missing":
        (folder / "adapter_model.safetensors").unlink()
    path.write_text(json.dumps(config))
    base, _ = load_base(tiny_model_dir, attention="eager", device="cpu")
    with pytest.raises(StudyError, match="holds no adapter" if change == "missing" else "does not match its base"):
        load_adapter(base, folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_adapter_is_no_adapter_of_another_base(adapted, tiny_model, tmp_path, name):
    adapted.save_pretrained(tmp_path / "adapter")
    file = tmp_path / "adapter" / name
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(StudyError, match="is damaged .* train it again"):
        load_adapter(tiny_model, tmp_path / "adapter")


def test_adapter_of_another_size_is_refused(tiny_model, tiny_model_dir, tmp_path):
    from transformers import Qwen3ForCausalLM

    config = tiny_model.config
    config.hidden_size = 48
    other = get_peft_model(Qwen3ForCausalLM(config), LoraConfig(r=4, target_modules="all-linear"))
    other.save_pretrained(tmp_path)
    base, _ = load_base(tiny_model_dir, device="cpu")
    with pytest.raises(StudyError, match="does not match its base"):
        load_adapter(base, tmp_path)


def test_merged_adapter_agrees_and_is_undone(adapted):
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = adapted(ids).logits
        with merged_adapter(adapted) as bare:
            merged = bare(ids).logits
        after = adapted(ids).logits
    torch.testing.assert_close(merged, before, atol=1e-4, rtol=1e-4)
    assert torch.equal(before, after)


def test_a_merged_layer_computes_its_product_alone(adapted, monkeypatch):
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        before = adapted(ids).logits
        monkeypatch.delattr(LoraLinear, "forward")
        with lean(adapted) as bare:
            torch.testing.assert_close(bare(ids).logits, before, atol=1e-4, rtol=1e-4)


def test_other_precisions_are_not_merged(adapted):
    adapted.to(torch.bfloat16)
    with merged_adapter(adapted) as bare:
        assert not any(getattr(module, "merged", False) for module in bare.modules())


def test_sampling_does_not_cost_a_4bit_model_its_gradient(wide_model_dir):
    base, tokenizer = load_base(wide_model_dir, precision="nf4", attention="eager", device="cpu")
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(base, config)
    keep_differentiable(model)
    ids = torch.tensor([[5, 6, 7, 8]])

    def gradients():
        model.zero_grad()
        model(ids, labels=ids).loss.backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.requires_grad]

    before = gradients()
    sample_groups(model, tokenizer, [[5, 6]], [[1, 2]], temperature=1.0, max_new_tokens=3)
    model.train()
    for first, second in zip(before, gradients(), strict=True):
        torch.testing.assert_close(first, second)


def test_tokenizer_needs_end_and_pad(tiny_tokenizer):
    import copy

    for kind in ("eos", "pad"):
        lacking = copy.deepcopy(tiny_tokenizer)
        setattr(lacking, f"{kind}_token", None)
        with pytest.raises(StudyError, match=f"no {kind} token"):
            check_tokenizer(lacking)


def test_the_boundary_is_tokenised_the_same_way(tiny_tokenizer):
    prompt, completion = encode_prompt(tiny_tokenizer, "a cat\n"), encode_completion(tiny_tokenizer, "  sat")
    assert tiny_tokenizer.decode(prompt) == "a cat\n"
    assert completion[-1] == tiny_tokenizer.eos_token_id
    assert tiny_tokenizer.decode(completion[:-1]) == "  sat"


def test_the_end_tokens_are_those_of_the_tokenizer_and_of_the_model(tiny_model, tiny_tokenizer):
    assert end_tokens(tiny_model, tiny_tokenizer) == {1}
    tiny_model.generation_config.eos_token_id = [1, 7]
    assert end_tokens(tiny_model, tiny_tokenizer) == {1, 7}


def test_a_base_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StudyError, match="cannot load the base model"):
        load_base(tmp_path)
    with pytest.raises(StudyError, match="'int8' is unknown"):
        load_base(tmp_path, precision="int8")
