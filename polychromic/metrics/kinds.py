"""The two kinds of metric that a study can add: of a prompt's samples together, and of a single answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from polychromic.errors import StudyError
from polychromic.metric_registry import Metric
from polychromic.metrics.words import bleu_tokens

Encode = Callable[[Sequence[str]], np.ndarray]
"""texts -> vectors of length 1, [texts, dimension]."""


@dataclass(frozen=True)
class SampleSet:
    """The samples of one prompt, training seed and temperature, or those of them that passed or were cut."""

    texts: tuple[str, ...]
    labels: tuple[Hashable | None, ...] = ()
    """Of each text, where the verifier gives labels: texts that do or say the same share one."""
    encode: Encode | None = None

    @cached_property
    def words(self) -> tuple[tuple[str, ...], ...]:
        """Each text's words (`words.bleu_tokens`), the texts in sorted order."""
        return tuple(sorted(bleu_tokens(text) for text in self.texts))

    @cached_property
    def vectors(self) -> np.ndarray:
        """Each text's vector, the texts in sorted order: float64 [texts, dimension].

        Raises:
            StudyError: for NaN or infinite vectors.
        """
        if not self.texts:
            return np.zeros((0, 0))
        vectors = np.asarray(self.encode(sorted(self.texts)), dtype=float)
        if not np.isfinite(vectors).all():
            raise StudyError("NaN or infinite embeddings: delete the embeddings file and re-run")
        return vectors

    def passing(self, passed: Sequence[bool]) -> SampleSet:
        """The samples that passed."""
        kept = [number for number, good in enumerate(passed) if good]
        labels = tuple(self.labels[number] for number in kept) if self.labels else ()
        return SampleSet(tuple(self.texts[number] for number in kept), labels, self.encode)

    def cut(self, words: int) -> SampleSet:
        """The first words of each sample, joined by spaces: no arm gains by writing more."""
        short = SampleSet(tuple(" ".join(bleu_tokens(text)[:words]) for text in self.texts))
        # Joined and cut again, words could fall apart in other places.
        short.__dict__["words"] = tuple(sorted(bleu_tokens(text)[:words] for text in self.texts))
        return short


class DiversityMetric(Metric):
    """A number for the samples of a prompt together: a column of `diversity.parquet` for each of its readings."""

    table: ClassVar[str] = "diversity"
    undefined: ClassVar[str] = "Measures of words are undefined where a prompt's samples have too few of them"

    @staticmethod
    def value(samples: SampleSet) -> float:
        """The metric; their order must not matter. NaN where it is undefined, never a made-up 0."""
        raise NotImplementedError


class QualityMetric(Metric):
    """A number for one sample against its references: a column of `quality.parquet`, the mean over the samples."""

    table: ClassVar[str] = "quality"
    value: ClassVar[Any] = None
    """(text, accepted texts) -> float, a staticmethod; NaN without accepted texts. None where a job before has made
    the number, because it takes a model."""
