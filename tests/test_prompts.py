"""Prompt templates."""

from __future__ import annotations

import pytest

from polychromic.errors import StudyError
from polychromic.method.prompts import fill, pick_examples, render
from polychromic.records import Record

TEMPLATES = {
    "zero_shot": "Generate {output} for: {input}\n",
    "example": "Example {number}: {input} → {target}\n",
    "few_shot": "Now: {input} →",
}
TRAIN = [Record(id=str(i), prompt=f"p{i}", target=f"t{i}") for i in range(8)]


def test_a_zero_shot_prompt_is_the_template_of_the_record():
    assert render("hello", output="reply", **TEMPLATES) == "Generate reply for: hello\n"


def test_few_shot_shows_examples_then_the_prompt():
    text = render("hello", output="reply", examples=TRAIN[:2], **TEMPLATES)
    assert text == "Example 1: p0 → t0\nExample 2: p1 → t1\nNow: hello →"


def test_braces_in_the_data_are_left_alone():
    assert fill("{output}: {input}", input="{output} {x}", output="{input}") == "{input}: {output} {x}"


def test_a_template_without_the_prompt_is_refused():
    with pytest.raises(StudyError, match="no {input}"):
        fill("Generate {output}\n", input="x", output="reply")


def test_examples_do_not_depend_on_the_order_of_rows():
    chosen = pick_examples(TRAIN, "prompt", 5, seed=1)
    assert chosen == pick_examples(TRAIN[::-1], "prompt", 5, seed=1)
    assert len({record.id for record in chosen}) == 5
    assert chosen != pick_examples(TRAIN, "another prompt", 5, seed=1)


def test_too_few_examples_are_refused():
    with pytest.raises(StudyError, match="5-shot prompts need 5 training rows, found 2"):
        pick_examples(TRAIN[:2], "prompt", 5, seed=1)


def test_chat_without_a_template_is_refused():
    class Plain:
        chat_template = None

    with pytest.raises(StudyError, match="chat: false"):
        render("hello", output="reply", tokenizer=Plain(), **TEMPLATES)
