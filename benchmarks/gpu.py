"""Ten minutes on a graphics card before days on one: ten points, each with what it must show.

    python -m benchmarks.gpu [--shape qwen3-8b | tiny] [--only 1 4 10] [--device cuda | cpu]

Weights are random, so nothing is downloaded; such a model never ends a completion, so every sample has the longest
length: the most expensive case. Without a card it fails with one message; `--device cpu --shape tiny` rehearses it,
and says so. The last line is one JSON object with what each point measured.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from scipy.stats import chisquare
from transformers import Trainer, TrainingArguments

from benchmarks.gpu_models import SHAPES, all_count, random_base, random_rows
from polychromic.cards import check_capability, check_cuda, machine_cards, visible_cards
from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.method.finetune import lora_settings, trainer_settings
from polychromic.method.lean import lean
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.models import keep_differentiable, load_base, put_adapter
from polychromic.method.rows import Collator, encode_rows
from polychromic.method.sampling import TOKENS, sample_groups
from polychromic.method.stream import Work
from polychromic.method.trainer import PolychromicTrainer
from polychromic.metrics.likelihood import reference_nll
from polychromic.workflow import cost


class Failed(Exception):
    """A point did not show what it must."""


def must(true: bool, what: str) -> None:
    if not true:
        raise Failed(what)


@dataclass
class Bench:
    """The models that the points share, made once."""

    device: str
    shape: str
    folder: Path

    def __post_init__(self):
        self.study = load_study("config.yaml")
        self.training = self.study.training_of("lora").model_dump()

    @cached_property
    def bases(self) -> dict[str, Path]:
        made = {}
        for shape in {"tiny", self.shape}:
            made[shape] = self.folder / shape
            random_base(made[shape], shape, self.device)
        return made

    def model(self, shape: str, adapter: bool = True):
        """(4-bit model with a LoRA adapter that does something, tokenizer)."""
        torch.manual_seed(0)
        model, tokenizer = load_base(self.bases[shape], precision="nf4", device=self.device)
        if adapter:
            model = put_adapter(model, lora_settings(self.training), self.arguments())
            keep_differentiable(model)
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    torch.nn.init.normal_(parameter, std=0.02)
        return model.eval(), tokenizer

    def arguments(self, arm: str = "lora", domain: str = "social", **changed):
        objective = self.study.objective_of(arm, domain).model_dump()
        objective |= {key: changed.pop(key) for key in [*changed] if key in objective}
        training = {**self.training, "checkpoint_every": changed.pop("save_steps", 50)}
        common = {"logging_steps": 1, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "bf16": True}
        common |= {"output_dir": str(self.folder / "work"), "use_cpu": self.device == "cpu", "max_steps": 2, **changed}
        return trainer_settings(training, objective, **common)

    def trainer(self, shape: str, arm: str = "lora", domain: str = "social", **changed):
        torch.manual_seed(0)
        model, tokenizer = load_base(self.bases[shape], precision="nf4", device=self.device)
        args = self.arguments(arm, domain, **changed)
        measure = all_count if args.weight > 0 else None
        return PolychromicTrainer(
            model, args, random_rows(64, 60), tokenizer, measure=measure, peft_config=lora_settings(self.training)
        )

    def clock(self) -> float:
        if self.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    def peak(self, work: Callable[[], Any]) -> float | None:
        """GB that were held at most meanwhile; None where there is no card."""
        if self.device == "cpu":
            work()
            return None
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated() / 1e9


def a_card_and_its_4bit_layers(bench: Bench) -> dict:
    """One card, new enough; a 4-bit layer is its dequantised product to 1 %, whatever kernel the rows choose."""
    if bench.device != "cpu":
        check_cuda(1)
        check_capability(0, "nf4")
    model, _ = bench.model(bench.shape, adapter=False)
    layer = model.model.layers[0].mlp.down_proj
    errors = {}
    for rows in (1, 4, 5, 32, 33, 64):
        x = torch.randn(rows, layer.in_features, device=model.device, dtype=torch.bfloat16)
        with torch.no_grad():
            theirs = layer(x)
            with lean(model):
                ours = layer(x)
        errors[rows] = float((theirs - ours).float().norm() / ours.float().norm())
    must(max(errors.values()) < 0.01, f"a 4-bit layer differs from its dequantised product: {errors}")
    cards = [f"{card.name}, driver {card.driver}" for card in machine_cards()]
    return {"cards": cards, "visible": visible_cards(), "relative_error": errors}


def a_tiny_run(bench: Bench) -> dict:
    """A small 4-bit training with the term ends, in one process, with all of the model on the card."""
    trainer = bench.trainer("tiny", "polychromic", every=1, prompts=4)
    result = trainer.train()
    devices = {p.device.type for p in trainer.model.parameters()}
    must(trainer.args.n_gpu == (bench.device != "cpu"), f"n_gpu is {trainer.args.n_gpu}")
    must(devices == {torch.device(bench.device).type}, f"the model is on {devices}")
    must(math.isfinite(result.training_loss), f"the loss is {result.training_loss}")
    return {"loss": result.training_loss}


def _scored(bench: Bench, model, prompts, completions) -> torch.Tensor:
    with torch.autocast(torch.device(bench.device).type, torch.bfloat16):
        return completion_log_probs(model.get_base_model(), prompts, completions, temperature=0.9, top_p=0.9)


def padding(bench: Bench) -> dict:
    """A short prompt beside a long one is scored as alone, to .05 nats a token, with gradients that are finite."""
    model, _ = bench.model(bench.shape)
    prompts = [[5 + i % 40 for i in range(n)] for n in (7, 120)]
    completions = [[[6 + i % 30 for i in range(n)]] for n in (40, 12)]
    together = _scored(bench, model, prompts, completions)
    together.sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    must(bool(gradients) and all(bool(g.isfinite().all()) for g in gradients), "a gradient is missing or not finite")
    with torch.no_grad():
        alone = torch.cat([_scored(bench, model, [p], [c]) for p, c in zip(prompts, completions, strict=True)])
    apart = float(((together.detach() - alone).abs() / torch.tensor([40, 12], device=alone.device)).max())
    must(apart <= 0.05, f"padded and unpadded scoring differ by {apart:.3f} nats a token")
    return {"nats_a_token": apart}


def sampled_as_scored(bench: Bench) -> dict:
    """log pi as sampled is log pi as scored to .02 nats a token, on average over the samples."""
    model, tokenizer = bench.model(bench.shape)
    prompts = [[5 + i % 40 for i in range(n)] for n in (20, 90)]
    seeds = [list(range(8)), list(range(8, 16))]
    groups = sample_groups(
        model, tokenizer, prompts, seeds, temperature=0.9, top_p=0.9, max_new_tokens=100
    )  # fmt: skip
    with torch.no_grad():
        scored = _scored(bench, model, prompts, [[sample.tokens for sample in group] for group in groups]).tolist()
    samples = [sample for group in groups for sample in group]
    apart = [abs(a - b.log_prob) / len(b.tokens) for a, b in zip(scored, samples, strict=True)]
    mean = sum(apart) / len(apart)
    must(mean <= 0.02, f"sampled and scored log pi differ by {mean:.3f} nats a token")
    return {"nats_a_token": mean, "worst": max(apart)}


def draws(bench: Bench) -> dict:
    """10^5 first tokens follow the model's own distribution: chi-squared, p above 10^-4."""
    model, tokenizer = bench.model("tiny")
    count = 100_000 if bench.device != "cpu" else 5_000
    groups = sample_groups(
        model, tokenizer, [[5, 6, 7]], [list(range(count))], temperature=1.0, max_new_tokens=1, batch_size=4096
    )
    with torch.no_grad(), lean(model) as bare:
        p = bare(torch.tensor([[5, 6, 7]], device=model.device)).logits[0, -1].float().softmax(-1).double().cpu()
    seen = torch.bincount(torch.tensor([sample.tokens[0] for sample in groups[0]]), minlength=len(p)).double()
    often = p * count >= 5
    observed, expected = seen[often], p[often] * count
    value = float(chisquare(observed, expected * observed.sum() / expected.sum()).pvalue)
    must(value > 1e-4, f"draws do not follow the distribution: p = {value:.2g}")
    return {"draws": count, "p": value}


