"""Countdown: puzzles that have several solutions, and a verifier that checks each exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.data.sources.countdown import expressions
from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier
from polychromic.verifiers.countdown import read_expression

PUZZLE = Record("p", "3, 7 and 25 make 46", "3 * 7 + 25", meta={"numbers": [7, 25, 3], "value": 46})
VERIFIER = make_verifier("countdown")


def status(text: str) -> str:
    return VERIFIER.verify([text], PUZZLE)[0].status


@pytest.mark.parametrize(
    "text", ["3 * 7 + 25", "25+7*3", "(3 × 7) + 25 = 46", "\n 25 + 3*7 \nThat is 46.", "((25))+(3)*7"]
)
def test_any_right_expression_passes(text):
    assert status(text) == "passed"


@pytest.mark.parametrize(
    "text",
    [
        "3 * 7 + 24",  # another number
        "3 + 7 + 25",  # another value
        "25 + 21",  # a number left out
        "3 * 7 + 25 + 3 - 3",  # a number used again
        "25 / (3 + 7 - 10)",
        "46",
    ],
)
def test_a_wrong_expression_fails(text):
    assert status(text) == "failed"


@pytest.mark.parametrize(
    "text",
    ["", "The answer is 46", "3 ** 7", "3 // 7", "-3 + 7", "3 7 25", "f(3)", "3; 7", "__import__('os')",
     "(" * 150 + "3", "3 + " * 60 + "3", "007 + 3", "3 * 7 +\n25", "3.0 * 7 + 25", "9" * 201],
)  # fmt: skip
def test_what_is_no_expression_is_not_read(text):
    assert status(text) == "extraction"
    assert VERIFIER.labels([text], PUZZLE) == [None]


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="0123456789+-*/() =\n", max_size=40))
def test_no_text_raises(text):
    assert status(text) in ("passed", "failed", "extraction")


def test_the_gate_asks_for_the_numbers_and_the_value_of_the_prompt():
    texts = ["3 + 7 + 25", "3 * 7 + 25", "25 + 7 * 3", "46", "3 * 7", "no"]
    assert VERIFIER.well_formed(texts, PUZZLE) == [False, True, True, False, False, False]


def test_a_large_result_is_compared_exactly():
    huge = Record("h", "", "", meta={"numbers": [1, 3, 3], "value": 1})
    assert VERIFIER.verify(["1 / 3 * 3"], huge)[0].passed
    assert not VERIFIER.verify(["10000000000000001 / 3 * 3"], huge)[0].passed


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("3 * (2 + 5)", "(5 + 2) * 3", True),
        ("9 - (4 - 1)", "1 + 9 - 4", True),
        ("8 / (4 / 2)", "8 * 2 / 4", True),
        ("9 - 4 - 1", "9 - (4 - 1)", False),
        ("2 * 3 + 4", "2 * (3 + 4)", False),
        ("6 - 2", "2 - 6", False),
    ],
)
def test_equal_expressions_up_to_order_and_brackets_have_one_label(one, other, alike):
    labels = VERIFIER.labels([one, other], PUZZLE)
    assert (labels[0] == labels[1]) == alike


numbers = st.lists(st.integers(1, 12), min_size=2, max_size=3).map(tuple)


@settings(deadline=None, max_examples=50)
@given(numbers)
def test_every_expression_that_is_made_has_its_value_and_its_numbers(drawn):
    for value, text in expressions(drawn):
        read = read_expression(text)
        assert (read.value, read.numbers) == (Fraction(value), tuple(sorted(drawn))), text


@settings(deadline=None, max_examples=50)
@given(numbers)
def test_the_same_normal_form_means_the_same_value(drawn):
    values: dict[str, int] = {}
    for value, text in expressions(drawn):
        assert values.setdefault(read_expression(text).normal, value) == value


def test_no_expression_is_left_out():
    def by_hand(items):
        if len(items) == 1:
            yield items[0]
            return
        for a, b, *rest in permutations(items):
            for made in (a + b, a * b, *([a - b] if a > b else []), *([a // b] if a % b == 0 else [])):
                yield from by_hand([made, *rest])

    assert {value for value, _ in expressions((2, 3, 8))} == set(by_hand([2, 3, 8]))


def rows(**settings):
    return list(read_source(make_source({"format": "countdown", "rows": 30, **settings})))


def test_the_rows_are_puzzles_with_several_right_answers():
    records = rows()
    assert len({record.group for record in records}) == 30
    for record in records:
        assert record.target in record.references
        assert len(record.references) >= 2
        assert all(outcome.passed for outcome in VERIFIER.verify(record.references, record))
        assert len(set(VERIFIER.labels(record.references, record))) == len(record.references)
        assert str(record.meta["value"]) in record.prompt


def test_the_seed_decides_the_rows():
    assert rows() == rows()
    assert rows() != rows(seed=1)


def test_settings_that_give_too_few_puzzles_are_refused():
    with pytest.raises(StudyError, match=r"2 numbers up to 5 gave \d+ puzzles with 2 solutions, not 30\. Raise"):
        rows(count=2, largest=5)


def test_a_countdown_source_takes_no_file():
    with pytest.raises(ValidationError, match="leave out `path` and `hub`"):
        make_source({"format": "countdown", "path": "rows.jsonl"})


def test_a_record_of_another_source_is_refused():
    with pytest.raises(StudyError, match="has no `numbers` and `value`"):
        VERIFIER.verify(["1 + 2"], Record("r", "", ""))
