"""Every causal language model of transformers that can be built at a tiny size: is it right, or refused by name?

    python -m benchmarks.architectures [--only mixtral gemma3_text ...]

Each gets random weights and a random LoRA adapter, on experts too. Right means: log pi as sampled, as scored and by a
plain forward agree to 1e-3 nats a square root of a token, for prompts below, at and beyond the attention window (8),
padded and not, with samples that cross it; and no base weight has changed. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import time
import warnings
from collections import Counter

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TARGETS
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from polychromic.errors import StudyError
from polychromic.method.audit import base_checksum, check_base, probe
from polychromic.method.cache import check_can_sample

WINDOW = 8
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "d_model": 32, "n_embd": 32, "n_head": 4,
    "n_layer": 2, "n_layers": 2, "n_heads": 4, "num_layers": 2, "n_positions": 64, "n_inner": 32, "ffn_dim": 32,
    "word_embed_proj_dim": 32, "max_seq_len": 64, "embedding_size": 32, "hidden_dim": 32, "decoder_layers": 2,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 32, "attention_heads": 4, "ffn_hidden_size": 32,
    "moe_intermediate_size": 16, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4,
    "n_shared_experts": 1, "moe_num_experts": 4, "num_experts_per_tok": 2, "moe_topk": 2, "moe_k": 2, "n_group": 1,
    "topk_group": 1, "shared_expert_intermediate_size": 16, "first_k_dense_replace": 1, "mlp_only_layers": [],
    "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "qk_head_dim": 12,
    "v_head_dim": 8, "rotary_dim": 4, "expert_ffn_hidden_size": 16, "zero_expert_num": 1, "num_key_value_groups": 2,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 64, "laurel_rank": 4, "num_kv_shared_layers": 0,
    "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "sliding_window": WINDOW, "attention_chunk_size": WINDOW, "use_sliding_window": True, "max_window_layers": 1,
    "window_size": WINDOW, "dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "query_pre_attn_scalar": 8, "index_topk": 64, "index_n_heads": 2,
    "index_head_dim": 8, "mamba_d_state": 8, "mamba_n_heads": 4, "mamba_d_head": 16, "state_size": 8,
}  # fmt: skip
UNSET = ("sliding_window", "head_dim", "num_experts_per_tok")
"""Settings that some configs leave empty, though they have them."""
BASIC = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "pad_token_id",
    "num_key_value_heads",
    "max_position_embeddings",
    "bos_token_id",
    "eos_token_id",
    "d_model",
    "n_embd",
    "n_layer",
    "n_head",
    "num_experts",
    "num_local_experts",
)
PROMPTS = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3, 9], [3 + i % 11 for i in range(13)]]


class Tokenizer:
    """Stands for a tokenizer: two is the end."""

    eos_token_id = 2

    def batch_decode(self, rows, skip_special_tokens=True):
        return [" ".join(map(str, row)) for row in rows]


def tiny_config(config_class, sizes: dict):
    """A config of this class with small sizes instead; each kind of layer is kept."""
    known = config_class().to_dict()
    changed = {
        name: value for name, value in sizes.items() if known.get(name) is not None or (name in UNSET and name in known)
    }
    if "qk_rope_head_dim" in known or isinstance(getattr(config_class, "head_dim", None), property):
        changed.pop("head_dim", None)
    if "qk_rope_head_dim" in known:  # latent attention: as many keys as queries
        changed["num_key_value_heads"] = SIZES["num_attention_heads"]
    if known.get("layer_types"):
        kinds = list(dict.fromkeys(known["layer_types"]))
        layers = max(2, len(kinds))
        changed |= {"layer_types": (kinds * 2)[:layers], "num_hidden_layers": layers}
    if "is_decoder" in known:
        changed["is_decoder"] = True
    return config_class(**changed)


def build(model_class):
    """The model, with weights far enough from zero that an error shows."""
    problem = None
    for sizes in (SIZES, {name: SIZES[name] for name in BASIC}, {}):
        try:
            config = tiny_config(model_class.config_class, sizes)
            with torch.device("meta"):
                count = sum(p.numel() for p in model_class(config).parameters())
            if count > 20_000_000:
                raise MemoryError(f"{count:,} parameters")
            torch.manual_seed(0)
            model = model_class(config)
        except Exception as error:  # whatever a config asks for that these sizes do not give
            problem = problem or error
            continue
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.15)
        return model.float().eval()
    raise problem


def adapted(model):
    """The model with a LoRA adapter of random weights on attention and MLP, experts' tensors included."""
    targets = TARGETS.get(model.config.get_text_config().model_type) or "all-linear"
    experts = sorted(
        {
            ".".join(name.split(".")[-2:])
            for name, parameter in model.named_parameters()
            if parameter.dim() == 3 and name.endswith(("gate_up_proj", "down_proj"))
        }
    )
    more = {"target_parameters": experts} if experts else {}
    config = LoraConfig(
        r=2, lora_alpha=8, target_modules=targets, init_lora_weights=False, **more, exclude_modules=r".*(router|gate)"
    )
    return get_peft_model(model, config).eval()


