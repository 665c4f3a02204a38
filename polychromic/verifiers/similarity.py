"""Open text that is judged by its similarity to the accepted answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome
from polychromic.verifiers.text import Encode, accepted, on_topic, outcome, problem


class SimilaritySettings(Settings):
    """A text passes if nothing is wrong with it by itself and it is close enough to a reference."""

    kind: Literal["similarity"]
    max_false_pass: float = Field(0.05, gt=0, lt=1)
    """The threshold is found on validation prompts so that mismatched answers pass at most this often."""
    min_words: int = Field(2, ge=1)
    max_words: int = Field(400, ge=1)


@VERIFIERS.register("similarity")
@dataclass(frozen=True)
class SimilarityVerifier:
    """A text passes if nothing is wrong with it by itself and it is close enough to a reference.

    threshold: the lowest cosine with the nearest reference that passes, found by `calibration.calibrate`. The gate
        `well_formed` needs none.
    """

    Settings: ClassVar = SimilaritySettings
    needs: ClassVar = ("encoder", "calibration")
    gives: ClassVar = ()
    hide_target: ClassVar = False

    settings: SimilaritySettings
    encode: Encode
    threshold: float | None = None

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        sound = [problem(text, record, self.settings.min_words, self.settings.max_words) is None for text in texts]
        topical = iter(
            on_topic([text for text, ok in zip(texts, sound, strict=True) if ok], record.prompt, self.encode)
        )
        return [ok and next(topical) for ok in sound]

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Status "passed", "failed" or the problem; score is the similarity to the nearest reference, at
        least 0.
        """
        if self.threshold is None:
            raise StudyError("the similarity verifier has no threshold: calibrate it on validation prompts first.")
        nearest = self.similarity(texts, record)
        return [
            outcome(fault, score, self.threshold)
            for fault, score in zip(self._problems(texts, record, finishes), nearest, strict=True)
        ]

    def similarity(self, texts: Sequence[str], record: Record) -> list[float]:
        """Each text's cosine with the reference that is nearest to it, clipped at 0."""
        references = accepted(record)
        vectors = self.encode([*texts, *references])
        if not np.isfinite(vectors).all():
            raise StudyError(f"record {record.id!r}: the encoder gave NaN or infinity. Check the encoder model.")
        nearest = (vectors[: len(texts)] @ vectors[len(texts) :].T).max(axis=1)
        return [min(max(float(value), 0.0), 1.0) for value in nearest]

    def _problems(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None) -> list[str | None]:
        ends = finishes if finishes is not None else ["stop"] * len(texts)
        return [
            problem(text, record, self.settings.min_words, self.settings.max_words, end)
            for text, end in zip(texts, ends, strict=True)
        ]
