"""Open text: what is wrong with a text by itself, and how close it comes to the accepted ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from polychromic.errors import StudyError
from polychromic.metrics.text_checks import copies, repeats, words
from polychromic.records import Record
from polychromic.verifiers import Outcome

Encode = Callable[[Sequence[str]], np.ndarray]
"""texts -> float32 [texts, dimension], rows of length 1."""

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


def accepted(record: Record) -> tuple[str, ...]:
    """The accepted answers of a record, each once.

    Raises:
        StudyError: it has none.
    """
    found = tuple(dict.fromkeys(text for text in record.references or (record.target,) if text.strip()))
    if not found:
        raise StudyError(f"record {record.id!r} has no reference: answers cannot be judged. Remove the row.")
    return found


def outcome(fault: str | None, score: float, threshold: float) -> Outcome:
    passed = fault is None and score >= threshold
    return Outcome(passed, fault or ("passed" if passed else "failed"), score)
