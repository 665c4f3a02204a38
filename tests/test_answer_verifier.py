"""Short answers against their references and their context."""

from __future__ import annotations

import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier

WHERE = Record(
    "q",
    "...",
    "Paris",
    references=("Paris", "the city of Paris"),
    meta={"context": "The tower stands in the city of Paris, on the Seine."},
)


def test_an_answer_passes_if_it_is_equal_or_near_enough_in_token_f1():
    strict, lenient = make_verifier("answer"), make_verifier("answer", min_f1=0.5)
    texts = ["paris.", "The City of Paris", "Paris France", "London", "", "…"]
    assert [outcome.passed for outcome in strict.verify(texts, WHERE)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [outcome.passed for outcome in lenient.verify(texts, WHERE)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert [outcome.status for outcome in strict.verify(texts, WHERE)][-3:] == ["failed", "empty", "failed"]
    assert strict.verify(["Paris France"], WHERE)[0].score == pytest.approx(2 / 3)
    assert strict.labels(["The Paris!", " "], WHERE) == ["paris", None]


def test_answers_are_well_formed_within_their_context():
    verifier = make_verifier("answer")
    assert verifier.well_formed(["the Seine", "seine", "Lyon", "sein", "", WHERE.meta["context"] * 3], WHERE) == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    open_ended = Record("o", "Who?", "x", references=("x",))
    assert verifier.well_formed(["Anyone", "word " * 17], open_ended) == [True, False]


def test_an_answer_without_references_is_named():
    with pytest.raises(StudyError, match="record 'none' has no reference"):
        make_verifier("answer").verify(["x"], Record("none", "", ""))
