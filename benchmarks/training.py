"""What the diversity term costs: an arm's training against standard LoRA's, same rows, same steps.

    python -m benchmarks.training [--study results/demo] [--arm polychromic] [--domains social code creative qa]
                                  [--every 2 4] [--rows 320] [--repeats 3]

Both arms of a finished embedded study are trained again, with the settings that the study gave them, and the arm once
for each m of `--every`, if given; they take turns, and the fastest of `--repeats` counts. Seconds are wall time of the
training loop on one thread, audit included; loading is not, as both arms do it. CPU seconds are of this process and
those that it waited for; on a busy machine their ratio is the one to read. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch
from peft import get_peft_model
from transformers import set_seed

from benchmarks.embedded import STUDY, base_folder, diversity_measure, rows_of, settings
from polychromic.embedding import MINILM, Encoder
from polychromic.method.finetune import lora_settings, trainer_settings
from polychromic.method.models import load_base
from polychromic.method.trainer import PolychromicTrainer

PHASES = ("sample", "measure", "score", "backward")


class Run(NamedTuple):
    """A training, and how long its loop took, in seconds."""

    seconds: float
    cpu: float
    trainer: PolychromicTrainer


def train(study: Path, params: dict, rows: list[dict], folder: str) -> Run:
    """Train an arm on the rows, with the settings that a study gave it."""
    model, tokenizer = load_base(base_folder(study), attention=params["model"]["attention"], device="cpu")
    set_seed(42)
    model = get_peft_model(model, lora_settings(params["training"]))
    args = trainer_settings(
        params["training"],
        params["objective"],
        output_dir=folder,
        seed=42,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    encoder = Encoder(MINILM)  # a new one remembers no text of the last run
    encoder.encode(["loaded before the clock runs"])
    measure = diversity_measure(params, encoder.encode)
    trainer = PolychromicTrainer(model, args, rows, tokenizer, measure=measure)
    return timed(trainer)


def timed(trainer) -> Run:
    """Train, and say how long it took."""
    began, cpu = time.perf_counter(), sum(os.times()[:4])
    trainer.train()
    return Run(time.perf_counter() - began, sum(os.times()[:4]) - cpu, trainer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--arm", default="polychromic")
    parser.add_argument("--domains", nargs="+", default=["social", "code", "creative", "qa"])
    parser.add_argument(
        "--every", type=int, nargs="+", help="optimiser steps for each diversity step (the study's own)"
    )
    parser.add_argument("--rows", type=int, help="of each domain, at most (all)")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    base_folder(options.study)
    report: dict[str, list[dict]] = {}
    heads = f"{'':10}{'every':>6}{'LoRA':>8}{options.arm:>13}{'ratio':>7}{'CPU ratio':>11}"
    lines = [heads + "".join(f"{phase:>9}" for phase in PHASES)]
    for domain in options.domains:
        lora_params = settings(options.study, "train", domain, "lora")
        params = settings(options.study, "train", domain, options.arm)
        rows = rows_of(options.study, domain, params)[: options.rows]
        runs = {0: lora_params}
        for every in options.every or [params["objective"]["every"]]:
            runs[every] = params | {"objective": params["objective"] | {"every": every}}
        best: dict[int, Run] = {}
        for _ in range(options.repeats):
            for every, own in runs.items():
                with tempfile.TemporaryDirectory() as folder:
                    result = train(options.study, own, rows, folder)
                if every not in best or result.cpu < best[every].cpu:
                    best[every] = result
        lora = best.pop(0)
        report[domain] = []
        for every, ours in best.items():
            parts = {phase: round(getattr(ours.trainer.term.seconds, phase), 2) for phase in PHASES}
            ratio, cpu_ratio = ours.seconds / lora.seconds, ours.cpu / lora.cpu
            lines.append(
                f"{domain:10}{every:6}{lora.seconds:8.2f}{ours.seconds:13.2f}{ratio:7.2f}{cpu_ratio:11.2f}"
                + "".join(f"{value:9.2f}" for value in parts.values())
            )
            report[domain].append({
                "every": every, "lora": lora.seconds, "arm": ours.seconds, "ratio": ratio,
                "lora_cpu": lora.cpu, "arm_cpu": ours.cpu, "cpu_ratio": cpu_ratio, **parts,
            })  # fmt: skip
    print("\n".join(lines))
    print(json.dumps({"benchmark": "training", "arm": options.arm, "repeats": options.repeats, "domains": report}))


if __name__ == "__main__":
    main()
