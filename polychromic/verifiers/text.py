"""Open text: what is wrong with a text by itself, and how close it comes to the accepted ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from polychromic.errors import StudyError
from polychromic.metrics.text_checks import copies, repeats, words
from polychromic.records import Record
from polychromic.verifiers import Answers, Outcome

Encode = Callable[[Sequence[str]], np.ndarray]
"""texts -> float32 [texts, dimension], rows of length 1."""

Grades = Callable[[Sequence[tuple[str, str, Sequence[str]]]], list[float]]
"""(prompt, answer, accepted answers) of each text -> its grade in [0, 1], or NaN."""

SHARED_WORDS, ON_TOPIC = 2, 0.2  # with the prompt: this many content words, or else this cosine

# A sentence may end on a preposition ("count me in"), and a reply on a sad face.
_DANGLING = re.compile(r"(?:[,;:([{–—-]|\b(?:a|an|and|but|or|than|the))\s*\Z", re.IGNORECASE)
_FACE = re.compile(r"(?:\A|\s)[:;=]['’]?-?[([{]+\s*\Z")
_STOPWORDS = frozenset(
    """
    a about after all also am an and any are as at be because been but by can could did do does for from
    get go had has have he her him his how i if in into is it its just like me more my no not of on one
    or our out she so some than that the their them then there they this to too up us was we were what
    when where which who why will with would you your
    """.split()  # noqa: SIM905 (a word list reads better)
)


def problem(text: str, record: Record, min_words: int, max_words: int, finish: str = "stop") -> str | None:
    """The first thing wrong with a text by itself: "empty", "truncated", "length", "copied", "repetitive",
    or None.
    """
    own = words(text)
    if not own:
        return "empty"
    if finish == "length" or (_DANGLING.search(text) and not _FACE.search(text)):
        return "truncated"
    if not min_words <= len(own) <= max_words:
        return "length"
    if copies(text, record.prompt):
        return "copied"
    return "repetitive" if repeats(text) else None


def on_topic(texts: Sequence[str], prompt: str, encode: Encode) -> list[bool]:
    """Which texts share content words with the prompt or, failing that, are close to it by embedding.

    Of the answers to other prompts about a third are let through: the gate is against noise, not a judge.
    """
    topic = set(words(prompt)) - _STOPWORDS
    shared = [len(topic.intersection(words(text))) >= SHARED_WORDS for text in texts]
    distant = [text for text, near in zip(texts, shared, strict=True) if not near]
    if not distant:
        return shared
    vectors = encode([prompt, *distant])
    close = iter((vectors[1:] @ vectors[0] >= ON_TOPIC).tolist())
    return [near or next(close) for near in shared]


@dataclass(frozen=True)
class SimilarityVerifier:
    """Passes a text with nothing wrong by itself whose nearest reference is at least `threshold` near, by
    cosine.

    The threshold is found by `calibration.calibrate`; the gate `well_formed` needs none.
    """

    encode: Encode
    threshold: float | None = None
    min_words: int = 2
    max_words: int = 400

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        sound = [problem(text, record, self.min_words, self.max_words) is None for text in texts]
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
            _outcome(fault, score, self.threshold)
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
            problem(text, record, self.min_words, self.max_words, end) for text, end in zip(texts, ends, strict=True)
        ]


@dataclass(frozen=True)
class JudgeVerifier:
    """Passes a text with nothing wrong by itself that a judge grades at `threshold` or better.

    grades: of (prompt, answer, accepted answers) each, in [0, 1], or NaN where the judge's reply could not be
        read; such a text does not pass, with status "unjudged". The gate `well_formed` needs no judge.
    """

    grades: Grades | None
    threshold: float = 0.5
    min_words: int = 2
    max_words: int = 400

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        return [problem(text, record, self.min_words, self.max_words) is None for text in texts]

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
                problem(text, record, self.min_words, self.max_words, end)
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

        def outcome(fault: str | None) -> Outcome:
            score = 0.0 if fault else float(next(grades))
            return _outcome("unjudged" if math.isnan(score) else fault, score, self.threshold)

        return [[outcome(fault) for fault in found] for found in faults]


def accepted(record: Record) -> tuple[str, ...]:
    """The accepted answers of a record, each once.

    Raises:
        StudyError: it has none.
    """
    found = tuple(dict.fromkeys(text for text in record.references or (record.target,) if text.strip()))
    if not found:
        raise StudyError(f"record {record.id!r} has no reference: answers cannot be judged. Remove the row.")
    return found


def _outcome(fault: str | None, score: float, threshold: float) -> Outcome:
    passed = fault is None and score >= threshold
    return Outcome(passed, fault or ("passed" if passed else "failed"), score)
