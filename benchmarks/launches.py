"""What sampling costs whatever the machine: operations a decode step, steps, and tokens computed against tokens kept.

    python -m benchmarks.launches [--samples 400] [--rows 64]

A 4-bit Qwen3 with random weights and a LoRA adapter, on the CPU: operations of one decode step a layer, views not
counted, of PEFT's layers and of `method/lean.py`; and the decode steps of a stream that refills its rows against
batches that wait for their longest sample. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache, Qwen3Config, Qwen3ForCausalLM

from benchmarks.gpu_models import SHAPES, tokenizer_of_words
from polychromic.method.lean import lean
from polychromic.method.models import keep_differentiable, load_base
from polychromic.method.sampling import sample_groups
from polychromic.method.stream import Work

VIEWS = {
    "view", "_unsafe_view", "t", "transpose", "slice", "select", "unsqueeze", "squeeze", "expand", "permute", "detach",
    "alias", "as_strided", "split", "reshape", "empty", "empty_like", "empty_strided", "new_empty", "unbind",
}  # fmt: skip


class Operations(TorchDispatchMode):
    """Counts the operations that would each be a launch on a card."""

    def __init__(self):
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.__name__.split(".")[0]
        if name not in VIEWS:
            self.counts[name] += 1
        return operation(*args, **(kwargs or {}))


def four_bit(layers: int):
    """(model with a LoRA adapter on 4-bit layers, tokenizer)."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of_words()
    shape = {**SHAPES["tiny"], "num_hidden_layers": layers}
    with tempfile.TemporaryDirectory() as folder:
        config = Qwen3Config(**shape, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
        Qwen3ForCausalLM(config).bfloat16().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        model, _ = load_base(Path(folder), precision="nf4", device="cpu")
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=16, target_modules="all-linear")).eval()
    keep_differentiable(model)
    return model, tokenizer


def of_a_step(model) -> int:
    cache, ids = DynamicCache(), torch.full((8, 5), 7)
    with torch.no_grad():
        model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        with Operations() as seen:
            model(ids[:, :1], past_key_values=cache, use_cache=True, logits_to_keep=1)
    return sum(seen.counts.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--rows", type=int, default=64)
    options = parser.parse_args()

    counts = {}
    for layers in (2, 4):
        model, tokenizer = four_bit(layers)
        counts["PEFT", layers] = of_a_step(model.get_base_model())
        with lean(model) as bare:
            counts["lean", layers] = of_a_step(bare)
    a_layer = {way: (counts[way, 4] - counts[way, 2]) / 2 for way in ("PEFT", "lean")}
    # Samples end after about 20 tokens of 100.
    model.generation_config.eos_token_id = list(range(1, 21))
    work = Work()
    groups = sample_groups(
        model, tokenizer, [[7, 8, 9]], [list(range(options.samples))], temperature=1.0, max_new_tokens=100,
        batch_size=options.rows, work=work,
    )  # fmt: skip
    lengths = [len(sample.tokens) for sample in groups[0]]
    batches = [lengths[i : i + options.rows] for i in range(0, len(lengths), options.rows)]
    waiting = sum(max(batch) for batch in batches)
    report = {
        "operations_a_layer": a_layer,
        "steps": {"stream": work.steps, "batches": waiting},
        "rows_computed_a_token_kept": {
            "stream": work.steps * options.rows / work.kept_tokens,
            "batches": waiting * options.rows / work.kept_tokens,
        },
    }
    for name, values in report.items():
        print(name, values)
    print(json.dumps({"benchmark": "launches", **vars(options), **report}))


if __name__ == "__main__":
    main()