def verdict(model_class) -> tuple[str, str]:
    """("right" | "refused" | "refused by the probe" | "wrong" | "not built", what there is to say)."""
    problem = None
    try:
        model = build(model_class)
    except Exception as error:
        problem = _short(error)
        try:  # what its own config says needs no weights
            with torch.device("meta"):
                model = model_class(model_class.config_class())
        except Exception:
            return "not built", problem
    try:
        check_can_sample(model)
        if problem:
            return "not built", problem
    except StudyError as refusal:
        return "refused", str(refusal).split(":")[0].partition(" ")[2]
    try:
        model = adapted(model)
    except Exception as error:
        return "not built", _short(error)
    before = base_checksum(model)
    try:
        for prompts in (PROMPTS, PROMPTS[1:2], PROMPTS[2:]):  # padded, and not
            probe(model, Tokenizer(), prompts, max_new_tokens=12, tolerance=1e-3)
        check_base(before, model)
    except StudyError as refusal:
        return "wrong" if "frozen" in str(refusal) else "refused by the probe", str(refusal)[:150]
    return "right", ""


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:90] if str(error).strip() else ''}"


def table(only=None) -> list[tuple[str, str, str]]:
    """(architecture, verdict, what there is to say) of every model, by name."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    rows = {}

    def give_up(*_):
        raise TimeoutError("took longer than 20 s")

    signal.signal(signal.SIGALRM, give_up)
    for config_class, classes in MODEL_FOR_CAUSAL_LM_MAPPING.items():
        model_class = classes[0] if isinstance(classes, tuple) else classes
        if model_class.__name__ in rows or (only and config_class.model_type not in only):
            continue
        signal.alarm(20)
        try:
            rows[model_class.__name__] = verdict(model_class)
        except TimeoutError as error:
            rows[model_class.__name__] = ("not built", str(error))
        finally:
            signal.alarm(0)
    logging.disable(logging.NOTSET)
    return [(name, *row) for name, row in sorted(rows.items())]


def markdown(rows) -> str:
    """The table of docs/architectures.md."""
    lines = ["| | architectures |", "|---|---|"]
    for result in ("right", "refused", "refused by the probe", "not built"):
        some = [(name.removesuffix("ForCausalLM"), note) for name, verdict, note in rows if verdict == result]
        if result == "refused":
            for reason in sorted({note for _, note in some}):
                names = ", ".join(name for name, note in some if note == reason)
                lines.append(f"| refused at construction: {reason} | {names} |")
        else:
            lines.append(f"| {result} ({len(some)}) | {', '.join(name for name, _ in some)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", help="model types")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/architectures.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    rows = table(options.only)
    if options.markdown:
        print(markdown(rows))
    else:
        print("\n".join(f"{name:46} {result:21} {note}" for name, result, note in rows))
    counts = Counter(result for _, result, _ in rows)
    print(json.dumps({"benchmark": "architectures", "cpu_seconds": time.process_time() - began, **counts}))


if __name__ == "__main__":
    main()
