"""A real vocabulary on a CPU: tokens a second of CPU time, and memory, of training and of rollouts.

    python -m benchmarks.cpu --model results/real/base/packaged [--precision bf16 fp32] [--batch 1 2 4] [--tokens 300]
                             [--rows 8] [--attention sdpa eager] [--decoded 80 20] [--checkpointing]

Training: standard LoRA (rank 16 on all linear layers) on `--rows` random rows of `--tokens` tokens, the last 20 being
the target; tokens are those of whole rows. Rollouts: 8 prompts of about this length x 10 samples of 40 tokens with a
fresh adapter; tokens are those drawn. All runs on one thread, so CPU time is what a free core takes, and other load
hardly changes it. Each case runs in a separate process, whose peak memory is given. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

TARGET, PROMPTS, SAMPLES, DRAWN = 20, 8, 10, 40


def loaded(case: dict[str, Any]):
    import torch

    from polychromic.method.models import load_base

    torch.set_num_threads(1)
    torch.manual_seed(0)
    return load_base(case["model"], precision=case["precision"], attention=case["attention"], device="cpu")


def adapter():
    from peft import LoraConfig

    return LoraConfig(r=16, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")


def train(case: dict[str, Any]) -> float:
    """Tokens a CPU second of a training, loading left out."""
    import numpy as np

    from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer

    model, tokenizer = loaded(case)
    tokens = np.random.default_rng(0).integers(1000, 40000, (case["rows"], case["tokens"] - 1))
    rows = [
        {"prompt": tokenizer.decode(row[:-TARGET]), "completion": tokenizer.decode(row[-TARGET:])} for row in tokens
    ]
    with tempfile.TemporaryDirectory() as folder:
        args = PolychromicConfig(
            folder,
            weight=0.0,
            num_train_epochs=1,
            per_device_train_batch_size=case["batch"],
            gradient_accumulation_steps=max(1, 4 // case["batch"]),
            gradient_checkpointing=case["checkpointing"],
            max_length=8000,
            bf16=case["precision"] == "bf16",
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
        )
        trainer = PolychromicTrainer(model, args, rows, tokenizer, peft_config=adapter())
        began = time.process_time()
        trainer.train()
        seconds = time.process_time() - began
    return sum(len(row["input_ids"]) for row in trainer.train_dataset) / seconds


def roll_out(case: dict[str, Any]) -> float:
    """Tokens drawn a CPU second."""
    import numpy as np
    from peft import get_peft_model

    from polychromic.method.sampling import sample_groups

    model, tokenizer = loaded(case)
    model = get_peft_model(model, adapter())
    draw = np.random.default_rng(0)
    prompts = [draw.integers(1000, 40000, case["tokens"] - i).tolist() for i in range(PROMPTS)]
    seeds = [[100 * i + j for j in range(SAMPLES)] for i in range(PROMPTS)]
    began = time.process_time()
    groups = sample_groups(
        model, tokenizer, prompts, seeds, temperature=1.0, max_new_tokens=DRAWN, batch_size=case["batch"]
    )
    return sum(len(c.tokens) for group in groups for c in group) / (time.process_time() - began)


def measured(case: dict[str, Any]) -> dict[str, Any]:
    speed = {"train": train, "rollouts": roll_out}[case["what"]](case)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**case, "tokens_per_second": round(speed, 1), "peak_gib": round(memory, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("results/real/base/packaged"))
    parser.add_argument("--what", nargs="+", default=["train", "rollouts"])
    parser.add_argument("--precision", nargs="+", default=["bf16"])
    parser.add_argument("--attention", nargs="+", default=["sdpa"])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 4], help="rows in a pass of training")
    parser.add_argument("--decoded", nargs="+", type=int, default=[80], help="samples decoded together")
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--checkpointing", action="store_true")
    options = parser.parse_args()
    shared = {name: getattr(options, name) for name in ("model", "tokens", "rows", "checkpointing")}
    cases = [
        {**shared, "what": what, "precision": precision, "attention": attention, "batch": batch}
        for what in options.what
        for precision in options.precision
        for attention in options.attention
        for batch in (options.batch if what == "train" else options.decoded)
    ]
    found = []
    for case in cases:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(measured, [case]))
        result = found[-1]
        print(
            f"{result['what']:9} {result['precision']:5} {result['attention']:6} batch {result['batch']:<4}"
            f"{result['tokens_per_second']:8.0f} tokens/CPU s {result['peak_gib']:6.1f} GiB",
            flush=True,
        )
    print(json.dumps({"benchmark": "cpu", "cases": [case | {"model": str(case["model"])} for case in found]}))


if __name__ == "__main__":
    main()
