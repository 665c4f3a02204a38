"""The training log: one JSON line a logged step, and warnings when samples collapse or explode."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from transformers import TrainerCallback

logger = logging.getLogger(__name__)


class TrainLog(TrainerCallback):
    """Writes what the Trainer logs to a file of JSON lines; a resumed run drops the lines after its
    checkpoint.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if state.global_step and self.path.is_file():
            lines = self.path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        self.path.write_text("".join(kept))

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and logs and "loss" in logs:
            with self.path.open("a") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


class Watch:
    """Warns when the samples of a run leave the range of its beginning, and when credits stay zero."""

    def __init__(self, zero_steps: int = 10):
        self.zero_steps = zero_steps
        self.first: dict[str, float] = {}
        self.smooth: dict[str, float] = {}
        self.zeros = 0

    def see(self, step: int, entropy: float, length: float, credit_spread: float) -> list[str]:
        """Take in one diversity step: entropy in nats a token, length in tokens. Returns (and logs) the
        warnings.
        """
        warnings = []
        for name, value in (("entropy", entropy), ("length", length)):
            first = self.first.setdefault(name, value)
            old = self.smooth.get(name, value)
            new = self.smooth[name] = 0.7 * old + 0.3 * value
            for word, crossed in (
                ("collapsed", new < first / 4 <= old),
                ("exploded", new > first * 3 >= old),
            ):
                if crossed and first > 0:
                    warnings.append(
                        f"step {step}: the samples' {name} has {word}: {new:.3g}, at first {first:.3g}. "
                        + ("Raise" if word == "collapsed" and name == "entropy" else "Lower")
                        + " weight, or lower the learning rate."
                    )
        self.zeros = 0 if credit_spread > 0 else self.zeros + 1
        if self.zeros and self.zeros % self.zero_steps == 0:
            warnings.append(
                f"step {step}: all credits were zero for {self.zeros} diversity steps: D sees no difference "
                "between samples, or none passes the gate. Raise temperature or samples, "
                "or check the measure."
            )
        for warning in warnings:
            logger.warning(warning)
        return warnings
