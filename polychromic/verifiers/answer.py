"""Short answers: SQuAD's normalisation, exact match and token F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polychromic.errors import StudyError
from polychromic.metrics.squad import exact_match, normalize_answer, token_f1
from polychromic.records import Record
from polychromic.verifiers import Outcome

MAX_WORDS = 16  # of an answer, after normalisation; longer ones explain, or copy the context


@dataclass(frozen=True)
class AnswerVerifier:
    """Passes an exact match with a reference after normalisation or, if given, a token F1 of at least
    `min_f1`.
    """

    min_f1: float | None = None

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
        passed = bool(exact_match(text, record.references)) or (self.min_f1 is not None and f1 >= self.min_f1)
        return Outcome(passed, "passed" if passed else "failed" if label else "empty", f1, label)
