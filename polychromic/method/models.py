"""Base models, adapters, tokenizers: loaded one way by training and by generation."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from polychromic.cards import check_capability
from polychromic.errors import StudyError

FOUR_BIT = {
    "load_in_4bit": True,
    "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True,
    "bnb_4bit_compute_dtype": "bfloat16",
}
"""Of precision nf4 (Dettmers et al. 2023)."""


def load_base(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    precision: str = "fp32",
    attention: str = "sdpa",
    device: str = "auto",
    copy: str | Path | None = None,
):
    """Load a causal LM and its tokenizer.

    Args:
        name_or_path: a folder or a hub id. revision: a hub commit, to pin it.
        precision: "fp32", "bf16", or "nf4" (4-bit, double quantisation, bf16 compute; Dettmers et al. 2023;
            on a GPU, unless `device` says "cpu").
        attention: transformers' `attn_implementation`; "eager" trains fastest at toy sizes on a CPU.
        device: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", ...
        copy: a folder with this model in 4 bits, for the weights (`four_bit_copy`); nf4 only.

    Returns:
        (model in eval mode, tokenizer with end and pad token).

    Raises:
        StudyError: model not found, unknown precision, a tokenizer without end or pad token; no GPU for nf4, or one
            too old for bf16.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if precision not in ("fp32", "bf16", "nf4"):
        raise StudyError(f"precision {precision!r} is unknown: use fp32, bf16 or nf4.")
    if device == "auto":
        device = own_device()
        if device == "cpu" and precision == "nf4":
            raise StudyError(
                "precision nf4 and no graphics card that PyTorch can use: on a CPU it would take a hundred times as "
                'long. Mend the driver, or load in bf16 or fp32; device="cpu" runs it on the CPU all the same.'
            )
    if str(device).startswith("cuda"):
        check_capability(torch.device(device).index or 0, precision)
    settings = {
        "dtype": torch.float32 if precision == "fp32" else torch.bfloat16,
        "attn_implementation": attention,
    }
    if precision == "nf4" and copy is None:
        from transformers import BitsAndBytesConfig

        settings["quantization_config"] = BitsAndBytesConfig(**FOUR_BIT)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(
            copy or name_or_path,
            revision=None if copy else revision,
            device_map={"": device},
            use_safetensors=True,
            **settings,
        )
    except (OSError, ValueError) as error:
        raise StudyError(
            f"cannot load the base model {str(name_or_path)!r} (revision {revision}): {error}. Give a folder "
            "with a model in it, or a hub id that this machine can reach."
        ) from error
    check_tokenizer(tokenizer, str(name_or_path))
    model.name_or_path = model.config._name_or_path = str(name_or_path)  # an adapter's config repeats it
    return model.eval(), tokenizer


