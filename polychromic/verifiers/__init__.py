"""What "passes": one interface over programs that run, answers that match and texts that are close.

verifier = make_verifier("code", timeout=3.0)
outcomes = verifier.verify(texts, record)     # judged against the record's tests or references
gate = verifier.well_formed(texts, record)    # judged without them: usable while training
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.registry import Registry

__all__ = ["VERIFIERS", "Outcome", "Verifier", "make_verifier", "verify_all"]


@dataclass(frozen=True)
class Outcome:
    """One sample's verdict.

    status: "passed", "failed", or what else happened: to code "extraction", "error", "timeout", "memory",
        "output", "forbidden"; to text "empty", "truncated", "length", "copied", "repetitive", "unjudged".
    score: in [0, 1], the verifier's own (F1, similarity, a judge's grade, 1.0 for code that passes).
    label: the class of the answer (a program's behaviour, a normalised answer), None if none.
    detail: one line for a person who asks why.
    """

    passed: bool
    status: str
    score: float
    label: str | None = None
    detail: str = ""


class Verifier(Protocol):
    """A verifier is registered as a class, whose docstring begins with its line in the docs, and made from its
    settings and what it needs. One that sorts answers into classes also has `labels(texts, record)`, the class of
    each or None: programs that behave alike, equal answers.
    """

    Settings: ClassVar[type[Any]]
    """Its settings, a pydantic model; the field `kind` is its name in the registry."""
    needs: ClassVar[tuple[str, ...]]
    """Of "encoder" (made with `encode`), "calibration" (`threshold`) and "judge" (`grades`)."""
    gives: ClassVar[tuple[str, ...]]
    """What metrics and diversity measures may need of a verifier: "labels", classes of answers; "answers", short
    ones; "behaviour", that of programs which are run."""
    hide_target: ClassVar[bool]
    """Whether calibration takes a target from the accepted answers while it is judged, because a verifier that is
    shown it has nothing to decide.
    """

    settings: Any

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        """Which texts are complete answers to this prompt, as far as the prompt alone tells: the gate g while training.

        Looks at no reference and at no expected value that the prompt does not show.
        """

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Which texts pass. `finishes`: "stop", or "length" for a text that was cut off."""


Answers = tuple[Sequence[str], Record, Sequence[str] | None]
"""What `Verifier.verify` is given: the texts, the record, and how the texts ended."""


def verify_all(verifier: Verifier, answers: Sequence[Answers]) -> list[list[Outcome]]:
    """`verifier.verify` of many prompts; in one call where the verifier has a `verify_all` of its own."""
    together = getattr(verifier, "verify_all", None)
    return together(answers) if together else [verifier.verify(*each) for each in answers]


VERIFIERS: Registry[type[Verifier]] = Registry(
    "verifier",
    {
        "code": "polychromic.verifiers.code",
        "answer": "polychromic.verifiers.answer",
        "similarity": "polychromic.verifiers.similarity",
        "judge": "polychromic.verifiers.judge",
        "countdown": "polychromic.verifiers.countdown",
    },
)


def make_verifier(
    kind: str,
    *,
    encode: Callable[[Sequence[str]], Any] | None = None,
    threshold: float | None = None,
    grades: Callable[[Sequence[tuple[str, str, Sequence[str]]]], list[float]] | None = None,
    **settings: Any,
) -> Verifier:
    """The verifier of a domain, from the domain's settings and what else it needs; what it does not need is
    ignored.

    Args:
        kind: one of VERIFIERS.
        encode: for those that need an encoder: texts -> float32 [texts, dimension], rows of length 1.
        threshold: for those that need a calibration: what it found; without one they can gate but not judge. For
            others it is a setting.
        grades: for those that need a judge; without one they can gate but not judge.
        settings: of this kind.

    Raises:
        StudyError: no such kind, or its encoder is missing.
        pydantic.ValidationError: it has no such setting, or a value is wrong.
    """
    choice = VERIFIERS[kind]
    if "encoder" in choice.needs and encode is None:
        raise StudyError(f'verifier "{kind}" needs an encoder: pass encode=polychromic.embedding.Encoder().encode.')
    if threshold is not None and "threshold" in choice.Settings.model_fields:
        settings["threshold"] = threshold
    given = {"encoder": ("encode", encode), "calibration": ("threshold", threshold), "judge": ("grades", grades)}
    return choice(choice.Settings(kind=kind, **settings), **dict(given[need] for need in choice.needs))
