"""What "passes": one small interface over code that is run, answers that are compared and texts that are likened.

    verifier = make_verifier("code", timeout=3.0)
    outcomes = verifier.verify(texts, record)     # judged against the record's tests or references
    gate = verifier.well_formed(texts, record)    # judged without them: usable while training
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from polychromic.errors import StudyError
from polychromic.records import Record

__all__ = ["Outcome", "Verifier", "make_verifier"]


@dataclass(frozen=True)
class Outcome:
    """One sample's verdict.

    status: "passed", "failed", or why nothing could be judged ("extraction", "error", "timeout", "memory", "output", "forbidden",
    "empty", "truncated", "copied", "repetitive", "length"). score: in [0, 1], the verifier's own (F1, similarity, 1.0 for passed
    code). label: the class that the answer belongs to (a program's behaviour, a normalised answer), None if it has none.
    """

    passed: bool
    status: str
    score: float
    label: str | None = None
    detail: str = ""


class Verifier(Protocol):
    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        """Which texts are complete answers to this prompt, right or wrong. Sees no reference and no expected value."""

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Which texts pass. `finishes`: "stop" or "length" a text; "length" means that it was cut off."""


def make_verifier(kind: str, **settings: Any) -> Verifier:
    """The verifier of a domain: "code", "answer", "similarity" or "judge", with that class's settings.

    Raises:
        StudyError: no such kind, or a setting that it does not have.
    """
    # Imported here: torch-free stages import only what they use.
    if kind == "code":
        from polychromic.verifiers.code import CodeVerifier as cls
    elif kind == "answer":
        from polychromic.verifiers.answer import AnswerVerifier as cls
    elif kind in ("similarity", "judge"):
        from polychromic.verifiers import text

        cls = {"similarity": text.SimilarityVerifier, "judge": text.JudgeVerifier}[kind]
    else:
        raise StudyError(f'verifier {kind!r}: choose "code", "answer", "similarity" or "judge"')
    try:
        return cls(**settings)
    except TypeError as error:
        raise StudyError(f"verifier {kind!r}: {error}") from None
