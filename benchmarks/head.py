"""The output head on targets only against the whole head: memory and time of a training step.

    python -m benchmarks.head [--vocabulary 150000] [--rows 2] [--tokens 408] [--targets 8] [--repeats 3]

A small Qwen3 (hidden 256, 2 layers) with a LoRA adapter, long prompts and short answers. "Whole" runs the model with
labels, as a plain Trainer does, or for the other terms takes the targets out of all logits. Memory is the largest that
tensors take above the model, read by torch's profiler, forward and backward. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from types import SimpleNamespace

import torch
from peft import LoraConfig, get_peft_model
from torch.profiler import ProfilerActivity, profile
from transformers import Qwen3Config, Qwen3ForCausalLM

from polychromic.head import logits_at
from polychromic.method.quality import QUALITY_TERMS, quality_loss


def peak_bytes(step) -> int:
    """Largest sum of bytes that were allocated and not yet freed during the step."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    held = highest = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            highest = max(highest, held)
    return highest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, default=150_000)
    parser.add_argument("--rows", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=408)
    parser.add_argument("--targets", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=options.vocabulary, hidden_size=256, intermediate_size=512, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, tie_word_embeddings=True,
    )  # fmt: skip
    model = get_peft_model(
        Qwen3ForCausalLM(config), LoraConfig(r=8, target_modules="all-linear", init_lora_weights=False)
    )
    ids = torch.randint(0, options.vocabulary, (options.rows, options.tokens))
    labels = ids.masked_fill(torch.arange(options.tokens) < options.tokens - options.targets, -100)
    keep = torch.zeros_like(labels, dtype=torch.bool)
    keep[:, :-1] = labels[:, 1:] != -100
    targets, rows = labels[:, 1:][keep[:, :-1]], keep.nonzero()[:, 0]

    def gradients(loss) -> torch.Tensor:
        model.zero_grad()
        loss.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])

    def whole(term, name):
        if name == "ce":
            return gradients(model(input_ids=ids, labels=labels).loss)
        return gradients(term(model(input_ids=ids).logits[keep].float(), targets, rows) / len(targets))

    def on_targets(term, name):
        _, logits = logits_at(model, keep, lambda: model(input_ids=ids))
        return gradients(term(logits.float(), targets, rows) / len(targets))

    report = {}
    print(
        f"{'':16}{'whole':>10}{'targets':>10}{'ratio':>8}{'whole':>10}{'targets':>10}{'ratio':>8}  largest difference"
    )
    for name in QUALITY_TERMS:
        term = quality_loss(name, SimpleNamespace(quality_beta=0.7, dco_samples=10))
        seconds, memory, found = {}, {}, {}
        for way in (whole, on_targets):
            found[way] = way(term, name)
            memory[way] = peak_bytes(lambda way=way: way(term, name)) / 2**30  # noqa: B023
            for _ in range(options.repeats):
                gc.collect()
                began = time.process_time()
                way(term, name)
                seconds[way] = min(seconds.get(way, 1e9), time.process_time() - began)
        distance = float((found[whole] - found[on_targets]).abs().max() / found[whole].abs().max())
        (a, b), (c, d) = memory.values(), seconds.values()
        print(f"{name:16}{a:8.3f}GiB{b:7.3f}GiB{a / b:8.1f}{c:9.2f}s{d:9.2f}s{c / d:8.1f}  {distance:.0e}")
        report[name] = {"gib": [a, b], "seconds": [c, d], "difference": distance}
    print(json.dumps({"benchmark": "head", **vars(options), "terms": report}))


if __name__ == "__main__":
    main()
