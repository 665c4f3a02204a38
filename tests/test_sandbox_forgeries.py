"""What a candidate says is data: no answer, exception, exit code or redefinition makes a wrong program pass, or
stops the study.
"""

from __future__ import annotations

import json
import struct

import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier
from polychromic.verifiers.code import behaviours, run

TESTS = "def check(candidate):\n    assert abs(candidate(1, 2)) == 3\n    assert set([candidate(1, 1)]) == {2}\n"
WRONG = "def add(a, b): return 0\n"
RIGHT = "def add(a, b): return a + b\n"


def raw(reply: object) -> bytes:
    data = json.dumps(reply).encode()
    return struct.pack("!I", len(data)) + data


NAMES = "'abs', 'set', 'sorted', 'all', 'list', 'len', 'isclose', 'math', '__builtins__', 'check', 'AssertionError'"
# Walks to each frame of its own process and asks it to give names that nobody asked for.
WALK = f"""
import sys
class Three(int):
    def __eq__(self, other): return True
    __hash__ = int.__hash__
def add(a, b): return 0
abs = set = sorted = all = list = len = isclose = math = __builtins__ = check = AssertionError = lambda *a, **k: {{2}}
frame = sys._getframe()
while frame:
    for value in [*frame.f_locals.values()]:
        if type(value) is dict and 'names' in value:
            value['names'] += [{NAMES}]
    frame = frame.f_back
"""
OVERRIDES = {"dict": [[name.strip("' "), {"type": "bool"}] for name in NAMES.split(", ")] + [["add", {"object": 0}]]}


@pytest.mark.parametrize(
    "program",
    [
        WALK,
        f"import os\n{WRONG}os.write(3, {raw({'value': OVERRIDES})!r})",
        f"import os\n{WRONG}os.write(3, {raw({'value': OVERRIDES})!r})\nwhile True: pass",
        f"import os\ndef add(a, b):\n    os.write(3, {raw({'value': {'named': 'builtins.abs'}})!r}); os._exit(0)",
        f"import os\ndef add(a, b):\n    os.write(3, {raw({'value': {'function': 0}})!r}); os._exit(0)",
        f"import os\ndef add(a, b):\n    os.write(3, {raw({'value': {'object': 'x'}})!r}); os._exit(0)",
        f"import os\ndef add(a, b):\n    os.write(3, {raw({'call': 0, 'arguments': [], 'keywords': {}})!r}); return 0",
        f"import os\ndef add(a, b):\n    os.write(3, {raw({'call': -1})!r}); return 0",
    ],
)
def test_an_answer_gives_only_the_names_that_were_asked_for(program):
    assert run(program, TESTS, "add", timeout=0.3).status in ("failed", "error", "timeout")


STEERING = ("StopIteration", "StopAsyncIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit")


@pytest.mark.parametrize("kind", [*STEERING, "IndexError", "BaseException", "Mine", "MineToo", "Group"])
@pytest.mark.parametrize(
    "tests",
    [
        "assert all(map(lambda x: f(x) == x + 1, [1, 2]))",
        "assert all(map(f, [1, 2]))",
        "assert all(a == b for a, b in zip(map(f, [1, 2]), [2, 3]))",
        "assert list(map(f, [1, 2])) == [] or list(map(f, [1, 2])) == [2, 3]",
        "assert sum(1 for x in map(f, [1, 2]) if x < 2) == 0",
        "for x in map(f, [1, 2]): assert x > 1",
    ],
)
def test_exceptions_do_not_steer_the_tests(kind, tests):
    mine = "class Mine(StopIteration): pass\nclass MineToo(BaseException): pass\n"
    mine += "def Group(): return ExceptionGroup('', [StopIteration()])\n"
    assert run(f"{mine}def f(x): raise {kind}()", tests, "f").status == "error"
    forged = raw({"raised": kind, "name": "x\0", "message": ""})
    assert not run(f"import os\ndef f(x): os.write(3, {forged!r}); os._exit(0)", tests, "f").passed


@pytest.mark.parametrize("code", [0, 1, 77, 78, 79, 255])
@pytest.mark.parametrize("where", ["import os\nos._exit({0})", "def add(a, b):\n    import os\n    os._exit({0})"])
def test_no_exit_code_stops_the_study(code, where):
    assert not run(where.format(code), TESTS, "add").passed
    assert behaviours([where.format(code)], [[1, 2]], "add") == [None]
    assert not run(where.format(code), [{"input": "", "output": "x"}]).passed


@pytest.mark.parametrize(
    "text",
    ["only plain values can be sent", "Nothing was run", "an iterator of more than", "\0", "\ud800", "x" * 10**6],
)
@pytest.mark.parametrize("kind", ["TypeError", "OverflowError", "ValueError", "ImportError", "SyntaxError"])
def test_no_exception_stops_the_study(kind, text):
    program = f"def add(a, b): raise {kind}({text!r})"
    assert run(program, TESTS, "add").status == "error"
    assert behaviours([program], [[1, 2]], "add") == [None]


@pytest.mark.parametrize(
    "tests",
    [
        "def check(candidate):\n    x = candidate(2, 1)\n    x.sort(key=lambda v: -v)\n    assert x == [2, 1]",
        "def check(candidate):\n    x = candidate(2, 1)\n    x.sort(key=object())\n    assert x == [2, 1]",
        "def check(candidate):\n    x = candidate(2, 1)\n    assert x == [2, 1]\n    candidate(type(x), 1)",
    ],
)
def test_no_object_stops_the_study(tests):
    program = "class Fake:\n    def sort(self, **k): self.k = k\ndef add(a, b): return Fake()"
    assert run(program, tests, "add").status in ("failed", "error")


