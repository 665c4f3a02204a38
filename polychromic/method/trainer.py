"""PolychromicTrainer: a `transformers.Trainer` whose loss is L_quality - lambda * E[D(samples)].

The quality term runs as in any Trainer. Every m-th optimisation step, after the quality gradient is complete,
fresh samples are drawn from the current policy, their credits computed, and the score-function gradient of
E[D], with weight m * lambda, is added. Nothing of this touches the data order or the dropout noise: with
lambda = 0 it is standard LoRA, bit for bit.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import Trainer, TrainingArguments

from polychromic.errors import StudyError
from polychromic.method.diversity import Measure
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.models import check_tokenizer, encode_completion, encode_prompt, keep_differentiable
from polychromic.method.objective import CreditScale, surrogate
from polychromic.method.quality_losses import quality_loss
from polychromic.method.sampling import Completion, sample_groups
from polychromic.method.train_log import TrainLog, Watch
from polychromic.seeds import derive_seed

logger = logging.getLogger(__name__)

STATE_FILE = "diversity_state.json"


@dataclass
class PolychromicConfig(TrainingArguments):
    """`TrainingArguments` with the settings of the objective; docs/hyperparameters.md says how to choose
    them.
    """

    quality: str = field(default="ce", metadata={"help": "Quality term: ce, gem, gem_logsigmoid, dco or entropy."})
    quality_beta: float = field(
        default=0.7, metadata={"help": "GEM's temperature, or the weight of the entropy bonus."}
    )
    dco_samples: int = field(default=10, metadata={"help": "N of DCO's pass@N loss."})
    diversity_weight: float = field(default=0.3, metadata={"help": "lambda; 0 is standard LoRA. Try 0.1 to 0.5."})
    num_samples: int = field(default=4, metadata={"help": "N: samples a prompt at a diversity step, at least 2."})
    diversity_every: int = field(
        default=4, metadata={"help": "m: a diversity step every m optimisation steps, weight m."}
    )
    prompts_per_step: int = field(default=8, metadata={"help": "Prompts of a diversity step, over all processes."})
    rollout_temperature: float = field(default=0.7, metadata={"help": "Temperature of the training samples."})
    rollout_top_p: float = field(default=1.0, metadata={"help": "Nucleus of the training samples."})
    rollout_max_new_tokens: int = field(default=100, metadata={"help": "Longest training sample, in tokens."})
    score_batch_size: int = field(
        default=8, metadata={"help": "Samples scored in one backward pass, at most; less saves memory."}
    )
    seed_scope: str = field(
        default="", metadata={"help": "Names the run (study, domain, arm): no two share sampling noise."}
    )
    max_length: int = field(default=512, metadata={"help": "Longest prompt + completion, in tokens."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Rows are prepared by the trainer."})

    def __post_init__(self):
        super().__post_init__()
        least = {
            "diversity_weight": 0,
            "num_samples": 2,
            "diversity_every": 1,
            "prompts_per_step": 1,
            "rollout_max_new_tokens": 1,
            "score_batch_size": 1,
            "max_length": 2,
        }
        for name, bound in least.items():
            if not getattr(self, name) >= bound:
                raise StudyError(f"{name} must be at least {bound}, got {getattr(self, name)}.")
        if not self.rollout_temperature > 0 or not 0 < self.rollout_top_p <= 1:
            raise StudyError(
                "rollout_temperature must be > 0 and rollout_top_p in (0, 1], got "
                f"{self.rollout_temperature} and {self.rollout_top_p}."
            )
        self.quality_loss()

    def quality_loss(self):
        """The `compute_loss_func` of the quality term; None for the model's own cross-entropy."""
        return quality_loss(self.quality, beta=self.quality_beta, dco_samples=self.dco_samples)


@dataclass
class Seconds:
    """Wall time spent in the parts of the diversity term, in seconds."""

    sample: float = 0.0
    measure: float = 0.0
    score: float = 0.0
    backward: float = 0.0


