"""Cost at the size of Qwen3-8B on one GPU: training with the term against LoRA, and group sampling.

    python -m benchmarks.gpu [--precision nf4 bf16] [--shape qwen3-8b | tiny] [--device cuda | cpu]
                             [--domain creative]

Randomly initialised weights of that shape: they serve for timing, and since such a model never ends a
completion, every sample has the full `--new-tokens`: the dearest case. Training and objective are those of the
published study's polychromic arm in that domain; every sample has a credit and is scored. Peak memory is of the
training. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.sampling import batched, grouped
from polychromic.config.loading import load_study
from polychromic.demo.base import train_tokenizer
from polychromic.method.diversity import GroupDiversity
from polychromic.method.finetune import finetune, lora_settings, trainer_settings
from polychromic.method.models import load_base

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


def random_base(folder: Path, shape: str, device: str) -> None:
    tokenizer = train_tokenizer([" ".join(WORDS)] * 10, 400)
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


def settings(arm: str, options) -> tuple[dict, dict]:
    """Training and objective of a published arm in the domain; with `--new-tokens` for its longest sample."""
    study = load_study("config.yaml")
    objective = study.objective_of(arm, options.domain).model_dump()
    if options.new_tokens:
        objective["max_new_tokens"] = options.new_tokens
    return study.training_of(arm).model_dump(), objective


def all_count(groups, records, finished) -> list[GroupDiversity]:
    """A measure by which every sample has a credit: the texts of random weights are nearly all empty."""
    return [
        GroupDiversity(
            0.5, torch.tensor([1.0, -1.0] * len(group), dtype=torch.float64)[: len(group)], [True] * len(group)
        )
        for group in groups
    ]


def train(base: Path, precision: str, options, data, arm: str):
    model, tokenizer = load_base(base, precision=precision, device=options.device)
    training, objective = settings(arm, options)
    with tempfile.TemporaryDirectory() as folder:
        args = trainer_settings(
            training,
            objective,
            output_dir=f"{folder}/work",
            bf16=True,
            max_steps=options.steps,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=options.device == "cpu",
        )
        adapter = lora_settings(training)
        return finetune(model, tokenizer, data, args, adapter, f"{folder}/adapter", measure=all_count)


def sampling(base: Path, precision: str, options, data) -> dict[str, float]:
    model, tokenizer = load_base(base, precision=precision, device=options.device)
    prompts = [tokenizer(row["prompt"])["input_ids"] for row in data[:8]]
    longest = settings("polychromic", options)[1]["max_new_tokens"]
    asked = SimpleNamespace(samples=10, temperature=0.7, max_new_tokens=longest)
    speeds = {}
    for name, way in (("sample_groups", grouped), ("generate, batched", batched)):
        for _ in range(2):  # the first warms up
            began = time.perf_counter()
            with torch.no_grad():
                tokens = way(model, tokenizer, prompts, asked)
            speeds[name] = tokens / (time.perf_counter() - began)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", nargs="+", default=["nf4", "bf16"])
    parser.add_argument("--shape", choices=SHAPES, default="qwen3-8b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--domain", default="creative", help="of the published study; creative has the longest samples")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--words", type=int, default=100, help="words of a prompt and of a target")
    parser.add_argument("--new-tokens", type=int, help="of a sample, in place of the domain's")
    options = parser.parse_args()

    data = random_rows(16 * options.steps, options.words)
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        random_base(Path(folder), options.shape, options.device)
        for precision in options.precision:
            lora = train(Path(folder), precision, options, data, "lora")
            ours = train(Path(folder), precision, options, data, "polychromic")
            row = {
                "lora_seconds": lora["seconds"]["train"],
                "polychromic_seconds": ours["seconds"]["train"],
                "ratio": ours["seconds"]["train"] / lora["seconds"]["train"],
                "lora_peak_gib": lora["peak_memory_gib"],
                "polychromic_peak_gib": ours["peak_memory_gib"],
                "tokens_per_second": sampling(Path(folder), precision, options, data),
            }
            print(precision, json.dumps(row, indent=2))
            report[precision] = row
    device = torch.cuda.get_device_name() if options.device != "cpu" else "cpu"
    print(json.dumps({"benchmark": "gpu", "device": device, **vars(options), "results": report}))


if __name__ == "__main__":
    main()
