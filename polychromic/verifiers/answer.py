"""Short answers: SQuAD's normalisation, exact match and token F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from polychromic.errors import StudyError
from polychromic.metrics.squad import exact_match, normalize_answer, token_f1
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome

MAX_WORDS = 16  # of an answer, after normalisation; longer ones explain, or copy the context


class AnswerSettings(Settings):
    """An answer passes if it matches an accepted one after SQuAD's normalisation."""

    kind: Literal["answer"]
    min_f1: float | None = Field(None, gt=0, le=1)
    """Pass also at this token F1."""


@VERIFIERS.register("answer")
@dataclass(frozen=True)
class AnswerVerifier:
    """An answer passes if it matches an accepted one after SQuAD's normalisation."""

    Settings: ClassVar = AnswerSettings
    needs: ClassVar = ()
    gives: ClassVar = ("labels", "answers")
    hide_target: ClassVar = False

    settings: AnswerSettings

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        """An answer is there, it is short and, where the record has a context, it is words of the context."""
        context = record.meta.get("context")
        within = f" {normalize_answer(context)} " if context else None
        answers = map(normalize_answer, texts)
        return [
            0 < len(answer.split()) <= MAX_WORDS and (within is None or f" {answer} " in within) for answer in answers
        ]

    def labels(self, texts: Sequence[str], record: Record) -> list[str | None]:
        """The normalised answers; None where there is none."""
        return [normalize_answer(text) or None for text in texts]

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Status "passed", "failed" or "empty"; score is the F1; label is the normalised answer."""
        if not record.references:
            raise StudyError(f"record {record.id!r} has no reference: answers cannot be judged. Remove the row.")
        return [
            self._outcome(text, label, record) for text, label in zip(texts, self.labels(texts, record), strict=True)
        ]

    def _outcome(self, text: str, label: str | None, record: Record) -> Outcome:
        f1 = token_f1(text, record.references)
        passed = bool(exact_match(text, record.references)) or (
            self.settings.min_f1 is not None and f1 >= self.settings.min_f1
        )
        return Outcome(passed, "passed" if passed else "failed" if label else "empty", f1, label)
