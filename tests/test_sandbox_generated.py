# ruff: noqa: E501 - lists of tricks
"""Attackers made by a grammar of tricks, composed at random by seed: none passes wrong, none stops the study, none
reaches the next. Finds are added to the tricks.
"""

from __future__ import annotations

import json
import random
import struct

import pytest

from polychromic.verifiers.code import behaviours, run_many

TESTS = [
    "def check(candidate):\n    assert abs(candidate(1, 2)) == 3\n    assert [candidate(1, 1)] == [2]\n",
    "assert add(1, 2) == 3\nassert sorted({add(1, 1), add(2, 2)}) == [2, 4]",
    "import math\nassert all(map(lambda x: add(x, x) == 2 * x, range(3)))\nassert math.isclose(add(0.5, 0.25), 0.75)",
    "try:\n    assert add(1, 2) == 3\nexcept ValueError:\n    assert False\nassert add('a', 'b') == 'ab'",
    "xs = [1, 2]\nassert sum(map(add, xs, xs)) == 6\nassert xs == [1, 2]",
]


def frame(reply: object) -> bytes:
    data = json.dumps(reply).encode()
    return struct.pack("!I", len(data)) + data


FORMS = [
    None, 3, {"value": 3}, {"value": {"object": 0}}, {"value": {"function": 0}}, {"value": {"named": "builtins.abs"}},
    {"value": {"dict": [["abs", {"object": 0}], ["add", {"object": 0}], ["check", {"object": 0}]]}},
    {"value": {"int": "0x3"}}, {"value": {"iterator": [2, 3, 4]}}, {"value": {"set": [[1]]}}, {"value": {"type": "int"}},
    {"raised": "StopIteration", "name": "S", "message": ""}, {"raised": "AssertionError", "name": "x", "message": "only"},
    {"raised": "Ended", "name": "Ended", "message": ""}, {"raised": "__import__", "name": "\0", "message": 3},
    {"call": 0, "arguments": [3, 3], "keywords": {}}, {"call": -1}, {"call": "x"}, {"value": None, "arguments": [[9, 9]]},
    {"value": {"namedtuple": ["P", ["x", "__eq__"], [1, 2]]}}, {"value": {"counter": [[1, []]]}}, {"value": {"array": "bb"}},
    {"value": {"decimal": "1E+999999999"}}, {"value": {"range": ["0x0", "0xfffffffffffffff", "0x1"]}}, [], {"do": "call"},
]  # fmt: skip
OBJECTS = [
    "type('E', (int,), {'__eq__': lambda s, o: True, '__hash__': int.__hash__})()",
    "type('E', (), {'__eq__': lambda s, o: True, '__class__': int, '__hash__': None})()",
    "type('E', (str,), {'__eq__': lambda s, o: True, '__hash__': str.__hash__})('x')",
    "type('E', (list,), {'__contains__': lambda s, o: True, '__len__': lambda s: 2})()",
    "type('E', (float,), {'__eq__': lambda s, o: True, '__sub__': lambda s, o: 0.0})(1)",
    "type('E', (dict,), {'__missing__': lambda s, k: k, 'items': lambda s: [(1, 2)]})()",
    "__import__('decimal').Decimal('NaN')", "float('nan')", "iter(int, 1)", "range(10**18)", "NotImplemented", "...",
    "__import__('unittest.mock').mock.MagicMock()", "__import__('unittest.mock').mock.ANY", "type", "object()", "add",
    "{i * (2**61 - 1): 0 for i in range(1, 5000)}", "[[]] * 10**6", "'x' * 10**7", "b'x' * 10**7", "10**10**4",
]  # fmt: skip
EXCEPTIONS = [
    "StopIteration", "StopAsyncIteration", "GeneratorExit", "KeyboardInterrupt", "SystemExit", "BaseException",
    "AssertionError", "IndexError", "AttributeError", "NotImplementedError", "MemoryError", "RecursionError",
    "type('AssertionError', (StopIteration,), {})", "type('X', (BaseException,), {'__str__': lambda s: 1 / 0})",
    "type('PermissionError', (OSError,), {})", "type('\\0', (Exception,), {})",
]  # fmt: skip


