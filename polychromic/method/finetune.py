"""One training run from rows to adapter: resumable, with its plan before and its account after."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback, set_seed

from polychromic.errors import StudyError
from polychromic.method.diversity import Measure
from polychromic.method.models import put_adapter
from polychromic.method.prompts import render
from polychromic.method.settings import ObjectiveSettings
from polychromic.method.term import Seconds
from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer
from polychromic.records import Record

logger = logging.getLogger(__name__)

EARLY = "early"


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    steps: int
    rows: int
    dropped_rows: int
    target_tokens: int
    """Tokens that the loss is taken on, over all epochs, about."""
    samples: int
    """Completions drawn for the diversity term."""
    sampled_tokens: int
    """Their tokens, if they are as long as the targets."""

    def __str__(self) -> str:
        return (
            f"{self.steps} steps on {self.rows} rows ({self.dropped_rows} too long and left out): about "
            f"{self.target_tokens:,} target tokens, {self.samples:,} samples of about "
            f"{self.sampled_tokens:,} tokens"
        )


def training_rows(
    records: Sequence[Record], output: str, prompting: dict[str, str], tokenizer: Any = None
) -> list[dict[str, Any]]:
    """{"prompt", "completion", "record"} of each record, as `finetune` takes them.

    output, prompting: a domain's `output` and the study's `prompting`. tokenizer: where prompts go through its chat
    template.
    """
    return [
        {
            "prompt": render(
                record.prompt, output=output, tokenizer=tokenizer, turns=record.meta.get("turns", ()), **prompting
            ),
            "completion": record.target,
            "record": record,
        }
        for record in records
    ]


def trainer_settings(training: dict[str, Any], objective: dict[str, Any], **others) -> PolychromicConfig:
    """A trainer's settings from a study's `training` section and an arm's `objective`; `others` as they are."""
    return PolychromicConfig(
        num_train_epochs=training["epochs"],
        per_device_train_batch_size=training["batch_size"],
        gradient_accumulation_steps=training["accumulation"],
        learning_rate=training["learning_rate"],
        lr_scheduler_type=training["schedule"],
        warmup_steps=training["warmup"],
        weight_decay=training["weight_decay"],
        max_grad_norm=training["max_grad_norm"],
        max_length=training["max_length"],
        gradient_checkpointing=training["gradient_checkpointing"],
        save_steps=training["checkpoint_every"],
        save_total_limit=1,
        **{field.name: objective[field.name] for field in fields(ObjectiveSettings)},
        **others,
    )


def lora_settings(training: dict[str, Any]):
    """The LoRA adapter of a study's `training` section."""
    from peft import LoraConfig

    return LoraConfig(
        r=training["rank"],
        lora_alpha=training["alpha"],
        lora_dropout=training["dropout"],
        target_modules=list(training["targets"]),
        task_type="CAUSAL_LM",
    )


def finetune(
    model,
    tokenizer,
    rows: Sequence[dict],
    args: PolychromicConfig,
    adapter,
    adapter_dir: str | Path,
    *,
    measure: Measure | None = None,
    eval_rows: Sequence[dict] | None = None,
    early_dir: str | Path | None = None,
    early_share: float = 0.5,
    patience: int | None = None,
    on_progress: Callable[[str], None] = logger.info,
) -> dict[str, Any]:
    """Train an adapter and save it in PEFT's format (safetensors).

    A run that was interrupted is taken up at the last complete checkpoint in `args.output_dir`, and ends bit
    for bit as if it had not been; the log of steps, `train_log.jsonl`, is there too.

    Args:
        model: from `models.load_base`; the adapter is put into it, so load it again for every run.
        rows: {"prompt", "completion", optional "record"} as for `PolychromicTrainer`.
        args: the settings; its seed also initialises the adapter.
        adapter: a `peft.LoraConfig` or the config of another adapter that lives inside the layers.
        measure: D, needed if args.weight > 0.
        eval_rows: held-out rows, for `patience`.
        early_dir: if given, the adapter after `early_share` of the steps is saved there too (for WiSE-FT); of a
            run that `patience` ends before that, the adapter that is kept.
        patience: stop after so many evaluations without a better cross-entropy on `eval_rows`, and keep the
            best; the same rule whatever the quality term. None: the last step is kept.
        on_progress: called every minute with how many steps are done, and how long the rest will take.

    Returns:
        The run's account, JSON-ready: steps, rows, parameters, tokens, seconds by phase, peak memory,
        warnings. The seconds are of all attempts: of those that were interrupted, up to the checkpoint that
        was taken up.
    """
    began = time.perf_counter()
    callbacks: list[TrainerCallback] = []
    if patience is not None:
        if eval_rows is None:
            raise StudyError("early stopping needs held-out rows: pass eval_rows, or patience=None.")
        for name, value in {
            "eval_strategy": "steps",
            "save_strategy": "steps",
            "eval_steps": args.save_steps,
        }.items():
            setattr(args, name, value)
        args.load_best_model_at_end, args.metric_for_best_model, args.greater_is_better = (
            True,
            "eval_loss",
            False,
        )
        args.restore_callback_states_from_checkpoint = True  # a resumed run has waited as long as it had
        callbacks.append(EarlyStoppingCallback(patience))
    if early_dir is not None:
        callbacks.append(_SaveEarly(early_share))
    callbacks.append(_Forecast(on_progress))

    set_seed(args.seed)
    model = put_adapter(model, adapter, args)
    trainer = PolychromicTrainer(
        model, args, rows, tokenizer, eval_dataset=eval_rows, measure=measure, callbacks=callbacks
    )
    logger.info("%s", plan(trainer))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    checkpoint = last_complete_checkpoint(args.output_dir, patience)
    result = trainer.train(resume_from_checkpoint=checkpoint)
    training_seconds = trainer.elapsed()
    if trainer.is_world_process_zero():
        model.save_pretrained(str(adapter_dir))  # the Trainer's own way would add a pickle of its arguments
        if early_dir is not None:
            shutil.copytree(Path(args.output_dir) / EARLY, early_dir, dirs_exist_ok=True)
    trainable, total = model.get_nb_trainable_parameters()
    expected = plan(trainer)
    steps = trainer.state.global_step
    return {
        "processes": args.world_size,
        "steps": steps,
        "epochs": trainer.state.epoch,
        "resumed_from": None if checkpoint is None else Path(checkpoint).name,
        "rows": expected.rows,
        "dropped_rows": expected.dropped_rows,
        "parameters": total,
        "trainable_parameters": trainable,
        "mean_target_length": trainer.target_length,
        "target_tokens": round(expected.target_tokens * steps / expected.steps),  # fewer where it stopped early
        "sampled_tokens": trainer.term.sampled_tokens if trainer.term else 0,
        "train_loss": result.training_loss,
        "seconds": {
            "total": trainer.earlier_seconds + time.perf_counter() - began,
            "train": training_seconds,
            **vars(trainer.term.seconds if trainer.term else Seconds()),
        },
        "peak_memory_gib": _peak_memory_gib(),
        "warnings": trainer.term.warnings if trainer.term else [],
    }