def test_what_stops_the_study_is_said_before_the_program_arrives(monkeypatch):
    from polychromic.verifiers.sandbox import supervisor

    worker = supervisor._Worker("landlock")
    monkeypatch.setattr(worker, "_receive", lambda: {"status": "unconfined", "detail": "x", "behaviour": None})
    try:
        with pytest.raises(StudyError, match="Nothing was run"):
            worker.run({"kind": "stdio", "cases": []})
    finally:
        worker.close()


# HumanEval/32 in our own words: the tests use a helper of the prompt.
POLY = Record(
    "zero",
    'def poly(xs, x):\n    """ Value of a polynomial. """\n    return sum(c * x**i for i, c in enumerate(xs))\n\n\n'
    'def find_zero(xs):\n    """ x such that poly(xs, x) is about 0. """\n',
    "    return -xs[0] / xs[1]\n",
    tests={
        "kind": "check",
        "code": "def check(candidate):\n    for xs in ([1, 2], [-6, 3]):\n"
        "        assert abs(poly(xs, candidate(xs))) < 1e-6\n",
        "entry_point": "find_zero",
    },
)


def test_a_prompts_helpers_come_from_the_record():
    verifier = make_verifier("code")
    cheat = "def poly(xs, x): return 0\n\ndef find_zero(xs): return 7\n"
    wrong = POLY.prompt + "    return 7\n"
    outcomes = verifier.verify([POLY.prompt + POLY.target, POLY.target, cheat, wrong], POLY)
    assert [outcome.status for outcome in outcomes] == ["passed", "passed", "failed", "failed"]


NOTHING = [
    "def test_add():\n    assert add(1, 2) == 3\n",
    "import unittest\nclass Test(unittest.TestCase):\n    def test(self): self.assertEqual(add(1, 2), 3)\n",
    "import unittest\nclass Test(unittest.TestCase):\n    def test(self): self.assertEqual(add(1, 2), 3)\n"
    "if __name__ == '__main__':\n    unittest.main()\n",
    "if __name__ == '__main__':\n    assert add(1, 2) == 3\n",
    "assert 1 + 1 == 2\n",
    "def check(candidate):\n    pass\n",
    "def check(candidate):\n    def inner(): pass\n    assert 3 == 3\n",
]


@pytest.mark.parametrize("tests", NOTHING)
def test_tests_that_call_nothing_are_an_error_of_the_record(tests):
    with pytest.raises(StudyError, match="call nothing"):
        run(WRONG, tests, "add")


@pytest.mark.parametrize(
    "tests",
    [
        "def test_add():\n    assert add(1, 2) == 3\ntest_add()\n",
        "def one():\n    two()\ndef two():\n    assert add(1, 2) == 3\nfor test in [one]: test()\n",
        "def check(candidate):\n    def inner(): assert candidate(1, 2) == 3\n    inner()\n",
        "class Test:\n    def run(self): assert add(1, 2) == 3\nTest().run()\n",
    ],
)
def test_tests_that_call_test_functions_are_tests(tests):
    assert run(RIGHT, tests, "add").passed
    assert run(WRONG, tests, "add").status == "failed"


def test_a_program_that_was_not_called_does_not_pass():
    assert run(RIGHT, "for x in []:\n    assert add(x, x) == 3", "add").status == "error"
    assert run("LIMIT = 3", "assert LIMIT == 3").passed


@pytest.mark.parametrize(
    "tests",
    [
        "def check(candidate)\n    assert candidate(1, 2) == 3",
        "import no_such_module\nassert add(1, 2) == 3",
        "from math import no_such_name\nassert add(1, 2) == 3",
        "def check_it(candidate):\n    assert candidate(1, 2) == 3\ndef check(x: int): add(1, 2) == \n",
        {"kind": "check", "code": "def test(candidate):\n    assert candidate(1, 2) == 3"},
    ],
)
def test_broken_tests_are_an_error_of_the_record(tests):
    for program in (RIGHT, WRONG, "import os\nos._exit(0)"):
        with pytest.raises(StudyError, match="ests"):
            run(program, tests, "add")


def test_broken_tests_name_their_record():
    record = Record("row 7", "Add.", RIGHT, tests={"kind": "asserts", "code": "assert add(1, 2 == 3"})
    with pytest.raises(StudyError, match="row 7"):
        make_verifier("code").verify([RIGHT], record)


def test_a_failed_assertion_in_a_function_that_the_candidate_calls_counts():
    tests = "def must_be_three(x): assert x == 3\nf(must_be_three)"
    assert run("def f(g): g(3)", tests, "f").passed
    assert run("def f(g):\n    try: g(4)\n    except BaseException: pass", tests, "f").status == "failed"


def test_functions_of_the_tests_are_called_and_nothing_else_of_them_is_reached():
    tests = "secret = 98765\ndef g(x): return x + 1\nassert f(g) == secret"
    dig = "def f(g):\n    for name in ('__globals__', '__code__', '__closure__', 'secret'):\n"
    dig += "        try: return getattr(g, name)['secret']\n        except Exception: pass\n    return g(1)"
    assert run(dig, tests, "f").status == "failed"


@pytest.mark.parametrize("program", ["def f(xs):\n    xs[:] = [1, 2, 3]\n", "def f(xs):\n    xs.clear()\n"])
def test_a_call_changes_its_arguments_only_where_it_returns_none(program):
    assert run(program + "    return [3]", "xs = [3]\nassert f(xs) == [3]\nassert xs == [3]").passed
    forged = raw({"value": None, "arguments": [{"dict": []}, 7]})
    program = f"import os\ndef f(xs): os.write(3, {forged!r}); os._exit(0)"
    assert run(program, "xs = [3]\nf(xs)\nassert xs == [3]\nf(xs)", "f").status == "error"