def a_step_per_domain(bench: Bench) -> dict:
    """A diversity step of the published study, in each domain: it fits, and no batch had to be halved."""
    found = {}
    for domain in bench.study.domains:
        trainer = bench.trainer(bench.shape, "polychromic", domain, every=1, max_steps=1)
        began = bench.clock()
        peak = bench.peak(trainer.train)
        term = trainer.term
        found[domain] = {"seconds": bench.clock() - began, "peak_gb": peak, **vars(term.seconds)}
        must(term.score_budget.tokens == trainer.args.score_tokens, f"{domain}: scoring ran out of memory")
        must(term.sample_budget.tokens == TOKENS, f"{domain}: sampling ran out of memory")
    return found


def _weights(model) -> torch.Tensor:
    return torch.cat([p.detach().float().flatten().cpu() for p in model.parameters() if p.requires_grad])


def weight_zero_and_resume(bench: Bench) -> dict:
    """With lambda 0 the losses are a plain Trainer's to 1 %; a run that is killed and resumed ends with its adapter."""
    ours = bench.trainer("tiny", max_steps=4)
    ours.train()
    torch.manual_seed(0)
    model, tokenizer = load_base(bench.bases["tiny"], precision="nf4", device=bench.device)
    args = bench.arguments(max_steps=4)
    model = put_adapter(model, lora_settings(bench.training), args)
    plain = Trainer(
        model,
        TrainingArguments(
            **{name: getattr(args, name) for name in (
                "output_dir", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate", "bf16",
                "max_steps", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "use_cpu",
                "gradient_checkpointing", "logging_steps", "report_to", "disable_tqdm", "save_strategy",
            )},
            remove_unused_columns=False,
        ),
        data_collator=Collator(tokenizer.pad_token_id),
        train_dataset=encode_rows(random_rows(64, 60), tokenizer, 512)[0],
    )  # fmt: skip
    plain.train()
    losses = [[line["loss"] for line in t.state.log_history if "loss" in line] for t in (ours, plain)]
    apart = max(abs(a - b) / b for a, b in zip(*losses, strict=True))
    must(apart < 0.01, f"the losses differ from a plain Trainer's by {apart:.1%}")
    saved = {"save_strategy": "steps", "save_steps": 2, "max_steps": 4, "every": 2, "prompts": 4}
    whole = bench.trainer("tiny", "polychromic", output_dir=str(bench.folder / "whole"), **saved)
    whole.args.save_total_limit = 2  # a study keeps the last alone
    whole.train()
    again = bench.trainer("tiny", "polychromic", output_dir=str(bench.folder / "again"), **saved)
    again.train(resume_from_checkpoint=str(bench.folder / "whole/checkpoint-2"))
    distance = float((_weights(whole.model) - _weights(again.model)).abs().max())
    must(distance < 1e-4, f"a resumed run ends {distance:.2g} away")
    return {"loss_apart": apart, "resumed_apart": distance}


