"""What passes and what is well-formed, kind by kind."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome, make_verifier, verify_all
from polychromic.verifiers.calibration import calibrate_verifier
from polychromic.verifiers.code import behaviours, entry_point_of, probe_inputs, run
from polychromic.verifiers.text import copies, on_topic, problem, repeats, words

# --- code ---

SUM = Record(
    "sum",
    "Write a function to add the numbers of a list.\nassert total([1, 2]) == 3",
    "def total(xs):\n    return sum(xs)",
    tests={
        "kind": "asserts",
        "code": "assert total([1, 2]) == 3\nassert total([]) == 0",
        "entry_point": "total",
        "setup": "",
    },
)


def test_statuses_of_run():
    tests = "def check(candidate):\n    assert candidate(2) == 4\n"
    assert run("def f(x): return x * 2", tests).status == "passed"
    assert run("def f(x): return x", tests).status == "failed"
    assert run("def f(x): return None + 1", tests).status == "error"
    assert run("def f(x) return x", tests).status == "error"
    assert run("def g(x): return x * 2", tests, "f").status == "error"
    assert run("def f(x):\n    while x: pass", tests, timeout=0.1).status == "timeout"
    assert run("def f(x): return open('/etc/passwd')", tests).status == "forbidden"
    assert run("def f(x): return 'x' * 10**11", tests).status == "memory"


@pytest.mark.parametrize(
    "tests",
    [
        "assert f(2) == 4\nassert f(0) == 0",
        ["assert f(2) == 4", "assert f(0) == 0"],
        {"kind": "asserts", "code": "assert f(n) == 4", "setup": "n = 2", "entry_point": "f"},
        {"kind": "check", "code": "def check(candidate):\n    assert candidate(2) == 4", "entry_point": "f"},
    ],
)
def test_forms_of_tests(tests):
    assert run("def helper(x): return x\ndef f(x): return x * 2", tests, "f").passed
    assert run("def helper(x): return x\ndef f(x): return x * 3", tests, "f").status == "failed"


@pytest.mark.parametrize(
    "tests",
    ["", "  \n", [], {"kind": "stdio", "cases": []}, {"kind": "magic"}, [1], {"kind": "check", "code": ""}],
)
def test_tests_that_test_nothing(tests):
    with pytest.raises(StudyError, match="tests"):
        run("def f(): pass", tests)


def test_exceptions_reach_the_tests():
    tests = "try:\n    f(-1)\nexcept ValueError as e:\n    assert 'negative' in str(e)\nelse:\n    assert False"
    assert run("def f(x):\n    if x < 0: raise ValueError('negative')", tests).passed
    assert run("class Mine(ValueError): pass\ndef f(x):\n    raise Mine('negative')", tests).passed
    assert run("def f(x): return x", tests).status == "failed"


def test_classes_helpers_and_keywords_of_the_program():
    program = "class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\n"
    program += "def size(node): return 0 if node is None else 1 + size(node.n)"
    assert run(
        program, "root = Node(1)\nroot.n = Node(2, n=Node(3))\nassert size(root) == 3\nassert root.n.v == 2"
    ).passed


def test_stdio_cases():
    program = "n = int(input())\nfor i in range(n): print(i, end=' ')"
    cases = [{"input": "3\n", "output": "0 1 2\n"}, {"input": "0\n", "output": ""}]
    assert run(program, cases).passed
    assert run(program.replace("i,", "i + 1,"), cases).status == "failed"
    assert run(
        "import sys, os\nsys.stdout.write(sys.stdin.read()); sys.stdout.flush(); os._exit(0)",
        [{"input": "é\n", "output": "é"}],
    ).passed
    assert run("print(1)\nraise SystemExit(3)", [{"input": "", "output": "1"}]).status == "error"
    assert run("print(input())", [{"input": "", "output": ""}]).status == "error"
    assert run("while True: pass", cases, timeout=0.1).status == "timeout"
    assert run("print('x' * 10_000_000)", cases).status == "output"
    big = "\n".join(map(str, range(100_000)))
    assert run(
        "import sys\nprint(sum(map(int, sys.stdin)))", [{"input": big, "output": str(sum(range(100_000)))}]
    ).passed


def test_behaviours_group_programs_by_what_they_return():
    probes = [[[3, 1, 2]], [[]]]
    programs = [
        "def f(xs): return sorted(xs)",
        "def f(items):\n    items.sort()\n    return items",
        "def f(xs): return sorted(xs)[::-1]",
        "def f(xs): return tuple(sorted(xs))",
        "def f(xs): return [float(x) for x in sorted(xs)]",
    ]
    one, same, other, tuples, floats = behaviours(programs, probes, "f")
    assert one == same == floats
    assert len({one, other, tuples}) == 3
    assert behaviours(programs, probes, "f") == [one, same, other, tuples, floats]


@pytest.mark.parametrize(
    "program",
    [
        "",
        "def f(x) return",
        "def g(x): return x",
        "def f(x): return x[5]",
        "def f(x):\n    while True: pass",
        "def f(x): return f",
        "import os\nos._exit(0)",
        "def f(x): return object()",
        "def f(x): return open('/etc/passwd').read()",
        "def f(): return 1",
        "def f(x): raise SystemExit",
    ],
)
def test_what_does_not_run_has_no_behaviour(program):
    assert behaviours([program], [[[1]]], "f", timeout=0.2) == [None]


def test_behaviour_without_probes_is_that_it_loads():
    assert behaviours(["def f(): pass", "def f(: pass"], [], "f") == ["", None]


def test_probe_inputs():
    assert probe_inputs(SUM) == [[[1, 2]], [[]]]
    check = "def check(candidate):\n    assert candidate(1, b=2) == 3\n    assert candidate(x) == 1\n"
    check += "    assert candidate((1,), 'a') == candidate({2}, None)\n"
    humaneval = Record("h", "", "def f(a, b): pass", tests={"kind": "check", "code": check, "entry_point": "f"})
    assert probe_inputs(humaneval) == [[(1,), "a"], [{2}, None]]
    assert probe_inputs(Record("p", "", "", tests={"kind": "check", "code": check, "probes": [[1], [2]]})) == [[1], [2]]
    assert (
        entry_point_of(
            Record(
                "n",
                "",
                "def g(): pass\ndef f(): pass",
                tests={"kind": "asserts", "code": "assert f() == f()"},
            )
        )
        == "f"
    )


def test_code_verifier():
    verifier = make_verifier("code", timeout=1.0)
    right, wrong, broken, prose = (
        SUM.target,
        "def total(xs): return len(xs)",
        "def total(xs): return xs.none",
        "I don't know.",
    )
    outcomes = verifier.verify([f"```python\n{right}\n```", wrong, broken, prose, right], SUM)
    assert [outcome.status for outcome in outcomes] == ["passed", "failed", "error", "extraction", "passed"]
    assert [outcome.score for outcome in outcomes] == [1, 0, 0, 0, 1]
    assert outcomes[0].label == outcomes[4].label != outcomes[1].label
    assert verifier.labels([right, wrong, broken, prose], SUM) == [
        outcomes[0].label,
        outcomes[1].label,
        None,
        None,
    ]
    assert verifier.well_formed([right, wrong, broken, prose], SUM) == [True, True, False, False]
    assert [outcome.status for outcome in verifier.verify([], SUM)] == []


def test_the_gate_never_sees_expected_values():
    other = Record(
        SUM.id,
        SUM.prompt,
        SUM.target,
        tests={**SUM.tests, "code": "assert total([1, 2]) == 99\nassert total([]) == 98"},
    )
    answers = [SUM.target, "def total(xs): return len(xs)", "nothing"]
    assert make_verifier("code").well_formed(answers, SUM) == make_verifier("code").well_formed(answers, other)
    assert make_verifier("code").labels(answers, SUM) == make_verifier("code").labels(answers, other)


def test_scripts_have_behaviours_too():
    record = Record(
        "s",
        "Double it.",
        "print(int(input()) * 2)",
        tests={"kind": "stdio", "cases": [{"input": "2", "output": "4"}]},
    )
    texts = [
        "print(int(input()) * 2)",
        "x = int(input())\nprint(x + x)",
        "print(int(input()) + 1)",
        "print(int('x'))",
    ]
    assert [outcome.passed for outcome in make_verifier("code").verify(texts, record)] == [
        True,
        True,
        False,
        False,
    ]
    first, same, other, none = make_verifier("code").labels(texts, record)
    assert first == same != other
    assert none is None


# --- answers ---

WHERE = Record(
    "q",
    "...",
    "Paris",
    references=("Paris", "the city of Paris"),
    meta={"context": "The tower stands in the city of Paris, on the Seine."},
)


def test_answer_verifier():
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


# --- open text ---


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


def test_cut_off_text_fails():
    verifier = make_verifier("similarity", encode=encode, threshold=0.5)
    text = REPLY.target
    whole, cut = verifier.verify([text, text], REPLY, ["stop", "length"])
    assert (whole.status, cut.status) == ("passed", "truncated")
    assert whole.score == cut.score == pytest.approx(1.0)


def test_similarity_verifier():
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


def test_copies_and_repeats():
    assert copies("one two three four", "zero one two three four five")
    assert not copies("one two", "zero one two three")
    assert copies("One, two!", "one two")
    assert not copies("", "one")
    assert not repeats("")
    assert repeats("ha ha ha ha")


def test_nan_embeddings_are_named():
    broken = make_verifier("similarity", encode=lambda texts: np.full((len(texts), 3), np.nan), threshold=0.5)
    with pytest.raises(StudyError, match="NaN"):
        broken.verify(["some text here"], REPLY)


def test_judge_verifier():
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


def test_unknown_kinds_and_missing_parts():
    with pytest.raises(StudyError, match="'magic' is unknown"):
        make_verifier("magic")
    with pytest.raises(StudyError, match="needs an encoder"):
        make_verifier("similarity")


@pytest.mark.parametrize("kind", VERIFIERS)
def test_a_verifier_is_declared_in_its_own_module(kind):
    choice = VERIFIERS[kind]
    assert choice.__module__ == VERIFIERS.module_of(kind)
    assert choice.Settings.model_fields["kind"].annotation == Literal[kind]
    assert set(choice.needs) <= {"encoder", "calibration", "judge"}
    assert choice.__doc__


def test_settings_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="min_words"):
        make_verifier("answer", min_words=3)
    with pytest.raises(ValueError, match="timeout"):
        make_verifier("code", timeout=-1)


def test_a_verifier_of_ones_own(monkeypatch):
    class Mine(Settings):
        kind: Literal["mine"]
        word: str = "yes"

    monkeypatch.setattr(VERIFIERS, "_modules", {**VERIFIERS._modules})
    monkeypatch.setattr(VERIFIERS, "_found", {**VERIFIERS._found})

    @VERIFIERS.register("mine")
    @dataclass(frozen=True)
    class MyVerifier:
        """A text passes if it says the word."""

        Settings, needs, gives, hide_target = Mine, (), (), False
        settings: Mine

        def well_formed(self, texts, record):
            return [True for _ in texts]

        def verify(self, texts, record, finishes=None):
            passed = [self.settings.word in text for text in texts]
            return [Outcome(each, "passed" if each else "failed", float(each)) for each in passed]

    records = [Record("a", "?", "yes"), Record("b", "?", "no, yes")]
    verifier = make_verifier("mine", encode=encode)
    assert [outcome.passed for outcome in verifier.verify(["yes", "no"], REPLY)] == [True, False]
    assert calibrate_verifier(verifier, records)["true_pass"] == 1.0
