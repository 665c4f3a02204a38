"""Open text that is graded by a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Answers, Outcome
from polychromic.verifiers.text import accepted, outcome, problem

Grades = Callable[[Sequence[tuple[str, str, Sequence[str]]]], list[float]]
"""(prompt, answer, accepted answers) of each text -> its grade in [0, 1], or NaN."""


class JudgeSettings(Settings):
    """A text passes if nothing is wrong with it by itself and the study's `judge`, a model, grades it well enough.
    Every sample is a request, paid from `judge.budget`."""

    kind: Literal["judge"]
    threshold: float = Field(0.5, gt=0, le=1)
    """The lowest grade that passes, of 0, 0.1, ... 1."""
    max_false_pass: float = Field(0.05, gt=0, lt=1)
    """Warn when mismatched answers to validation prompts pass more often."""
    min_words: int = Field(2, ge=1)
    max_words: int = Field(400, ge=1)


@VERIFIERS.register("judge")
@dataclass(frozen=True)
class JudgeVerifier:
    """A text passes if nothing is wrong with it by itself and the study's judge, a model, grades it well enough.

    grades: of (prompt, answer, accepted answers) each, in [0, 1], or NaN where the judge's reply could not be
        read; such a text does not pass, with status "unjudged". The gate `well_formed` needs no judge.
    """

    Settings: ClassVar = JudgeSettings
    needs: ClassVar = ("judge",)
    gives: ClassVar = ()
    hide_target: ClassVar = True

    settings: JudgeSettings
    grades: Grades | None = None

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        return [problem(text, record, self.settings.min_words, self.settings.max_words) is None for text in texts]

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Status "passed", "failed", "unjudged" or the problem; the judge is not asked about texts with a
        problem.
        """
        return self.verify_all([(texts, record, finishes)])[0]

    def verify_all(self, answers: Sequence[Answers]) -> list[list[Outcome]]:
        """`verify` of many prompts by a single call of `grades`: a paid judge knows what all of it costs before
        the first request."""
        if self.grades is None:
            raise StudyError("the judge verifier has no judge: configure one, or use another verifier.")
        faults = [
            [
                problem(text, record, self.settings.min_words, self.settings.max_words, end)
                for text, end in zip(texts, finishes or ["stop"] * len(texts), strict=True)
            ]
            for texts, record, finishes in answers
        ]
        sound = [
            (record.prompt, text, accepted(record))
            for (texts, record, _), found in zip(answers, faults, strict=True)
            for text, fault in zip(texts, found, strict=True)
            if fault is None
        ]
        grades = iter(self.grades(sound))

        def graded(fault: str | None) -> Outcome:
            score = 0.0 if fault else float(next(grades))
            return outcome("unjudged" if math.isnan(score) else fault, score, self.settings.threshold)

        return [[graded(fault) for fault in found] for found in faults]