def long_prompts(bench: Bench) -> dict:
    """Five-shot prompts of the longest domain are sampled and their references read, within the card's memory."""
    model, tokenizer = bench.model(bench.shape)
    length = 2900 if bench.shape != "tiny" else 300
    prompts = [[5 + (i + j) % 40 for i in range(length)] for j in range(8)]
    seeds = [list(range(10 * j, 10 * j + 10)) for j in range(8)]

    def work() -> None:
        sample_groups(model, tokenizer, prompts, seeds, temperature=0.7, max_new_tokens=32)
        reference_nll(model, [(prompt, prompt[:400]) for prompt in prompts])

    return {"peak_gb": bench.peak(work)}


def no_card_no_work(bench: Bench) -> dict:
    """With the card hidden, a 4-bit model is refused, not loaded into the CPU."""
    code = f"from polychromic.method.models import load_base; load_base({str(bench.bases['tiny'])!r}, precision='nf4')"
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    must(done.returncode != 0 and "no graphics card" in done.stderr, f"it was not refused: {done.stderr[-300:]}")
    return {"refused": True}


def speed(bench: Bench) -> dict:
    """polychromic : LoRA at most 1.5 in social replies, and 512 rows at least twice as fast as 64."""
    seconds = {}
    every = bench.study.objective_of("polychromic", "social").every
    for arm in ("lora", "polychromic"):
        trainer = bench.trainer(bench.shape, arm, max_steps=2 * every)
        began = bench.clock()
        trainer.train()
        seconds[arm] = bench.clock() - began
        del trainer
    model, tokenizer = bench.model(bench.shape)
    rates, works = {}, {}
    for rows in (64, 512):
        asked = [[100 * i + j for j in range(8)] for i in range(rows // 8)]
        prompts = [[5 + (i + j) % 40 for j in range(60)] for i in range(len(asked))]
        for _ in range(2):  # the first warms up
            work, began = Work(), bench.clock()
            sample_groups(
                model, tokenizer, prompts, asked, temperature=0.7, max_new_tokens=64, batch_size=rows, work=work
            )
            rates[rows], works[rows] = work.kept_tokens / (bench.clock() - began), vars(work)
    ratio = seconds["polychromic"] / seconds["lora"]
    found = {"seconds": seconds, "ratio": ratio, "tokens_per_second": rates, "work": works}
    if bench.device != "cpu" and (card := cost.card_called(torch.cuda.get_device_name())):
        shape = cost.Shape.of(model.config)
        found["estimated_ratio"] = cost.estimate(bench.study, shape, card[1]).ratio
    if bench.device != "cpu":
        must(ratio <= 1.5, f"polychromic takes {ratio:.2f} times as long as LoRA: {found}")
        must(rates[512] >= 2 * rates[64], f"tokens a second: {rates}")
    return found


POINTS = [
    a_card_and_its_4bit_layers, a_tiny_run, padding, sampled_as_scored, draws, a_step_per_domain,
    weight_zero_and_resume, long_prompts, no_card_no_work, speed,
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="qwen3-8b")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", type=int, nargs="+", default=range(1, len(POINTS) + 1), help="numbers of points")
    options = parser.parse_args()
    if options.device == "cuda":
        try:
            check_cuda(1)
        except StudyError as error:
            print(f"benchmarks.gpu: {error}")
            return 1
    else:
        print("a rehearsal on the CPU: nothing here is about a card")
    found, failed = {}, []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.device, options.shape, Path(folder))
        for number in options.only:
            point, began = POINTS[number - 1], time.perf_counter()
            print(f"{number:2}  {point.__doc__}", flush=True)
            try:
                result = {"ok": True, **point(bench)}
            except (Failed, StudyError, RuntimeError, torch.OutOfMemoryError) as error:
                result = {"ok": False, "why": f"{type(error).__name__}: {error}"}
                failed.append(number)
            result["took"] = round(time.perf_counter() - began, 1)
            found[point.__name__] = result
            print(f"    {'ok' if result['ok'] else 'FAILED: ' + result['why']} ({result['took']} s)", flush=True)
            if options.device == "cuda":
                torch.cuda.empty_cache()
    device = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    print(json.dumps({"benchmark": "gpu", "device": device, "shape": options.shape, "failed": failed, **found}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
