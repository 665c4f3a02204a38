"""What "passes": one small interface over code that runs, answers that match and texts that resemble.

verifier = make_verifier("code", timeout=3.0)
outcomes = verifier.verify(texts, record)     # judged against the record's tests or references
gate = verifier.well_formed(texts, record)    # judged without them: usable while training
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from polychromic.errors import StudyError
from polychromic.records import Record

__all__ = ["Outcome", "Verifier", "make_verifier", "verify_all"]


@dataclass(frozen=True)
class Outcome:
    """One sample's verdict.

    status: "passed", "failed", or what else happened: to code "extraction", "error", "timeout", "memory",
        "output", "forbidden"; to text "empty", "truncated", "length", "copied", "repetitive", "unjudged".
    score: in [0, 1], the verifier's own (F1, similarity, a judge's grade, 1.0 for code that passes).
    label: the class that the answer belongs to (a program's behaviour, a normalised answer), None if none.
    detail: one line for a person who asks why.
    """

    passed: bool
    status: str
    score: float
    label: str | None = None
    detail: str = ""


class Verifier(Protocol):
    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        """Which texts are complete answers to this prompt, right or wrong.

        Looks at no reference and at no expected value: it is the gate g while training.
        """

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Which texts pass. `finishes`: "stop", or "length" for a text that was cut off."""


Answers = tuple[Sequence[str], Record, Sequence[str] | None]
"""What `Verifier.verify` is given: the texts, the record, and how the texts ended."""


def verify_all(verifier: Verifier, answers: Sequence[Answers]) -> list[list[Outcome]]:
    """`verifier.verify` of many prompts; all at once where the verifier would rather see them together."""
    together = getattr(verifier, "verify_all", None)
    return together(answers) if together else [verifier.verify(*each) for each in answers]


def make_verifier(
    kind: str,
    *,
    timeout: float = 3.0,
    execution: str = "sandbox",
    min_f1: float | None = None,
    min_words: int = 2,
    max_words: int = 400,
    max_false_pass: float = 0.05,
    encode: Callable[[Sequence[str]], Any] | None = None,
    threshold: float | None = None,
    grades: Callable[[Sequence[tuple[str, str, Sequence[str]]]], list[float]] | None = None,
) -> Verifier:
    """The verifier of a domain, from the domain's settings; each kind takes those that it knows.

    Args:
        kind: "code" (timeout in CPU seconds, execution), "answer" (min_f1), "similarity" (encode,
            threshold, words) or "judge" (grades, threshold, words).
        max_false_pass: how the threshold is calibrated (`calibration.calibrate`); no verifier needs it.
        threshold: what calibration found; without one a similarity verifier can gate but not judge. A
            judge's is 0.5.

    Raises:
        StudyError: no such kind, or its encoder or judge is missing.
    """
    # Imported here: torch-free stages import only what they use.
    if kind == "code":
        from polychromic.verifiers.code import CodeVerifier

        return CodeVerifier(timeout, execution)
    if kind == "answer":
        from polychromic.verifiers.answer import AnswerVerifier

        return AnswerVerifier(min_f1)
    if kind == "similarity":
        from polychromic.verifiers.text import SimilarityVerifier

        if encode is None:
            raise StudyError(
                'verifier "similarity" needs an encoder: pass encode=polychromic.embedding.Encoder().encode.'
            )
        return SimilarityVerifier(encode, threshold, min_words, max_words)
    if kind == "judge":
        from polychromic.verifiers.text import JudgeVerifier

        return JudgeVerifier(grades, 0.5 if threshold is None else threshold, min_words, max_words)
    raise StudyError(f'verifier {kind!r} is unknown: use "code", "answer", "similarity" or "judge".')
