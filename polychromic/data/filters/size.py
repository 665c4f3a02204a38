"""How long a text is, and how much of it is its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Filter, Rejection, TextFilter, Verdict, outside, words
from polychromic.records import Record


@FILTERS.register("length")
class Length(TextFilter):
    """Bounds on a text's length."""

    filter: Literal["length"]
    unit: Literal["characters", "words"] = "characters"
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _some_length(self):
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"length: min {self.min} is above max {self.max}, swap them")
        return self

    def problem(self, text: str) -> Rejection | None:
        value = len(text) if self.unit == "characters" else len(text.split())
        return outside(value, self.min, self.max)


@FILTERS.register("unique_words")
class UniqueWords(TextFilter):
    """At least `min` different words."""

    filter: Literal["unique_words"]
    min: int = Field(8, ge=1)

    def problem(self, text: str) -> Rejection | None:
        return outside(len(set(words(text))), self.min, None)


@FILTERS.register("copy_of_prompt")
class CopyOfPrompt(Filter):
    """How much of the target the prompt holds (longest aligned part, 0 to 1): echoes and quotes."""

    filter: Literal["copy_of_prompt"]
    max: float = Field(0.9, ge=0, le=1)

    def judge(self, record: Record) -> Verdict:
        from rapidfuzz import fuzz

        target, prompt = record.target.casefold(), record.prompt.casefold()
        alike = fuzz.partial_ratio if len(target) <= len(prompt) else fuzz.ratio
        return outside(round(alike(target, prompt) / 100, 3), None, self.max) or record
