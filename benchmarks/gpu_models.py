"""Models of a published shape with random weights, and rows for them: what `benchmarks.gpu` runs, without a network."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from polychromic.demo.base import train_tokenizer
from polychromic.method.diversity import GroupDiversity

SHAPES = {
    "qwen3-8b": {
        "vocab_size": 151_936,
        "hidden_size": 4096,
        "intermediate_size": 12_288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "tiny": {
        "vocab_size": 400,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
    },
}
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "it", "ran", "over", "every", "hill"]


def tokenizer_of_words():
    return train_tokenizer([" ".join(WORDS)] * 10, 400)


def random_base(folder: Path, shape: str, device: str) -> None:
    tokenizer = tokenizer_of_words()
    config = Qwen3Config(
        **SHAPES[shape],
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        model = Qwen3ForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def random_rows(count: int, words: int) -> list[dict[str, str]]:
    rng = random.Random(0)
    return [
        {
            "prompt": " ".join(rng.choices(WORDS, k=words)) + "\n",
            "completion": " ".join(rng.choices(WORDS, k=words)),
        }
        for _ in range(count)
    ]


def all_count(groups, records, finished) -> list[GroupDiversity]:
    """A measure by which every sample has a credit: the texts of random weights are nearly all empty."""
    return [
        GroupDiversity(
            0.5, torch.tensor([1.0, -1.0] * len(group), dtype=torch.float64)[: len(group)], [True] * len(group)
        )
        for group in groups
    ]
