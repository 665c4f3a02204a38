"""Open text: what is wrong with it by itself, its likeness to a reference, and a grade."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier, verify_all
from polychromic.verifiers.text import copies, on_topic, problem, repeats, words


def encode(texts):
    """Bags of words, hashed by nothing but their first letters: enough of an encoder to test with."""
    vectors = np.full((len(texts), 27), 1e-6, dtype=np.float32)
    for row, text in enumerate(texts):
        for word in words(text):
            vectors[row, min(abs(ord(word[0]) - 97), 26)] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


REPLY = Record(
    "r",
    "My train was late again this morning.",
    "Trains are hopeless, sorry!",
    references=("Trains are hopeless, sorry!",),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oh dear, that is bad luck.", None),
        ("", "empty"),
        (" \n", "empty"),
        ("...!?", "empty"),
        ("Yes", "length"),
        ("word " * 500, "length"),
        ("I was going to say that the", "truncated"),
        ("Well, first of all,", "truncated"),
        ("Oh no, a late train, to buy a", "truncated"),
        ("Late again, so sorry to hear (", "truncated"),
        ("Late again, so sorry to hear that :(", None),
        ("Oh no, that is bad luck :-(", None),
        ("Count me in", None),
        ("What are you waiting for", None),
        (REPLY.prompt, "copied"),
        ("My train was late again this morning. Bad.", "copied"),
        ("Was your train late again?", None),
        ("so so so so sorry", "repetitive"),
        ("I am sorry. I am sorry. I am sorry. I am sorry.", "repetitive"),
        ("No no, I mean it!", None),
        ("電車はいつも遅れますね", None),
        ("Как жаль, держись!", None),
        ("\ud83d \ud83d oh", "length"),
        ("a" * 10_000, "length"),
    ],
)
def test_what_is_wrong_with_a_text(text, expected):
    assert problem(text, REPLY, 2, 400) == expected


def test_a_text_cut_off_at_the_token_limit_fails():
    verifier = make_verifier("similarity", encode=encode, threshold=0.5)
    text = REPLY.target
    whole, cut = verifier.verify([text, text], REPLY, ["stop", "length"])
    assert (whole.status, cut.status) == ("passed", "truncated")
    assert whole.score == cut.score == pytest.approx(1.0)


def test_a_text_passes_if_it_is_similar_enough_to_a_reference():
    verifier = make_verifier("similarity", encode=encode, threshold=0.9, min_words=1)
    outcomes = verifier.verify(["Trains are hopeless, sorry.", "Buy one bike", "", "zzz zzz zzz zzz"], REPLY)
    assert [outcome.status for outcome in outcomes] == ["passed", "failed", "empty", "repetitive"]
    assert all(0 <= outcome.score <= 1 for outcome in outcomes)
    assert verifier.verify(outcomes[:0], REPLY) == []


def test_the_gate_is_on_topic_and_needs_no_threshold():
    gate = make_verifier("similarity", encode=encode).well_formed
    assert gate(["My late train this morning too!", "zebra zoo zen", "", "the"], REPLY) == [
        True,
        False,
        False,
        False,
    ]
    with pytest.raises(StudyError, match="no threshold"):
        make_verifier("similarity", encode=encode).verify(["x y"], REPLY)


def test_on_topic_encodes_only_what_shares_no_words():
    seen = []

    def spy(texts):
        seen.extend(texts)
        return encode(texts)

    assert on_topic(["late train", "quite zany"], REPLY.prompt, spy) == [True, False]
    assert seen == [REPLY.prompt, "quite zany"]
    assert on_topic([], REPLY.prompt, spy) == []


def test_copies_of_the_prompt_and_repeated_words_are_seen():
    assert copies("one two three four", "zero one two three four five")
    assert not copies("one two", "zero one two three")
    assert copies("One, two!", "one two")
    assert not copies("", "one")
    assert not repeats("")
    assert repeats("ha ha ha ha")


def test_an_encoder_that_gives_nan_is_named():
    broken = make_verifier("similarity", encode=lambda texts: np.full((len(texts), 3), np.nan), threshold=0.5)
    with pytest.raises(StudyError, match="NaN"):
        broken.verify(["some text here"], REPLY)


def test_the_grade_decides_and_a_missing_one_leaves_a_text_unjudged():
    asked = []

    def grades(answers):
        asked.extend(answer for _, answer, _ in answers)
        return [{"good one": 0.9, "bad one": 0.1}.get(answer, math.nan) for _, answer, _ in answers]

    verifier = make_verifier("judge", grades=grades)
    outcomes = verifier.verify(["good one", "bad one", "odd one", ""], REPLY)
    assert [outcome.status for outcome in outcomes] == ["passed", "failed", "unjudged", "empty"]
    assert [outcome.passed for outcome in outcomes] == [True, False, False, False]
    assert asked == ["good one", "bad one", "odd one"]
    other = Record("r2", "another prompt", "x", ("x",))
    many = verify_all(verifier, [(["bad one"], REPLY, None), (["good one", "one"], other, ["length", "stop"])])
    assert [[outcome.status for outcome in found] for found in many] == [["failed"], ["truncated", "length"]]
    with pytest.raises(StudyError, match="record 'bare' has no reference"):
        verifier.verify(["good one"], Record("bare", "a prompt", ""))
    assert make_verifier("judge").well_formed(["good one", ""], REPLY) == [True, False]
    with pytest.raises(StudyError, match="no judge"):
        make_verifier("judge").verify(["good one"], REPLY)
