"""Reinforcement learning as a rival: the same D as a reward, at as many samples as the diversity term draws.

    python -m benchmarks.rl [--study results/demo] [--arm polychromic] [--domain code] [--learning-rates 1e-4 1e-3]
                            [--beta 0.05] [--prompts 30] [--temperature 0.7]

Needs `pip install polychromic[benchmarks]` (TRL). Three ways to train on the rows of a finished embedded study:

- lora: standard LoRA.
- the arm: LoRA with the diversity term, as the study trains it.
- rloo: the LoRA adapter, trained on by TRL's RLOOTrainer. A sample's reward is its leave-one-out credit in the arm's D,
  over groups of the arm's N at the arm's training temperature; prompts and samples are as many as the arm's term draws
  in all, audit included. beta weighs the KL divergence from the LoRA adapter, which keeps what it has learned.

Each is sampled on validation prompts. Seconds are wall and CPU time of the training loop on one thread; those of rloo
include LoRA's. A domain whose verifier needs a calibration is refused. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.embedded import STUDY, base_folder, diversity_measure, rows_of, settings
from benchmarks.training import Run, timed, train
from polychromic.embedding import MINILM, Encoder
from polychromic.method.models import encode_prompt, load_adapter, load_base
from polychromic.method.sampling import sample_groups
from polychromic.metrics.passk import pass_at_k
from polychromic.seeds import derive_seed
from polychromic.verifiers import VERIFIERS, make_verifier

SAMPLES = 10


def evaluate(model, tokenizer, rows: list[dict], verifier, temperature: float) -> dict[str, float]:
    """Pass@1 and Pass@10 over the rows' prompts."""
    seeds = [[derive_seed("benchmarks.rl", i, sample) for sample in range(SAMPLES)] for i in range(len(rows))]
    prompts = [encode_prompt(tokenizer, row["prompt"]) for row in rows]
    groups = sample_groups(model, tokenizer, prompts, seeds, temperature=temperature, max_new_tokens=64)
    correct = np.array(
        [
            sum(
                outcome.passed
                for outcome in verifier.verify([s.text for s in group], row["record"], [s.finish for s in group])
            )
            for row, group in zip(rows, groups, strict=True)
        ]
    )
    return {f"pass@{k}": float(pass_at_k(SAMPLES, correct, k).mean()) for k in (1, SAMPLES)}


def reward(measure, rows: list[dict], end: int, size: int, *, completions, completion_ids, row, **_) -> list[float]:
    """The credit of each completion in D; completions of a prompt come one after the other, `size` of them."""
    starts = range(0, len(completions), size)
    values = measure(
        [completions[start : start + size] for start in starts],
        [rows[row[start]]["record"] for start in starts],
        [[end in ids for ids in completion_ids[start : start + size]] for start in starts],
    )
    return [credit for value in values for credit in value.credits.tolist()]


def reinforce(
    model, tokenizer, rows: list[dict], params: dict, steps: int, rate: float, beta: float, folder: str
) -> Run:
    """Train the adapter on by RLOO, with D as the reward."""
    from datasets import Dataset
    from trl import RLOOConfig, RLOOTrainer

    objective = params["objective"]
    args = RLOOConfig(
        folder,
        max_steps=steps,
        learning_rate=rate,
        beta=beta,
        num_generations=objective["samples"],
        per_device_train_batch_size=objective["samples"] * objective["prompts"],
        max_completion_length=objective["max_new_tokens"],
        temperature=objective["temperature"],
        top_p=objective["top_p"],
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=True,
        seed=42,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    measure = diversity_measure(params, Encoder(MINILM).encode)
    function = partial(reward, measure, rows, tokenizer.eos_token_id, objective["samples"])
    function.__name__ = "diversity"
    prompts = Dataset.from_list([{"prompt": row["prompt"], "row": i} for i, row in enumerate(rows)])
    trainer = RLOOTrainer(model, function, args, prompts, processing_class=tokenizer)
    return timed(trainer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--arm", default="polychromic")
    parser.add_argument("--domain", default="code")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[1e-4, 1e-3])
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--prompts", type=int, default=30)
    parser.add_argument("--temperature", type=float, default=0.7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    study, domain = options.study, options.domain
    params = {arm: settings(study, "train", domain, arm) for arm in ("lora", options.arm)}
    settings_of_verifier = params[options.arm]["verifier"]
    if "calibration" in VERIFIERS[settings_of_verifier["kind"]].needs:
        raise SystemExit(f"the verifier of {domain!r} needs a calibration: take code or qa.")
    verifier = make_verifier(**settings_of_verifier)
    base = partial(load_base, base_folder(study), attention=params["lora"]["model"]["attention"], device="cpu")
    rows = rows_of(study, domain, params["lora"])
    held_out = rows_of(study, domain, params["lora"], "val")[: options.prompts]
    found = []

    def report(name: str, seconds: float, cpu: float, samples: int, model, tokenizer) -> None:
        scores = evaluate(model, tokenizer, held_out, verifier, options.temperature)
        found.append({"arm": name, "seconds": round(seconds, 1), "cpu": round(cpu, 1), "samples": samples, **scores})
        line = f"{name:16}{seconds:9.1f}{cpu:9.1f}{samples:9}" + "".join(f"{value:9.3f}" for value in scores.values())
        print(line, flush=True)

    print(f"{'':16}{'seconds':>9}{'CPU':>9}{'samples':>9}{'pass@1':>9}{'pass@10':>9}")
    with tempfile.TemporaryDirectory() as folder:
        lora, lora_cpu, trainer = train(study, params["lora"], rows, f"{folder}/lora")
        trainer.model.save_pretrained(f"{folder}/adapter")
        report("lora", lora, lora_cpu, 0, trainer.model, trainer.tokenizer)
        seconds, cpu, trainer = train(study, params[options.arm], rows, f"{folder}/arm")
        objective = params[options.arm]["objective"]
        steps = trainer.diversity_steps() + 1
        samples = steps * objective["prompts"] * objective["samples"]
        report(options.arm, seconds, cpu, samples, trainer.model, trainer.tokenizer)
        for rate in options.learning_rates:
            model, tokenizer = base()
            model = load_adapter(model, f"{folder}/adapter", trainable=True)
            seconds, cpu, trainer = reinforce(
                model, tokenizer, rows, params[options.arm], steps, rate, options.beta, f"{folder}/rloo"
            )
            report(f"rloo {rate:g}", lora + seconds, lora_cpu + cpu, samples, trainer.model, tokenizer)
    print(json.dumps({"benchmark": "rl", "domain": domain, "prompts": len(held_out), "arms": found}))


if __name__ == "__main__":
    main()
