"""Spam, and what could be said to anything, by lists of phrases."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from polychromic.data.filters import FILTERS, word_lists
from polychromic.data.filters.base import Rejection, Text, TextFilter, outside, phrases_in, words


@FILTERS.register("spam")
class Spam(TextFilter):
    """Spam and bot phrases (`word_lists.SPAM` and your own): one of them rejects."""

    filter: Literal["spam"]
    text: Text = "both"
    phrases: tuple[str, ...] = ()

    def problem(self, text: str) -> Rejection | None:
        found = phrases_in(text, (*word_lists.SPAM, *self.phrases))
        return Rejection(found[0], "no spam phrase") if found else None


@FILTERS.register("generic")
class Generic(TextFilter):
    """The share of a text's words that generic phrases (`word_lists.GENERIC` and your own) make up."""

    filter: Literal["generic"]
    max: float = Field(0.5, ge=0, le=1)
    phrases: tuple[str, ...] = ()

    def problem(self, text: str) -> Rejection | None:
        total = len(words(text))
        generic = sum(len(phrase.split()) for phrase in phrases_in(text, (*word_lists.GENERIC, *self.phrases)))
        return outside(round(generic / total, 3) if total else 1.0, None, self.max)
