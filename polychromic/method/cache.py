"""The key-value cache that sampling and scoring share: whole for every kind of attention, one prefill a prompt.

Caches that transformers cuts to a sliding window or a chunk cannot be repeated for N samples or padded on the left.
Here every layer keeps all of its keys and values, and the model's own mask decides what a token attends to.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from polychromic.errors import StudyError

ATTENTION = {"full_attention", "sliding_attention", "chunked_attention", "attention"}
"""Kinds of layers (`config.layer_types`) whose past is keys and values alone."""


def check_can_sample(model) -> None:
    """Refuse models whose past is more than keys and values: recurrent, hybrid and encoder-decoder ones.

    Raises:
        StudyError: naming the architecture and what it lacks.
    """
    bare = model.get_base_model() if hasattr(model, "get_base_model") else model
    text = bare.config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or getattr(text, "layers_block_type", None) or ())
    problem = None
    if bare.config.is_encoder_decoder:
        problem = "is an encoder-decoder"
    elif getattr(bare, "_is_stateful", False):
        problem = "has recurrent layers"
    elif kinds - ATTENTION:
        problem = f"has layers of another kind than attention ({', '.join(sorted(kinds - ATTENTION))})"
    elif not {"past_key_values", "cache"} & _parameters(type(bare)):
        problem = "takes no cache of keys and values"
    if problem:
        raise StudyError(
            f"{type(bare).__name__} {problem}: its samples cannot share a prompt's cache. "
            "Use a decoder with attention layers only, or train without the diversity term (weight=0)."
        )


@dataclass
class Prefill:
    """Prompts that have been run once, padded on the left to one width."""

    logits: torch.Tensor
    """[prompts, vocabulary]: of the token after each prompt."""
    cache: DynamicCache
    mask: torch.Tensor
    """[prompts, width]: 0 where padded."""
    position: torch.Tensor
    """[prompts, 1]: position of each prompt's last token."""


def prefill(model, prompts: list[list[int]]) -> Prefill:
    """Run the prompts (token ids) together, each once."""
    width = max(map(len, prompts))
    ids = torch.tensor([[prompt[0]] * (width - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache()
    logits = next_logits(model, ids, mask, positions, cache)
    return Prefill(logits, cache, mask, positions[:, -1:])


def next_logits(model, ids, mask, positions, cache: DynamicCache) -> torch.Tensor:
    """[rows, vocabulary]: logits of the token after the last of `ids`, whose keys and values go into the cache."""
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}
    return model(**taken(model, use_cache=True, logits_to_keep=1, **inputs)).logits[:, -1]


def taken(model, **inputs) -> dict:
    """Those of the inputs that the model's `forward` takes; older architectures lack some.

    Transformers has called `past_key_values` `cache` since 5.24.
    """
    names = _parameters(type(model))
    if "cache" in names:
        inputs["cache"] = inputs.pop("past_key_values")
    optional = {"attention_mask", "position_ids", "logits_to_keep"}
    if "kwargs" in names:  # passed on to the layers
        optional = {"logits_to_keep"}
    return {name: value for name, value in inputs.items() if name in names or name not in optional}


@lru_cache
def _parameters(kind: type) -> frozenset[str]:
    """Names of the inputs of an architecture's `forward`."""
    return frozenset(inspect.signature(kind.forward).parameters)


@dataclass
class Columns:
    """Which columns of the preallocated layers are in use, for all of them: from `start`, up to `end`."""

    start: int = 0
    end: int = 0


class Preallocated(DynamicLayer):
    """A cache layer with room for `rows` sequences, written in place. All of them end in the same column.

    Columns before a row's first token hold what an earlier row left there, or zeros: the mask has to hide them.

    Args:
        like: a layer of the same model after a prefill. columns: shared by the layers, moved on by their owner.
        capacity: in columns.
    """

    def __init__(self, like: DynamicLayer, columns: Columns, rows: int, capacity: int):
        super().__init__()
        self.columns = columns
        self.room = [
            states.new_zeros((rows, states.shape[1], capacity, states.shape[3])) for states in (like.keys, like.values)
        ]
        self.is_initialized = True

    def update(self, key_states, value_states, *args, **kwargs):
        rows, start, before = len(key_states), self.columns.start, self.columns.end
        end = before + key_states.shape[2]
        for room, states in zip(self.room, (key_states, value_states), strict=True):
            room[:rows, :, before:end] = states
        return self.room[0][:rows, :, start:end], self.room[1][:rows, :, start:end]

    def get_seq_length(self) -> int:
        return self.columns.end - self.columns.start

    def put(self, first: int, prefilled: DynamicLayer, prompts: torch.Tensor, width: int) -> None:
        """Copy the last `width` columns of prefilled `prompts` into the rows from `first` on."""
        end = self.columns.end
        for room, states in zip(self.room, (prefilled.keys, prefilled.values), strict=True):
            room[first : first + len(prompts), :, end - width : end] = states[prompts, :, states.shape[2] - width :]

    def move(self, source: torch.Tensor, target: torch.Tensor) -> None:
        """Copy rows `source` over rows `target`."""
        used = slice(self.columns.start, self.columns.end)
        for room in self.room:
            room[target, :, used] = room[source, :, used]

    def shift(self) -> None:
        """Move what is in use to the first columns."""
        width = self.columns.end - self.columns.start
        for room in self.room:
            room[:, :, :width] = room[:, :, self.columns.start : self.columns.end].clone()