def plan(trainer: PolychromicTrainer) -> Plan:
    """What the trainer is about to do, from its settings and rows."""
    args, rows = trainer.args, len(trainer.train_dataset)
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    steps = trainer.planned_steps()
    samples = 0
    if args.weight > 0:
        samples = (trainer.diversity_steps() + 1) * args.prompts * args.samples
    return Plan(
        steps=steps,
        rows=rows,
        dropped_rows=trainer.dropped_rows,
        target_tokens=round(steps / -(-rows // batch) * rows * trainer.target_length),
        samples=samples,
        sampled_tokens=round(samples * min(trainer.target_length, args.max_new_tokens)),
    )


def last_complete_checkpoint(folder: str | Path, patience: int | None = None) -> str | None:
    """The newest checkpoint in the folder that was written to its end; half-written ones are deleted.

    patience: of early stopping. A checkpoint at which it had run out is passed over, for a run that is resumed
    there would take further steps; from the best one it comes to the same end again.
    """
    checkpoints = sorted(Path(folder).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    while checkpoints:
        newest = checkpoints.pop()
        state = newest / "trainer_state.json"
        if not state.is_file():  # the Trainer writes it last
            shutil.rmtree(newest, ignore_errors=True)  # each of several processes may be at it
        elif patience is None or _waited(state) < patience:
            return str(newest)
    return None


def _waited(trainer_state: Path) -> int:
    """Evaluations without a better one, at a checkpoint."""
    callbacks = json.loads(trainer_state.read_text())["stateful_callbacks"]
    stopping = callbacks.get(EarlyStoppingCallback.__name__, {"attributes": {}})
    return stopping["attributes"].get("early_stopping_patience_counter", 0)


class _SaveEarly(TrainerCallback):
    """Saves the adapter once, at a share of the steps, beside the checkpoints so that an interruption spares
    it. A run that stopped before that step leaves the adapter it ends with.
    """

    def __init__(self, share: float):
        if not 0 < share < 1:
            raise StudyError(f"early_share must be between 0 and 1, got {share}.")
        self.share = share

    def on_train_begin(self, args, state, control, **kwargs):
        self.step, self.folder = max(1, round(self.share * state.max_steps)), Path(args.output_dir) / EARLY
        if state.global_step < self.step and state.is_world_process_zero:
            shutil.rmtree(self.folder, ignore_errors=True)  # of an attempt that got further: it is written again

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.step and state.is_world_process_zero:
            getattr(model, "module", model).save_pretrained(self.folder)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        if state.global_step < self.step and state.is_world_process_zero:
            getattr(model, "module", model).save_pretrained(self.folder)


class _Forecast(TrainerCallback):
    """Says every minute how many steps are done and how long the rest will take."""

    def __init__(self, log: Callable[[str], None]):
        self.log = log

    def on_train_begin(self, args, state, control, **kwargs):
        self.first, self.began = state.global_step, time.perf_counter()
        self.last = self.began

    def on_step_end(self, args, state, control, **kwargs):
        now = time.perf_counter()
        if now - self.last >= 60:
            self.last = now
            left = (now - self.began) / (state.global_step - self.first) * (state.max_steps - state.global_step)
            self.log(f"{state.global_step} of {state.max_steps} steps, about {left / 60:.0f} min left")


def _peak_memory_gib() -> float:
    """Of the graphics card if there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