class PolychromicTrainer(Trainer):
    """A drop-in Trainer for any causal LM with an injected PEFT adapter (LoRA and its kin).

    Args:
        model: the model, usually from `peft.get_peft_model`.
        args: the settings.
        train_dataset: rows {"prompt": str, "completion": str}, optional "record" for the measure. Loss is
            taken on the completion and the end token.
        processing_class: the tokenizer.
        eval_dataset: rows likewise; `eval_loss` is the cross-entropy whatever the quality term.
        measure: D, from `measures.make_measure`; needed if diversity_weight > 0.

    Raises:
        StudyError: for a setting or a row that cannot be trained on.
    """

    def __init__(
        self,
        model,
        args: PolychromicConfig,
        train_dataset: Sequence[dict],
        processing_class,
        eval_dataset: Sequence[dict] | None = None,
        measure: Measure | None = None,
        **kwargs,
    ):
        check_tokenizer(processing_class)
        keep_differentiable(model)
        if args.diversity_weight > 0:
            self._check_diversity(model, args, measure)
        rows, self.dropped_rows = encode_rows(train_dataset, processing_class, args.max_length)
        self.prompts = [row["input_ids"][: row["prompt_length"]] for row in rows]
        self.records = [row["record"] for row in rows]
        self.target_length = float(np.mean([len(row["input_ids"]) - row["prompt_length"] for row in rows]))
        if eval_dataset is not None:
            eval_dataset, _ = encode_rows(eval_dataset, processing_class, args.max_length)
        super().__init__(
            model,
            args,
            data_collator=Collator(processing_class.pad_token_id),
            train_dataset=rows,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            compute_loss_func=args.quality_loss(),
            **kwargs,
        )
        self.add_callback(TrainLog(Path(args.output_dir) / "train_log.jsonl"))
        self.measure = measure
        self.scale = CreditScale()
        self.watch = Watch()
        self.warnings: list[str] = []
        self.seconds = Seconds()
        self.sampled_tokens = 0
        self.earlier_seconds = 0.0  # of the attempts before this one, up to the checkpoint
        self._audited = False
        self._since_log: list[dict[str, float]] = []

    @staticmethod
    def _check_diversity(model, args: PolychromicConfig, measure: Measure | None) -> None:
        if measure is None:
            raise StudyError(
                "diversity_weight > 0 needs a measure: pass measure=polychromic.method.diversity.make_measure(...)."
            )
        if getattr(model, "active_peft_config", None) is not None and model.active_peft_config.is_prompt_learning:
            raise StudyError(
                "prompt-learning adapters are not supported: use LoRA or another adapter inside the layers."
            )
        if args.deepspeed or args.fsdp:
            raise StudyError("sharded training is not supported with diversity_weight > 0: use one process or DDP.")
        if args.world_size > args.prompts_per_step:
            raise StudyError(
                f"prompts_per_step = {args.prompts_per_step} is less than {args.world_size}, the processes."
            )

    def train(self, *args, **kwargs):
        self._began = time.perf_counter()
        return super().train(*args, **kwargs)

    def elapsed(self) -> float:
        """Seconds of training so far, those of the attempts that this one goes on from included."""
        return self.earlier_seconds + time.perf_counter() - self._began

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        if model.training:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        outputs = model(**inputs)  # evaluation: the model's own cross-entropy
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def training_step(self, model, inputs, num_items_in_batch=None):
        if self.args.diversity_weight > 0 and not self._audited:
            self._audit(model)
        loss = super().training_step(model, inputs, num_items_in_batch)
        step = self.state.global_step + 1
        last_of_step = self.accelerator.gradient_state.sync_gradients
        if self.args.diversity_weight > 0 and last_of_step and step % self.args.diversity_every == 0:
            self._add_diversity_gradient(model, step)
        return loss

    def _add_diversity_gradient(self, model, step: int) -> None:
        """Add the gradient of -m * lambda * E[D] / scale to the quality gradient, which is complete."""
        index = step // self.args.diversity_every - 1
        indices, groups = self._rollout(model, index, "rollout")
        values = self._diversity(indices, groups)
        credits = [value.credits / self.scale.value for value in values]
        with self._separate_gradients(model) as gradients:
            self._backward(model, indices, groups, credits, self.args.diversity_weight * self.args.diversity_every)
        statistics = self._statistics(groups, values)
        self.scale.update(statistics.pop("mean_square"))
        statistics["grad_ratio"] = gradients["ratio"]
        self.warnings += self.watch.see(step, statistics["entropy"], statistics["length"], statistics["credit_spread"])
        self._since_log.append(statistics)

    def _audit(self, model) -> None:
        """Before the first step: with injected credits of one, the surrogate must have a gradient.

        The samples are thrown away, but their true credits give the credit scale its first value.
        """
        indices, groups = self._rollout(model, 0, "audit")
        ones = [torch.ones(len(group), dtype=torch.float64) for group in groups]
        with self._separate_gradients(model) as gradients:
            self._backward(model, indices, groups, ones, 1.0)
        norm = gradients["diversity"]
        for parameter in model.parameters():
            parameter.grad = None
        if not 0 < norm < float("inf"):
            raise StudyError(
                f"gradient audit: the diversity term's gradient is {norm} with credits of one. Check that "
                "the adapter's parameters require gradients and that the model is finite."
            )
        self.scale.update(self._statistics(groups, self._diversity(indices, groups))["mean_square"])
        self._audited = True

    def _rollout(self, model, index: int, purpose: str) -> tuple[list[int], list[list[Completion]]]:
        """This process's prompts of diversity step `index`, and N fresh samples of each."""
        args = self.args
        start = index * args.prompts_per_step
        mine = range(start + args.process_index, start + args.prompts_per_step, args.world_size)
        indices = [self._prompt_at(position) for position in mine]
        seeds = [
            [derive_seed(args.seed_scope, args.seed, purpose, position, sample) for sample in range(args.num_samples)]
            for position in mine
        ]
        began = time.perf_counter()
        with self.accelerator.autocast():
            groups = sample_groups(
                self.accelerator.unwrap_model(model),
                self.processing_class,
                [self.prompts[i] for i in indices],
                seeds,
                temperature=args.rollout_temperature,
                top_p=args.rollout_top_p,
                max_new_tokens=args.rollout_max_new_tokens,
            )
        self.seconds.sample += time.perf_counter() - began
        self.sampled_tokens += sum(len(sample.tokens) for group in groups for sample in group)
        return indices, groups

    def _prompt_at(self, position: int) -> int:
        """Row of the training set at a position of the endless stream of its permutations."""
        epoch, place = divmod(position, len(self.prompts))
        seed = derive_seed(self.args.seed_scope, self.args.seed, "prompts", epoch)
        return int(np.random.Generator(np.random.Philox(key=seed)).permutation(len(self.prompts))[place])

    def _diversity(self, indices: list[int], groups: list[list[Completion]]):
        began = time.perf_counter()
        values = self.measure(
            [[sample.text for sample in group] for group in groups],
            [self.records[i] for i in indices],
            [[sample.finish == "stop" for sample in group] for group in groups],
        )
        self.seconds.measure += time.perf_counter() - began
        return values

    def _backward(self, model, indices, groups, credits, weight: float) -> None:
        """Accumulate the surrogate's gradient; samples of a prompt that are the same tokens share a row,
        exactly.
        """
        unwrapped = self.accelerator.unwrap_model(model)
        bare = unwrapped.get_base_model() if hasattr(unwrapped, "get_base_model") else unwrapped
        unwrapped.eval()
        for chunk in self._chunks(indices, groups, credits):
            began = time.perf_counter()
            prompts, completions, summed = zip(*chunk, strict=True)
            with self.accelerator.autocast():
                log_probs = completion_log_probs(
                    bare,
                    list(prompts),
                    list(completions),
                    temperature=self.args.rollout_temperature,
                    top_p=self.args.rollout_top_p,
                )
            loss = surrogate(
                log_probs,
                torch.tensor([c for group in summed for c in group], dtype=log_probs.dtype, device=log_probs.device),
                samples_per_prompt=self.args.num_samples,
                prompts=self.args.prompts_per_step,
                length=self.target_length,
            )
            scored = time.perf_counter()
            self.accelerator.backward(weight * loss)
            self.seconds.score += scored - began
            self.seconds.backward += time.perf_counter() - scored
        unwrapped.train()

    def _chunks(self, indices, groups, credits):
        """(prompt, distinct completions, their summed credits) a prompt, in lists of at most score_batch_size
        rows. A prompt with more of them stands in several, with a part each.
        """
        chunk, rows, most = [], 0, self.args.score_batch_size
        for i, group, credit in zip(indices, groups, credits, strict=True):
            summed: dict[tuple[int, ...], float] = {}
            for sample, value in zip(group, credit.tolist(), strict=True):
                summed[tuple(sample.tokens)] = summed.get(tuple(sample.tokens), 0.0) + value
            summed = {tokens: value for tokens, value in summed.items() if value}  # zero credit, zero gradient
            if not summed:
                continue
            completions, sums = [list(tokens) for tokens in summed], list(summed.values())
            parts = -(-len(summed) // most)
            size = -(-len(summed) // parts)
            for start in range(0, len(summed), size):
                part = completions[start : start + size]
                if chunk and rows + len(part) > most:
                    yield chunk
                    chunk, rows = [], 0
                chunk.append((self.prompts[i], part, sums[start : start + size]))
                rows += len(part)
        if chunk:
            yield chunk

    def _separate_gradients(self, model):
        return _SeparateGradients(self.accelerator, [p for p in model.parameters() if p.requires_grad])

    def _statistics(self, groups: list[list[Completion]], values) -> dict[str, float]:
        """Means over the samples of all processes."""
        samples = [sample for group in groups for sample in group]
        credits = torch.cat([value.credits for value in values])
        sums = torch.tensor(
            [
                len(values),
                sum(value.diversity for value in values),
                len(samples),
                float((credits**2).sum()),
                sum(sum(value.valid) for value in values),
                sum(len(sample.tokens) for sample in samples),
                -sum(sample.log_prob for sample in samples),
            ],
            dtype=torch.float32 if self.args.device.type == "mps" else torch.float64,
            device=self.args.device,
        )
        prompts, diversity, count, square, valid, tokens, surprisal = self.accelerator.reduce(sums, "sum").tolist()
        return {
            "diversity": diversity / prompts,
            "credit_spread": (square / count) ** 0.5,
            "credit_scale": self.scale.value,
            "mean_square": square / count,
            "valid": valid / count,
            "length": tokens / count,
            "entropy": surprisal / tokens,
        }

    def log(self, logs, start_time=None):
        if "loss" in logs:
            logs["quality"] = logs["loss"]
            if self._since_log:
                for name in self._since_log[0]:
                    logs[name] = float(np.mean([statistics[name] for statistics in self._since_log]))
                logs["loss"] = logs["quality"] - self.args.diversity_weight * logs["diversity"]
                self._since_log = []
            if self.args.diversity_weight > 0:
                for name, value in vars(self.seconds).items():
                    logs[f"seconds_{name}"] = round(value, 4)
        super().log(logs, start_time)

    def _save_optimizer_and_scheduler(self, output_dir):
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            state = {
                "mean_square": self.scale.mean_square,
                "watch": vars(self.watch),
                "seconds": vars(self.seconds),
                "sampled_tokens": self.sampled_tokens,
                "elapsed": self.elapsed(),
                "warnings": self.warnings,
            }
            Path(output_dir, STATE_FILE).write_text(json.dumps(state))

    def _load_optimizer_and_scheduler(self, checkpoint):
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            path = os.path.join(checkpoint, STATE_FILE)
            if not os.path.isfile(path):
                raise StudyError(f"{path} is missing: the checkpoint is not one of a PolychromicTrainer. Start anew.")
            state = json.loads(Path(path).read_text())
            self.scale.mean_square = state["mean_square"]
            self._audited = True  # by the run that is being resumed
            self.sampled_tokens = state["sampled_tokens"]
            self.earlier_seconds = state["elapsed"]
            self.warnings = state["warnings"]
            vars(self.watch).update(state["watch"])
            vars(self.seconds).update(state["seconds"])


class _SeparateGradients:
    """Within the block, gradients start from nothing; on leaving, they are summed over processes and added to
    the old.

    As a mapping it then holds the norms "quality" and "diversity", and their "ratio" (diversity / quality).
    """

    def __init__(self, accelerator, parameters):
        self.accelerator, self.parameters = accelerator, parameters

    def __enter__(self) -> dict[str, float]:
        self.before = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None
        self.norms: dict[str, float] = {}
        return self.norms

    def __exit__(self, *error) -> None:
        new = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.parameters]
        if self.accelerator.num_processes > 1:
            new = [self.accelerator.reduce(gradient, "sum") for gradient in new]
        old = [gradient for gradient in self.before if gradient is not None]
        self.norms["quality"] = float(torch.nn.utils.get_total_norm(old)) if old else 0.0
        self.norms["diversity"] = float(torch.nn.utils.get_total_norm(new))
        self.norms["ratio"] = self.norms["diversity"] / self.norms["quality"] if self.norms["quality"] else float("nan")
        for parameter, before, gradient in zip(self.parameters, self.before, new, strict=True):
            parameter.grad = gradient if before is None else before.add_(gradient)


def encode_rows(rows: Sequence[dict], tokenizer, max_length: int) -> tuple[list[dict], int]:
    """Token ids and labels of the rows that fit, and how many were left out because they do not.

    Raises:
        StudyError: a row without the two texts, an empty prompt, or no row that fits.
    """
    encoded = []
    for number, row in enumerate(rows):
        if not isinstance(row.get("prompt"), str) or not isinstance(row.get("completion"), str):
            raise StudyError(
                f'row {number} of the dataset needs the texts "prompt" and "completion"; it has {sorted(row)}.'
            )
        prompt = encode_prompt(tokenizer, row["prompt"])
        if not prompt:
            raise StudyError(f"row {number} of the dataset has an empty prompt: drop the row.")
        completion = encode_completion(tokenizer, row["completion"])
        if len(prompt) + len(completion) <= max_length:
            encoded.append(
                {
                    "input_ids": prompt + completion,
                    "labels": [-100] * len(prompt) + completion,
                    "prompt_length": len(prompt),
                    "record": row.get("record"),
                }
            )
    dropped = len(rows) - len(encoded)
    if not encoded:
        raise StudyError(
            f"none of the {dropped} rows fits in max_length = {max_length} tokens: raise max_length or "
            "shorten the rows."
        )
    if dropped:
        logger.warning("%d of %d rows left out: longer than max_length = %d tokens.", dropped, len(rows), max_length)
    return encoded, dropped


@dataclass
class Collator:
    """Pads rows on the right to the longest of the batch."""

    pad_token_id: int

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)

        def pad(values: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([value + [fill] * (width - len(value)) for value in values])

        return {
            "input_ids": pad([row["input_ids"] for row in rows], self.pad_token_id),
            "attention_mask": pad([[1] * len(row["input_ids"]) for row in rows], 0),
            "labels": pad([row["labels"] for row in rows], -100),
        }
