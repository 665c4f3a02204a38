"""Profanity and insult, by words or by a classifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from polychromic.data.filters import FILTERS, word_lists
from polychromic.data.filters.base import (
    Filter,
    Rejection,
    Text,
    TextFilter,
    Verdict,
    model_folder,
    outside,
    phrases_in,
)
from polychromic.errors import StudyError
from polychromic.records import Record


@FILTERS.register("toxicity")
class Toxicity(TextFilter):
    """1 - prod(1 - weight) over the profane words (0.5 strong, 0.2 mild); or a local classifier's
    probability."""

    filter: Literal["toxicity"]
    text: Text = "both"
    max: float = Field(0.3, ge=0, le=1)
    model: str | None = None
    """A text-classification model (hub name or folder) to ask instead of the words."""
    label: str = "toxic"
    """The label of `model` whose probability counts."""

    def locked(self, lock: str | Path) -> Filter:
        if self.model is None:
            return self
        return self.model_copy(update={"model": model_folder(self.model, lock)})

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        if self.model is None:
            yield from map(self.judge, records)
            return
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model, trust_remote_code=False)
            model = AutoModelForSequenceClassification.from_pretrained(
                self.model, trust_remote_code=False, use_safetensors=True
            )
        except (OSError, ValueError) as error:
            raise StudyError(
                f"toxicity: cannot load the model {self.model!r}: {error}. Give a folder with a text-classification "
                "model in safetensors, or a hub id that this machine can reach."
            ) from error
        classify = pipeline("text-classification", model, tokenizer=tokenizer, top_k=None, truncation=True)
        for record in records:
            scores = [
                next((score["score"] for score in answer if score["label"] == self.label), None)
                for answer in classify(list(self.texts(record)))
            ]
            if None in scores:
                raise StudyError(f"toxicity: the model {self.model} has no label {self.label!r}. Set `label`.")
            yield outside(round(max(scores), 3), None, self.max) or record

    def problem(self, text: str) -> Rejection | None:
        clean = 1.0
        for weight, listed in ((0.5, word_lists.STRONG), (0.2, word_lists.MILD)):
            clean *= (1 - weight) ** len(phrases_in(text, listed))
        return outside(round(1 - clean, 3), None, self.max)