def own_device() -> str:
    """The card of this process, one of several that a job may have; the CPU where PyTorch can use no card."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"


def load_adapter(base, adapter_dir: str | Path, *, trainable: bool = False):
    """Put a saved PEFT adapter on a base model; never merged, so that a quantised base stays as it was
    trained.

    Raises:
        StudyError: no adapter in the folder, a damaged one, or one whose modules or shapes do not match the base.
    """
    from peft import PeftConfig, PeftModel
    from safetensors import SafetensorError, safe_open

    weights = Path(adapter_dir) / "adapter_model.safetensors"
    if not weights.is_file():
        raise StudyError(f"{adapter_dir} holds no adapter (adapter_model.safetensors is missing). Train it first.")
    remedy = "Load the base model that it was trained on (base_model_name_or_path in adapter_config.json)."
    try:
        config = PeftConfig.from_pretrained(adapter_dir)
        with safe_open(weights, framework="pt") as file:
            stored = set(file.keys())
    except (ValueError, TypeError, KeyError, SafetensorError) as error:
        raise StudyError(f"the adapter {adapter_dir} is damaged ({error}). Delete it and train it again.") from error
    try:
        model = PeftModel.from_pretrained(base, adapter_dir, config=config, is_trainable=trainable)
    except (ValueError, RuntimeError) as error:
        raise StudyError(f"the adapter {adapter_dir} does not match its base: {error}. {remedy}") from error
    # PEFT only warns about keys that it could not place.
    from peft import get_peft_model_state_dict

    expected = set(get_peft_model_state_dict(model))
    if stored != expected:
        odd = sorted(stored ^ expected)
        raise StudyError(f"the adapter {adapter_dir} does not match its base: {len(odd)} keys, e.g. {odd[0]}. {remedy}")
    return model


def load_by_name(name: str | Path, settings: dict):
    """A causal LM by its hub id or folder, with `from_pretrained`'s own settings.

    Raises:
        StudyError: there is no such model.
    """
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(name, **settings)
    except OSError as error:
        raise StudyError(f"cannot load the model {str(name)!r}: {error}. Give a folder or a hub id.") from error


def load_tokenizer(model):
    """The tokenizer of a loaded model; its end token pads where it has no pad token."""
    from transformers import AutoTokenizer

    name = model.config._name_or_path
    if not name:
        raise StudyError("the model does not say where its tokenizer is: pass processing_class=tokenizer.")
    tokenizer = AutoTokenizer.from_pretrained(name)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    return tokenizer


def put_adapter(model, config, args):
    """The model with a fresh PEFT adapter, its layers prepared where they are 4-bit or checkpointed.

    config: a `peft.PeftConfig`. args: the trainer's settings.
    """
    from peft import PeftModel, get_peft_model

    if isinstance(model, PeftModel):
        raise StudyError("the model has an adapter already: leave out peft_config, or pass the model without one.")
    if getattr(model, "is_loaded_in_4bit", False) or getattr(model, "is_loaded_in_8bit", False):
        # Not PEFT's own preparation: it casts head, embedding and norms to float32, so that the cache and the stream of
        # activations are float32 too, and the adapter would be trained on another base than it is sampled on.
        model.requires_grad_(False)
    model = get_peft_model(model, config)
    for own in model.peft_config.values():
        if isinstance(own.target_modules, set):  # PEFT would write it in an order that differs between two runs
            own.target_modules = sorted(own.target_modules)
    if args.gradient_checkpointing:
        model.enable_input_require_grads()
    return model


def check_tokenizer(tokenizer, name: str = "the tokenizer") -> None:
    """Raise StudyError unless the tokenizer has an end and a pad token."""
    for kind in ("eos", "pad"):
        if getattr(tokenizer, f"{kind}_token_id") is None:
            raise StudyError(f"{name} has no {kind} token: set tokenizer.{kind}_token and save the tokenizer.")


def end_tokens(model, tokenizer) -> frozenset[int]:
    """Token ids that end a completion: the tokenizer's end token and those of the model's generation
    config.
    """
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    more = configured if isinstance(configured, list) else [] if configured is None else [configured]
    return frozenset([tokenizer.eos_token_id, *more])


def context_length(model) -> int | None:
    """Longest sequence that the model takes, in tokens; None where its config names none."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def encode_prompt(tokenizer, prompt: str) -> list[int]:
    """Token ids of a prompt as the model sees it before it writes, in training and in generation alike."""
    # A chat template has written the beginning-of-text token already.
    rendered = tokenizer.bos_token is not None and prompt.startswith(tokenizer.bos_token)
    ids = tokenizer(prompt, add_special_tokens=not rendered)["input_ids"]
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def encode_completion(tokenizer, completion: str) -> list[int]:
    """Token ids of a completion, with one end token. Tokenised apart from the prompt: together, the boundary could
    differ from what the model meets when it generates."""
    text = completion.rstrip()  # a chat template may write a line break after the end token
    if text.endswith(tokenizer.eos_token):
        completion = text.removesuffix(tokenizer.eos_token)
    return [*tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def keep_differentiable(model) -> None:
    """Stop bitsandbytes from repacking 4-bit weights on a CPU, before a model is trained that also samples.

    On a CPU with AVX-512 BF16 the first forward in eval mode packs them for a kernel that has no backward:
    gradients to the layers below would be lost from then on, with no more than a warning.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
