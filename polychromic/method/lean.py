"""What a model computes with while it samples: the same function, in fewer and faster operations."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.functional import linear, rms_norm

logger = logging.getLogger(__name__)

ROOM = 0.6
"""Share of a card's free memory that the bf16 copy of a 4-bit base may take; the rest is for the cache."""


RMS_NORMS = {"Qwen3RMSNorm", "Qwen2RMSNorm", "LlamaRMSNorm", "MistralRMSNorm"}
"""Norms that PyTorch's own computes: x / rms(x) * weight."""


@contextmanager
def lean(model) -> Iterator[torch.nn.Module]:
    """The bare model, its adapter in it, for the time of the `with` block, made for many short forward passes.

    - float32 layers: LoRA merged into copies of the weights (`merged_adapter`), and no more than the product computed.
    - 4-bit layers: computed with their weights dequantised once, as bitsandbytes itself does for large batches, bit for
      bit; from four rows on it would else dequantise them at each step, or use kernels that depend on the number of
      rows. Where a card has no room for the copy, bitsandbytes' own way.
    - RMS norms of bf16 layers: in one operation, not eight.
    - LoRA beside a bf16 or 4-bit layer: in three operations, not PEFT's ten. Never merged: bf16 would round it away.
    """
    with merged_adapter(model) as bare:
        replaced = []
        try:
            copies = _dequantised(bare)
            for layer in bare.modules():
                own = "forward" in vars(layer)  # somebody else's hook stays
                forward = None if own else _fast_forward(layer, copies)
                if forward is not None:
                    layer.forward = forward
                    replaced.append(layer)
            yield bare
        finally:
            for layer in replaced:
                del layer.forward  # the class's own comes back


@contextmanager
def merged_adapter(model) -> Iterator[torch.nn.Module]:
    """The bare model with its LoRA weights merged where that is exact, for the time of the `with` block.

    Merging makes sampling faster. It is done on copies of float32 weights; afterwards the originals are put back
    by reference, bit for bit. All other adapters stay beside their layer, which gives the same outputs: those on
    4-bit or bf16 weights, on weights that two modules share, with a bias of their own, and other types than LoRA.
    """
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        yield model
        return
    uses = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    merged, originals = [], {}  # originals: {id: (parameter, its data)}; experts nest several adapters on one module
    try:
        for layer in model.modules():
            if not _can_merge(layer):
                continue
            own = list(layer.get_base_layer().parameters(recurse=False))
            if all(p.dtype == torch.float32 and uses[id(p)] == 1 for p in own):
                merged.append(layer)
                for parameter in own:
                    if id(parameter) not in originals:
                        originals[id(parameter)] = (parameter, parameter.data)
                        parameter.data = parameter.data.clone()
                layer.merge()
        yield model.get_base_model()
    finally:
        for parameter, data in originals.values():
            parameter.data = data
        for layer in merged:
            layer.merged_adapters.clear()


def _is_merged(layer: torch.nn.Module) -> bool:
    """Whether it is a plain linear layer with its adapter merged into it, and nobody's hook on it."""
    from peft.tuners.lora import LoraLayer

    if not isinstance(layer, LoraLayer) or not layer.merged or layer.disable_adapters:
        return False
    base = layer.get_base_layer()
    return type(base) is torch.nn.Linear and "forward" not in vars(base)


def _can_merge(layer: torch.nn.Module) -> bool:
    """Whether the layer holds plain LoRA or DoRA weights that are not merged."""
    from peft.tuners.lora import LoraLayer
    from peft.tuners.lora.variants import DoraLinearVariant

    return (
        isinstance(layer, LoraLayer)
        and not layer.merged
        and not any(layer.lora_bias.values())
        and all(isinstance(variant, DoraLinearVariant) for variant in layer.lora_variant.values())
    )


def _dequantised(model) -> dict[torch.nn.Module, torch.Tensor]:
    """bf16 weights of the 4-bit layers, or none if there is no room for them."""
    layers = [module for module in model.modules() if _is_4bit(module)]
    if not layers:
        return {}
    if not _fits(sum(2 * layer.in_features * layer.out_features for layer in layers), layers[0].weight.device):
        return {}
    from bitsandbytes.functional import dequantize_4bit

    return {layer: dequantize_4bit(layer.weight.data, layer.weight.quant_state) for layer in layers}


def _fits(size: int, device: torch.device) -> bool:
    """Whether a card has room for so many bytes beside a cache."""
    if device.type != "cuda":
        return True
    free = torch.cuda.mem_get_info(device)[0]
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if size > ROOM * free:
        logger.info("sampling from 4-bit weights: %.1f GiB are free, too few for a bf16 copy.", free / 2**30)
    return size <= ROOM * free


def _is_4bit(module: torch.nn.Module) -> bool:
    """Whether it is a layer of bitsandbytes in the plain format, which computes in the type that it was quantised
    from."""
    state = getattr(getattr(module, "weight", None), "quant_state", None)
    return (
        f"{type(module).__module__}.{type(module).__name__}" == "bitsandbytes.nn.modules.Linear4bit"
        and state is not None
        and not getattr(state, "packing_format_for_cpu", False)
        and state.dtype == module.compute_dtype == torch.bfloat16
    )


def _fast_forward(layer: torch.nn.Module, copies: dict[torch.nn.Module, torch.Tensor]) -> Callable | None:
    """A forward for a 4-bit layer, or for one with plain LoRA beside it; None where its own is to be used."""
    if layer in copies:
        weight, bias = copies[layer], None if layer.bias is None else layer.bias.to(copies[layer].dtype)
        return lambda x: linear(x.to(weight.dtype), weight, bias).to(x.dtype)
    if _is_merged(layer):
        merged = layer.get_base_layer()
        return lambda x: linear(x, merged.weight, merged.bias)
    if type(layer).__name__ in RMS_NORMS and layer.weight.dtype == torch.bfloat16:
        return lambda x: rms_norm(x, layer.weight.shape, layer.weight.to(x.dtype), layer.variance_epsilon)
    if not (_can_merge(layer) and len(layer.active_adapters) == 1 and not layer.disable_adapters):
        return None
    (name,), base = layer.active_adapters, layer.get_base_layer()
    if name not in layer.lora_A or layer.lora_variant.get(name) is not None:
        return None
    weight = copies.get(base, base.weight if type(base) is torch.nn.Linear else None)
    if weight is None or weight.dtype != torch.bfloat16:
        return None
    down = layer.lora_A[name].weight.to(weight.dtype)
    up = (layer.lora_B[name].weight * layer.scaling[name]).to(weight.dtype).t()
    bias = None if base.bias is None else base.bias.to(weight.dtype)

    def forward(x):
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        out = torch.addmm(linear(rows, weight, bias), linear(rows, down), up)
        return out.view(*x.shape[:-1], -1).to(x.dtype)

    return forward
