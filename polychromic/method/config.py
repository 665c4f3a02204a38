"""The trainer's settings: `TrainingArguments`, the objective's settings, and names that TRL users know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from polychromic.errors import StudyError
from polychromic.method.quality import quality_loss
from polychromic.method.settings import ObjectiveSettings

LOWEST = {
    "weight": 0,
    "samples": 2,
    "every": 1,
    "prompts": 1,
    "max_new_tokens": 1,
    "score_tokens": 1,
    "dco_samples": 1,
    "focal_gamma": 0,
}


@dataclass
class PolychromicConfig(ObjectiveSettings, TrainingArguments):
    """`TrainingArguments` with the settings of the objective; docs/settings.md says how to choose them."""

    seed_scope: str = field(
        default="", metadata={"help": "Names the run (study, domain, arm): no two share sampling noise."}
    )
    max_length: int | None = field(
        default=512, metadata={"help": "Rows with more tokens than this are left out and counted; None: none is."}
    )
    model_init_kwargs: dict[str, Any] | None = field(
        default=None, metadata={"help": "For `from_pretrained`, where the model is given by its name."}
    )
    completion_only_loss: bool | None = field(
        default=None, metadata={"help": "As in TRL. The loss is always on the completion only: False is refused."}
    )
    assistant_only_loss: bool = field(
        default=False, metadata={"help": "As in TRL. Refused: the loss is on the last message of the assistant."}
    )
    packing: bool = field(default=False, metadata={"help": "As in TRL. Refused: each row is a separate example."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Rows are prepared by the trainer."})

    def __post_init__(self):
        super().__post_init__()
        for name, bound in LOWEST.items():
            if not getattr(self, name) >= bound:
                raise StudyError(f"{name} must be at least {bound}, got {getattr(self, name)}.")
        if self.max_length is not None and self.max_length < 2:
            raise StudyError(f"max_length must be at least 2, got {self.max_length}.")
        if not (self.temperature > 0 and 0 < self.top_p <= 1 and self.quality_beta > 0):
            raise StudyError(
                "temperature and quality_beta must be > 0 and top_p in (0, 1], got "
                f"{self.temperature}, {self.quality_beta} and {self.top_p}."
            )
        refused = {
            "packing": (self.packing, "each row is a separate example"),
            "completion_only_loss": (self.completion_only_loss is False, "the loss is on the completion only"),
            "assistant_only_loss": (self.assistant_only_loss, "the loss is on the last message of the assistant"),
            "label_smoothing_factor": (
                self.label_smoothing_factor > 0,
                "the quality term takes the labels as they are",
            ),
        }
        for name, (asked, why) in refused.items():
            if asked:
                raise StudyError(f"{name}={getattr(self, name)} is not supported: {why}. Leave it out.")
        quality_loss(self.quality, self)  # refuses an unknown one
