"""PolychromicTrainer: a `transformers.Trainer` whose loss is L_quality - weight * E[D(samples)].

The quality term runs as in any Trainer. Every m-th optimisation step, after the quality gradient is complete, fresh
samples are drawn from the current policy, their credits computed, and the score-function gradient of E[D], with weight
m * lambda, is added. Nothing of this touches the data order or the dropout noise: with weight 0 it is standard LoRA,
with the data order of a plain Trainer and its adapter to rounding.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import Trainer

from polychromic.errors import StudyError
from polychromic.head import logits_at
from polychromic.method.audit import check_weights, probe
from polychromic.method.config import PolychromicConfig
from polychromic.method.diversity import Measure
from polychromic.method.gradients import check_gradients
from polychromic.method.model_card import write_trainer_card
from polychromic.method.models import (
    check_tokenizer,
    context_length,
    keep_differentiable,
    load_by_name,
    load_tokenizer,
    put_adapter,
)
from polychromic.method.quality import quality_loss
from polychromic.method.rows import Collator, encode_rows, is_encoded
from polychromic.method.term import DiversityTerm
from polychromic.method.train_log import TrainLog

__all__ = ["PolychromicConfig", "PolychromicTrainer"]

STATE_FILE = "diversity_state.json"


class PolychromicTrainer(Trainer):
    """A drop-in Trainer for any causal LM with an injected PEFT adapter (LoRA or its variants).

    Args:
        model: the model, from `peft.get_peft_model` or before it, or its name (a hub id or a folder).
        args: the settings.
        train_dataset: rows {"prompt", "completion"} as texts or chat messages, or {"messages"}: a list, a
            `datasets.Dataset` or an iterable of dicts, of which as many as `max_steps` takes are read into memory. Loss
            is taken on the completion and the end token. Other columns go to the measure.
        processing_class: the tokenizer; None: the model's own.
        eval_dataset: such rows, or a dict of them; `eval_loss` is the cross-entropy whatever the quality term.
        measure: D, from `diversity.make_measure` or `diversity.own_measure`; needed if weight > 0.
        peft_config: an adapter to put on the model.
        data_collator: from encoded rows to `input_ids`, `attention_mask` and `labels`; None: padding on the right.

    Raises:
        StudyError: for a setting, a row or an architecture that cannot be trained on.
    """

    def __init__(
        self,
        model,
        args: PolychromicConfig,
        train_dataset: Iterable[dict] | None = None,
        processing_class=None,
        eval_dataset: Iterable[dict] | dict[str, Iterable[dict]] | None = None,
        measure: Measure | None = None,
        peft_config=None,
        data_collator: Callable | None = None,
        **kwargs,
    ):
        if train_dataset is None:
            raise StudyError("train_dataset is missing: pass rows with a prompt and a completion.")
        if kwargs.get("compute_loss_func") is not None:
            raise StudyError(
                "compute_loss_func is not supported: the head runs on targets only. Register a quality term "
                "(polychromic.method.quality) and name it: quality=..."
            )
        if args.n_gpu > 1:
            raise StudyError(
                f"{args.n_gpu} graphics cards are visible to one process: the batch and the loss would be scaled by "
                "them, and the two terms out of balance. Set CUDA_VISIBLE_DEVICES to one card, or use torchrun."
            )
        if isinstance(model, str | Path):
            model = load_by_name(model, args.model_init_kwargs or {})
        tokenizer = processing_class or load_tokenizer(model)
        check_tokenizer(tokenizer)
        if peft_config is not None:
            model = put_adapter(model, peft_config, args)
        keep_differentiable(model)
        if args.weight > 0:
            self._check_diversity(model, args, measure)
        self.tokenizer = tokenizer
        self.max_length = args.max_length
        rows, self.dropped_rows = encode_rows(
            train_dataset, tokenizer, args.max_length, _most_rows(train_dataset, args)
        )
        _check_context(model, rows, args)
        self.target_length = float(np.mean([len(row["input_ids"]) - row["prompt_length"] for row in rows]))
        self.quality = quality_loss(args.quality, args)
        super().__init__(
            model,
            args,
            data_collator=data_collator or Collator(tokenizer.pad_token_id),
            train_dataset=rows,
            eval_dataset=self._encoded(eval_dataset),
            processing_class=tokenizer,
            compute_loss_func=self.quality,  # tells the Trainer to count the targets of the effective batch
            **kwargs,
        )
        self.add_callback(TrainLog(Path(args.output_dir) / "train_log.jsonl"))
        self.earlier_seconds = 0.0  # of the attempts before this one, up to the checkpoint
        self._began = time.perf_counter()
        self._wants_logits = False
        self._since_log: list[dict[str, float]] = []
        self.term = None
        if args.weight > 0:
            if not self.diversity_steps():
                raise StudyError(
                    f"with every = {args.every} the {self.planned_steps()} steps of the run take no diversity step: "
                    "lower every, or train longer."
                )
            self.term = DiversityTerm(args, self.accelerator, tokenizer, rows, measure, self.target_length)
            by_length = sorted((row["input_ids"][: row["prompt_length"]] for row in rows), key=len)
            probe(self.model, tokenizer, [by_length[0][-64:], by_length[-1][-64:]])

    @staticmethod
    def _check_diversity(model, args: PolychromicConfig, measure: Measure | None) -> None:
        if measure is None:
            raise StudyError(
                "weight > 0 needs a measure: pass measure=polychromic.method.diversity.make_measure(...), or weight=0."
            )
        if getattr(model, "active_peft_config", None) is not None and model.active_peft_config.is_prompt_learning:
            raise StudyError(
                "prompt-learning adapters are not supported: use LoRA or another adapter inside the layers."
            )
        if args.deepspeed or args.fsdp:
            raise StudyError("sharded training is not supported with weight > 0: use one process or DDP.")
        if args.world_size > args.prompts:
            raise StudyError(f"prompts = {args.prompts} is less than {args.world_size}, the processes.")

    def planned_steps(self) -> int:
        """Optimiser steps of the whole run."""
        args = self.args
        if args.max_steps > 0:
            return args.max_steps
        batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return math.ceil(round(args.num_train_epochs * -(-len(self.train_dataset) // batch), 3))

    def diversity_steps(self) -> int:
        """Steps of the whole run that carry the diversity term."""
        return self.planned_steps() // self.args.every

    def train(self, *args, **kwargs):
        self._began = time.perf_counter()
        return super().train(*args, **kwargs)

    def elapsed(self) -> float:
        """Seconds of training so far, those of the attempts that this one goes on from included."""
        return self.earlier_seconds + time.perf_counter() - self._began

    def evaluate(self, eval_dataset=None, *args, **kwargs):
        return super().evaluate(self._encoded(eval_dataset), *args, **kwargs)

    def predict(self, test_dataset, *args, **kwargs):
        return super().predict(self._encoded(test_dataset), *args, **kwargs)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        self._wants_logits = not prediction_loss_only
        try:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        finally:
            self._wants_logits = False

    def _encoded(self, rows):
        """Raw rows encoded; None, names and what is encoded already as it is."""
        if rows is None or isinstance(rows, str) or is_encoded(rows):
            return rows
        if isinstance(rows, Mapping):  # several sets by name
            return {name: self._encoded(some) for name, some in rows.items()}
        return encode_rows(rows, self.tokenizer, self.max_length)[0]

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The quality term in training, else cross-entropy; the head runs on the targets only, unless logits are
        requested (`predict`, `compute_metrics`)."""
        if self._wants_logits:
            outputs = model(**inputs)
            return (outputs.loss, outputs) if return_outputs else outputs.loss
        labels = inputs["labels"]
        keep = torch.zeros_like(labels, dtype=torch.bool)
        keep[:, :-1] = labels[:, 1:] != -100
        others = {name: value for name, value in inputs.items() if name != "labels"}
        outputs, logits = logits_at(self._bare(model), keep, lambda: model(**others))
        targets, rows = labels[:, 1:][keep[:, :-1]], keep.nonzero()[:, 0]
        if not model.training:
            loss = cross_entropy(logits.float(), targets)
            return (loss, outputs) if return_outputs else loss
        loss = self.quality(logits.float(), targets, rows)
        if not loss.isfinite():
            raise self._loss_not_finite(float(loss), inputs, rows[~logits.isfinite().all(-1)])
        loss = loss / (len(targets) if num_items_in_batch is None else num_items_in_batch)
        if getattr(outputs, "aux_loss", None) is not None:  # of a router, where the config asks for it
            loss = loss + self._bare(model).config.get_text_config().router_aux_loss_coef * outputs.aux_loss
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _bare(self, model):
        unwrapped = self.accelerator.unwrap_model(model)
        return unwrapped.get_base_model() if hasattr(unwrapped, "get_base_model") else unwrapped

    def _loss_not_finite(self, loss: float, inputs, bad: torch.Tensor) -> StudyError:
        """Names the rows of the data set whose logits are not finite, or all of the batch."""
        ids, mask = inputs["input_ids"].tolist(), inputs["attention_mask"].bool().tolist()
        tokens = [[t for t, real in zip(*pair, strict=True) if real] for pair in zip(ids, mask, strict=True)]
        batch = [tokens[i] for i in sorted(set(bad.tolist()) or range(len(tokens)))]
        rows = [row["row"] for row in self.train_dataset if row["input_ids"] in batch]
        return StudyError(
            f"step {self.state.global_step + 1}: the loss is {loss} on rows {rows} of the training set. Nothing was "
            "updated. Look at these rows, lower the learning rate, or load the base in bf16 or fp32."
        )

    def training_step(self, model, inputs, num_items_in_batch=None):
        step = self.state.global_step + 1
        if self.term is not None and not self.term.audited:  # at the first batch of a step: there is no gradient yet
            self.term.audit(model)
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not self.accelerator.gradient_state.sync_gradients:
            return loss
        if self.term is not None and step % self.args.every == 0:
            self._since_log.append(self.term.add_gradient(model, step))
        if self.accelerator.scaler is None:  # in fp16 the scaler skips a step that overflows
            check_gradients(model.named_parameters(), step)
        return loss

    def log(self, logs, start_time=None):
        """`loss` is the quality term, in nats a token, at every step; D is beside it where it was measured."""
        if "loss" in logs:
            logs["quality"] = logs["loss"]
            if self._since_log:
                for name in {name: None for statistics in self._since_log for name in statistics}:
                    known = [statistics[name] for statistics in self._since_log if name in statistics]
                    logs[name] = float(np.mean(known))
                self._since_log = []
            if self.term is not None:
                for name, value in vars(self.term.seconds).items():
                    logs[f"seconds_{name}"] = round(value, 4)
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        check_weights(self.model)
        super()._save(output_dir, state_dict)
        write_trainer_card(output_dir or self.args.output_dir, self)

    def _save_optimizer_and_scheduler(self, output_dir):
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            state = {"elapsed": self.elapsed(), **(self.term.state() if self.term is not None else {})}
            Path(output_dir, STATE_FILE).write_text(json.dumps(state))

    def _load_optimizer_and_scheduler(self, checkpoint):
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        path = Path(checkpoint, STATE_FILE)
        state: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        if self.term is not None:
            if "audited" not in state:
                raise StudyError(
                    f"{path} is missing, or is of an older version or of a run without the diversity term, so it "
                    "cannot go on with weight > 0. Start again, or resume with weight=0."
                )
            self.term.restore(state)
        self.earlier_seconds = state.get("elapsed", 0.0)


def _most_rows(rows, args: PolychromicConfig) -> int | None:
    """Rows to read at most: of a data set without a length, as many as the steps take."""
    if hasattr(rows, "__len__"):
        return None
    if args.max_steps <= 0:
        raise StudyError("a train_dataset without a length needs max_steps: say how many steps to train.")
    return args.max_steps * args.train_batch_size * args.gradient_accumulation_steps * args.world_size


def _check_context(model, rows: list[dict], args: PolychromicConfig) -> None:
    """Raise StudyError for a row that, with its completion or a rollout, does not fit into the model's context."""
    context = context_length(model)
    for row in rows if context else ():
        if len(row["input_ids"]) > context:
            raise StudyError(
                f"row {row['row']} of the training set has {len(row['input_ids'])} tokens; the model's context is "
                f"{context}. Set max_length={context}."
            )
        if args.weight > 0 and row["prompt_length"] + args.max_new_tokens > context:
            raise StudyError(
                f"row {row['row']} of the training set has a prompt of {row['prompt_length']} tokens; with "
                f"max_new_tokens = {args.max_new_tokens} it exceeds the model's context of {context}. Shorten the "
                "prompt or lower max_new_tokens."
            )
