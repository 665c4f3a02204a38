"""What the diversity term costs: training with it against standard LoRA, same rows, same steps.

    python -m benchmarks.training [--base FOLDER] [--every 4 5] [--prompts 4] [--samples 4] [--repeats 3]

The embedded model. Both are first warmed up (a LoRA model that ends its completions as a trained one does);
then they take turns, and the fastest of `--repeats` counts. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.embedded import base_folder, rows, settings
from polychromic.measures import make_measure
from polychromic.models import load_base
from polychromic.trainer import PolychromicTrainer

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def train(base, data, folder, state=None, **changed):
    """(CPU seconds of the training loop, trainer) of one epoch; `state`: adapter weights to start from."""
    model, tokenizer = load_base(base, attention="eager", device="cpu")
    torch.manual_seed(0)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=16, lora_dropout=0.1, target_modules=TARGETS))
    if state is not None:
        model.load_state_dict(state)
    measure = make_measure("distinct_n", n=1, gate=True)
    args = settings(folder, num_train_epochs=1, **changed)
    trainer = PolychromicTrainer(model, args, data, tokenizer, measure=measure)
    began = time.process_time()
    trainer.train()
    return time.process_time() - began, trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base")
    parser.add_argument("--every", type=int, nargs="+", default=[4, 5])
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    base, data = base_folder(options.base), rows(options.rows)
    best: dict[str, tuple[float, PolychromicTrainer]] = {}
    with tempfile.TemporaryDirectory() as folder:
        _, warm = train(base, data, folder, diversity_weight=0.0)
        state = warm.model.state_dict()
        arms = {"lora": {"diversity_weight": 0.0}}
        for every in options.every:
            arms[f"polychromic, every {every}"] = {
                "diversity_weight": 0.3,
                "diversity_every": every,
                "prompts_per_step": options.prompts,
                "num_samples": options.samples,
            }
        for _ in range(options.repeats):
            for name, changed in arms.items():
                result = train(base, data, folder, state, **changed)
                if name not in best or result[0] < best[name][0]:
                    best[name] = result

    lora = best["lora"][0]
    print(f"{'':24}{'seconds':>9}{'ratio':>7}{'sample':>9}{'measure':>9}{'score':>9}{'backward':>9}{'tokens':>9}")
    report = {}
    for name, (seconds, trainer) in best.items():
        parts = vars(trainer.seconds)
        print(
            f"{name:24}{seconds:9.2f}{seconds / lora:7.2f}{parts['sample']:9.2f}{parts['measure']:9.2f}"
            f"{parts['score']:9.2f}{parts['backward']:9.2f}{trainer.sampled_tokens:9d}"
        )
        report[name] = {"seconds": seconds, "ratio": seconds / lora, "parts": parts}
        report[name]["sampled_tokens"] = trainer.sampled_tokens
    print(json.dumps({"benchmark": "training", **vars(options), "arms": report}))


if __name__ == "__main__":
    main()
