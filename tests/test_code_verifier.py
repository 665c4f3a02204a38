"""Programs, and what tests and probes find of them."""

from __future__ import annotations

import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier
from polychromic.verifiers.code import behaviours, entry_point_of, probe_inputs, run

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


def test_the_status_says_how_a_program_ended():
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
def test_tests_come_as_text_as_a_list_or_as_a_mapping(tests):
    assert run("def helper(x): return x\ndef f(x): return x * 2", tests, "f").passed
    assert run("def helper(x): return x\ndef f(x): return x * 3", tests, "f").status == "failed"


@pytest.mark.parametrize(
    "tests",
    ["", "  \n", [], {"kind": "stdio", "cases": []}, {"kind": "magic"}, [1], {"kind": "check", "code": ""}],
)
def test_tests_that_test_nothing_are_refused(tests):
    with pytest.raises(StudyError, match="tests"):
        run("def f(): pass", tests)


def test_a_tests_own_except_catches_what_the_program_raises():
    tests = "try:\n    f(-1)\nexcept ValueError as e:\n    assert 'negative' in str(e)\nelse:\n    assert False"
    assert run("def f(x):\n    if x < 0: raise ValueError('negative')", tests).passed
    assert run("class Mine(ValueError): pass\ndef f(x):\n    raise Mine('negative')", tests).passed
    assert run("def f(x): return x", tests).status == "failed"


def test_tests_may_use_the_programs_classes_and_keywords():
    program = "class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\n"
    program += "def size(node): return 0 if node is None else 1 + size(node.n)"
    assert run(
        program, "root = Node(1)\nroot.n = Node(2, n=Node(3))\nassert size(root) == 3\nassert root.n.v == 2"
    ).passed


def test_a_script_is_judged_by_what_it_prints():
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


def test_probes_are_the_arguments_in_the_tests():
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


def test_code_passes_its_tests_and_is_labelled_by_its_behaviour():
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