def statement(rng: random.Random) -> str:
    """One trick, a statement; names that it needs are imported in the program's first line."""
    reply = frame(rng.choice(FORMS))
    return rng.choice(
        [
            f"os.write({rng.choice([1, 2, 3, 3, 3, 4, 5])}, {reply!r} * {rng.choice([1, 1, 2, 9])})",
            f"os.write(3, {rng.randbytes(rng.choice([1, 3, 9]))!r})",
            "os.write(3, b'\\xff\\xff\\xff\\xff')",
            f"os._exit({rng.choice([0, 0, 1, 77, 78, 79])})",
            f"raise {rng.choice(EXCEPTIONS)}({rng.choice(['', repr('only plain values can be sent'), '3'])})",
            f"os.close({rng.randrange(5)})",
            f"builtins.{rng.choice(['abs', 'sorted', 'len', 'isinstance', 'print', 'str', 'type'])} = lambda *a, **k: 3",
            f"sys.modules[{rng.choice(['math', 'json', 'builtins', '__main__', 'os'])!r}] = None",
            "sys.setrecursionlimit(50)",
            "gc.collect(); [o.clear() for o in gc.get_objects() if type(o) is list and len(o) < 3]",
            "[f.f_locals.update(names=['abs']) for f in sys._current_frames().values()]",
            "[v.update(names=['abs', 'check', 'add']) for f in [sys._getframe(n) for n in range(3)]"
            " for v in f.f_locals.values() if type(v) is dict and 'names' in v]",
            "[setattr(sys.modules[m], a, lambda *x, **k: 3) for m, a in"
            f" [({rng.choice(['polychromic.verifiers.sandbox.' + m for m in ('candidate', 'plain_values')])!r},"
            f" {rng.choice(['_send', 'encode', '_raised', 'dumps', 'canonical', '_answer', '_write'])!r})]]",
            "signal.signal(signal.SIGXCPU, signal.SIG_IGN)",
            "atexit.register(os._exit, 0)",
            "open('x', 'w').write('y' * 1000)",
            "sys.path.append('/usr/lib/python3/dist-packages')",
            "print('PASSED', flush=True)",
            'print(\'["passed", ""]\', flush=True)',
            "ctypes.string_at(0)",
            "os.kill(os.getppid(), 9)",
            "time.sleep(9)",
        ]
    )


def attacker(seed: int) -> str:
    """A program whose `add` is wrong, behind one to four tricks."""
    rng = random.Random(seed)
    quiet = rng.random() < 0.5  # later tricks run whatever the first did

    def some(most: int, indent: str) -> str:
        tricks = [statement(rng) for _ in range(rng.randint(0, most))]
        if quiet:
            return "".join(f"{indent}try: {trick}\n{indent}except BaseException: pass\n" for trick in tricks)
        return "".join(f"{indent}{trick}\n" for trick in tricks)

    answer = rng.choice([*OBJECTS, "0", "0", "None", "a", "(a, b)"])
    imports = "import atexit, builtins, ctypes, gc, os, signal, sys, time\n"
    wrong = f"def add(a=0, b=0):\n{some(2, '    ')}    return {answer}\n"
    late = rng.choice(["", "", "check = candidate = add\n", "abs = set = map = lambda *a: {2}\n", "add = add()\n"])
    return f"{imports}{some(2, '')}{wrong}{late}{some(1, '')}"


def tried(seeds: range) -> None:
    programs = [attacker(seed) for seed in seeds]
    cases = [(program, TESTS[seed % len(TESTS)], "add") for seed, program in zip(seeds, programs, strict=True)]
    outcomes = run_many(cases, timeout=0.2)
    for seed, outcome in zip(seeds, outcomes, strict=True):
        assert not outcome.passed, f"seed {seed} passed:\n{attacker(seed)}"
    behaviours(programs, [[1, 2]], "add", timeout=0.2)
    scripts = [(program, [{"input": "", "output": "no program prints this"}], None) for program in programs[::10]]
    assert not any(outcome.passed for outcome in run_many(scripts, timeout=0.2))
    right = "import os\ndef add(a, b):\n    assert os.listdir('.') == []\n    return a + b"
    after = run_many([(right, tests, "add") for tests in TESTS * 2])
    assert {outcome.status for outcome in after} == {"passed"}


def test_no_generated_attacker_passes():
    tried(range(50))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_none_of_thousands_of_generated_attackers_passes(block):
    tried(range(1000 + 200 * block, 1200 + 200 * block))
