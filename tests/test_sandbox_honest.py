# ruff: noqa: E501 - tables of programs
"""Honest programs: what passes in plain Python passes in the sandbox, or is listed here and in docs/sandbox.md."""

from __future__ import annotations

import subprocess
import sys

import pytest

from polychromic.verifiers.code import run

SCRIPTS = {
    "print": "print('x')",
    "sep and end": "print(1, 2, sep='-', end='!')",
    "exit": "print('x')\nexit()",
    "quit": "print('x')\nquit(0)",
    "sys.exit": "import sys\nprint('x')\nsys.exit()",
    "exit with true": "print('x')\nraise SystemExit(0)",
    "atexit": "import atexit\natexit.register(print, 'x')",
    "atexit twice": "import atexit\n@atexit.register\ndef a(): print('a')\n@atexit.register\ndef b(): print('b')",
    "a last __del__": "class A:\n    def __del__(self): print('gone')\na = A()",
    "__del__ of a cycle": "class A:\n    def __del__(self): print('gone')\na = A()\na.me = a",
    "del": "class A:\n    def __del__(self): print('gone')\na = A()\ndel a",
    "sys.stdout.write": "import sys\nsys.stdout.write('x')",
    "sys.stdout.buffer": "import sys\nsys.stdout.buffer.write(b'x')",
    "sys.__stdout__": "import sys\nprint('x', file=sys.__stdout__)",
    "os.write": "import os\nos.write(1, b'x')",
    "a wrapper of stdout": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer)\nprint('x')",
    "a buffer": "import io, sys\nold, sys.stdout = sys.stdout, io.StringIO()\nprint('x')\nold.write(sys.stdout.getvalue())",
    "open(1)": "out = open(1, 'w')\nout.write('x')",
    "redirect_stdout": "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): print('y')\nprint('x')",
    "stderr": "import sys\nprint('warning', file=sys.stderr)\nprint('x')",
    "traceback caught": "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: traceback.print_exc()\nprint('x')",
    "stdin": "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
    "input until EOF": "try:\n    while True: print(input())\nexcept EOFError: pass",
    "sys.stdin.buffer": "import sys\nprint(len(sys.stdin.buffer.read()))",
    "fileinput": "import fileinput\nfor line in fileinput.input(): print(line)",
    "open(0)": "print(open(0).read())",
    "main": "def main(): print('x')\nif __name__ == '__main__': main()",
    "zoneinfo": "import zoneinfo, datetime\nprint(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris')).utcoffset())",
    "sysconfig": "import sysconfig\nprint(sysconfig.get_python_version())",
    "expanduser": "import os\nprint(bool(os.path.expanduser('~')))",
    "home": "from pathlib import Path\nprint(bool(Path.home()))",
    "files": "open('x', 'w').write('y')\nprint(open('x').read())",
    "tempfile": "import tempfile\nwith tempfile.TemporaryFile(dir='.') as f:\n    f.write(b'x')\nprint('x')",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\nprint(P())",
    "recursion": "import sys\nsys.setrecursionlimit(5000)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(3000))",
    "heapq": "import heapq\nh = [3, 1, 2]\nheapq.heapify(h)\nprint(heapq.heappop(h))",
    "__file__": "import os\nprint(bool(os.path.dirname(os.path.abspath(__file__))))",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)",
    "generators": "def g():\n    yield 1\n    return 2\nprint(*g())",
    "sqlite3": "import sqlite3\nprint(sqlite3.connect(':memory:').execute('select 1').fetchone())",
    "unicode": "print('é 電 👋')",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertTrue(1)\nunittest.main(exit=False)\nprint('x')",
}  # fmt: skip
REFUSED_SCRIPTS = {
    "threads": "import threading\nt = threading.Thread(target=print, args=('x',))\nt.start()\nt.join()",
    "asyncio": "import asyncio\nasync def f(): print('x')\nasyncio.run(f())",
    "subprocess": "import subprocess\nprint(subprocess.run(['echo', 'x'], capture_output=True).returncode)",
    "a folder": "import os\nos.mkdir('d')\nprint('x')",
    "users": "import pwd\nprint(bool(pwd.getpwuid(0)))",
}


def plain(script: str, text: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", f"__file__ = 'candidate.py'\n{script}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts_print_what_they_print_in_plain_python(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run(script, [{"input": "3\n4\n", "output": plain(script, "3\n4\n")}])
    assert outcome.passed, outcome


@pytest.mark.parametrize("script", REFUSED_SCRIPTS.values(), ids=REFUSED_SCRIPTS.keys())
def test_scripts_that_ask_for_more_than_plain_computing_are_refused(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not run(script, [{"input": "", "output": plain(script, "")}]).passed


FUNCTIONS = {
    "Counter": ("from collections import Counter\ndef f(s): return Counter(s)", "r = f('aab')\nassert r['z'] == 0 and r.most_common(1) == [('a', 2)] and r == {'a': 2, 'b': 1}"),
    "OrderedDict": ("from collections import OrderedDict\ndef f(): return OrderedDict(a=1, b=2)", "assert list(f()) == ['a', 'b'] and f().popitem(last=False) == ('a', 1)"),
    "defaultdict": ("from collections import defaultdict\ndef f(): return defaultdict(list, {1: [2]})", "assert f() == {1: [2]}"),
    "deque": ("from collections import deque\ndef f(): return deque([1, 2])", "r = f()\nr.rotate(1)\nassert list(r) == [2, 1]"),
    "namedtuple": ("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)", "r = f()\nassert r.x == 1 and r == (1, 2) and r._asdict() == {'x': 1, 'y': 2}"),
    "NamedTuple": ("from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 3\ndef f(): return P()", "assert f().x == 3 and isinstance(f(), tuple)"),
    "nested namedtuples": ("from collections import namedtuple\nP = namedtuple('P', 'x')\ndef f(): return [P(1), {'p': P(P(2))}]", "assert f()[1]['p'].x.x == 2"),
    "enum": ("from enum import Enum\nclass C(Enum):\n    RED = 1\n    BLUE = 2\ndef f(x): return C.RED if x else C.BLUE", "assert f(1) == C.RED != C.BLUE\nassert f(0).value == 2 and f(0).name == 'BLUE'"),
    "enum in a set": ("from enum import Enum\nclass C(Enum):\n    RED = 1\ndef f(): return C.RED", "assert f() in {C.RED} and f() is not None"),
    "IntEnum": ("from enum import IntEnum\nclass C(IntEnum):\n    RED = 1\ndef f(): return C.RED", "assert f() == 1"),
    "lambda": ("def f(g, xs): return [g(x) for x in xs]", "assert f(lambda x: x + 1, [1, 2]) == [2, 3]"),
    "key": ("def f(xs, key): return sorted(xs, key=key)", "assert f([1, -3, 2], key=abs) == [1, 2, -3]\nassert f([1, -3, 2], key=lambda x: -x) == [2, 1, -3]"),
    "test function": ("def f(g): return g(2, y=3)", "def add(x, y=0): return x + y\nassert f(add) == 5"),
    "builtins": ("def f(g, *xs): return g(xs)", "assert f(sum, 1, 2) == 3 and f(max, 1, 2) == 2 and f(list, 1) == [1]"),
    "operator": ("def f(g): return g(3, 4)", "import operator\nassert f(operator.mul) == 12"),
    "math": ("def f(g): return g(4)", "import math\nassert f(math.sqrt) == 2"),
    "a function back": ("def f(g): return g", "def g(): return 7\nassert f(g) is g and f(g)() == 7"),
    "closure": ("def f(n):\n    return lambda x: x + n", "assert f(2)(3) == 5"),
    "decorator": ("def f(g):\n    def inner(*a): return 2 * g(*a)\n    return inner", "assert f(lambda x: x + 1)(2) == 6"),
    "callback that raises": ("def f(g):\n    try: return g()\n    except ValueError as e: return str(e)", "def g(): raise ValueError('no')\nassert f(g) == 'no'"),
    "callback that calls back": ("def f(g, n): return n and g(n)", "def g(n): return f(g, n - 1)\nassert f(g, 5) == 0"),
    "memo": ("def f(n, memo={}):\n    memo[n] = n\n    return len(memo)", "assert [f(1), f(2), f(2)] == [1, 2, 2]"),
    "partial": ("from functools import partial\nf = partial(pow, 2)", "assert f(3) == 8"),
    "lambda as f": ("f = lambda x: x * 2", "assert f(2) == 4"),
    "lru_cache": ("from functools import lru_cache\n@lru_cache(None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)", "assert f(50) == 12586269025"),
    "class": ("class Stack:\n    def __init__(self): self.items = []\n    def push(self, x): self.items.append(x)\n    def pop(self): return self.items.pop()", "s = Stack()\ns.push(3)\nassert s.items == [3] and s.pop() == 3 and s.items == []"),
    "static method": ("class A:\n    @staticmethod\n    def g(x): return x\n    @property\n    def p(self): return 4", "assert A.g(2) == 2 and A().p == 4"),
    "dataclass fields": ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\n    y: int = 2\ndef f(): return P(1)", "assert (f().x, f().y) == (1, 2)"),
    "the same object": ("x = object()\ndef f(): return x", "assert f() is not None and f() == f()"),
    "linked list": ("class Node:\n    def __init__(self, v, n=None): self.v, self.n = v, n\ndef f(n): return n.v + (f(n.n) if n.n else 0)", "assert f(Node(1, Node(2))) == 3"),
    "in-place sort": ("def f(xs): xs.sort()", "xs = [3, 1, 2]\nassert f(xs) is None\nassert xs == [1, 2, 3]"),
    "in-place matrix": ("def f(m):\n    for row in m: row.reverse()", "m = [[1, 2], [3, 4]]\nf(m)\nassert m == [[2, 1], [4, 3]]"),
    "in-place dict": ("def f(d): d['x'] = 1", "d = {}\nf(d)\nassert d == {'x': 1}"),
    "in-place set": ("def f(s): s.add(3)", "s = {1}\nf(s)\nassert s == {1, 3}"),
    "exception": ("def f(x):\n    if x < 0: raise ValueError('negative')", "try: f(-1)\nexcept ValueError as e: assert str(e) == 'negative'\nelse: assert False"),
    "KeyError": ("def f(): return {}['a']", "try: f()\nexcept KeyError as e: assert 'a' in str(e)\nelse: assert False"),
    "LookupError": ("def f(): return [][0]", "try: f()\nexcept LookupError: pass\nelse: assert False"),
    "UnicodeError": ("def f(): return b'\\xff'.decode()", "try: f()\nexcept UnicodeDecodeError: pass\nelse: assert False"),
    "OSError": ("def f(): return open('missing')", "try: f()\nexcept FileNotFoundError: pass\nelse: assert False"),
    "AssertionError": ("def f(x): assert x > 0, 'small'", "try: f(0)\nexcept AssertionError as e: assert str(e) == 'small'\nelse: assert False"),
    "a subclass": ("class Mine(ValueError): pass\ndef f(): raise Mine('x')", "try: f()\nexcept ValueError as e: assert type(e).__name__ == 'Mine'\nelse: assert False"),
    "assertRaises": ("def f(): raise TypeError('x')", "import unittest\nunittest.TestCase().assertRaises(TypeError, f)"),
    "StopIteration inside": ("def f(): return next(iter([]), 7)", "assert f() == 7"),
    "generator": ("def f(n):\n    for i in range(n): yield i", "assert list(f(3)) == [0, 1, 2] and next(f(2)) == 0"),
    "map": ("def f(xs): return map(str, xs)", "assert list(f([1, 2])) == ['1', '2']"),
    "zip": ("def f(): return zip([1], 'a')", "assert dict(f()) == {1: 'a'}"),
    "itertools": ("import itertools\ndef f(n): return itertools.islice(itertools.count(), n)", "assert sum(f(4)) == 6"),
    "dict views": ("def f(): return {1: 2}.items()", "assert list(f()) == [(1, 2)]"),
    "range": ("def f(n): return range(n)", "assert f(3) == range(3) and 2 in f(3)"),
    "complex": ("def f(): return 1 + 2j", "assert f().imag == 2"),
    "Decimal": ("from decimal import Decimal\ndef f(): return Decimal('0.1') * 3", "from decimal import Decimal\nassert f() == Decimal('0.3')"),
    "Fraction": ("from fractions import Fraction\ndef f(): return Fraction(1, 3)", "from fractions import Fraction\nassert f() * 3 == 1 == Fraction(1)"),
    "date": ("import datetime\ndef f(): return datetime.date(2024, 2, 28) + datetime.timedelta(1)", "assert f().day == 29"),
    "bytes": ("def f(b): return bytes(reversed(b))", "assert f(b'ab') == b'ba'"),
    "bytearray": ("def f(b): b.append(1)", "b = bytearray(b'x')\nf(b)\nassert b == b'x\\x01'"),
    "frozenset": ("def f(): return frozenset({1})", "assert f() == {1} and hash(f()) == hash(frozenset({1}))"),
    "types": ("def f(x): return type(x)", "assert f(1) is int and f('') == str and f(None) is type(None)"),
    "nan": ("def f(): return float('nan')", "assert f() != f()"),
    "inf": ("def f(): return float('inf')", "assert f() > 10**9"),
    "big": ("def f(n): return 2**n", "assert f(5000) == 1 << 5000"),
    "surrogate": ("def f(): return '\\ud800'", "assert f() == '\\ud800'"),
    "keywords": ("def f(*, a, b=2): return a + b", "assert f(a=1) == 3 == f(b=1, a=2)"),
    "star": ("def f(*args, **kw): return args, kw", "assert f(1, x=2) == ((1,), {'x': 2})"),
    "global state": ("n = 0\ndef f():\n    global n\n    n += 1\n    return n", "assert [f(), f()] == [1, 2]"),
    "constant": ("LIMIT = 3\ndef f(): return LIMIT", "assert LIMIT == f() == 3"),
    "random": ("import random\ndef f():\n    random.seed(3)\n    return random.random()", "import random\nx = f()\nrandom.seed(3)\nassert x == random.random()"),
    "regex": ("import re\ndef f(s): return re.findall(r'\\d+', s)", "assert f('a1b22') == ['1', '22']"),
    "recursion": ("def f(n): return n and 1 + f(n - 1)", "assert f(900) == 900"),
    "own abs": ("def abs(x): return x\ndef f(x): return abs(x)", "assert f(-1) == -1 and abs(-1) == 1"),
    "type hints": ("from __future__ import annotations\ndef f(x: list[int] | None) -> Nothing: return x", "assert f(None) is None"),
    "match": ("def f(x):\n    match x:\n        case [a, *_]: return a\n        case _: return None", "assert f([1, 2]) == 1"),
    "walrus": ("def f(xs): return [y for x in xs if (y := x * 2) > 2]", "assert f([1, 2]) == [4]"),
    "class attribute": ("class A:\n    n = 1\ndef f(): return A.n", "assert A.n == f() == 1"),
    "print": ("def f(): print('debug')\n", "assert f() is None"),
    "string subclass": ("class S(str): pass\ndef f(): return S('a')", "assert f() == 'a'"),
}  # fmt: skip
REFUSED_FUNCTIONS = {
    "own ==": ("class P:\n    def __init__(self, x): self.x = x\n    def __eq__(self, o): return self.x == o.x\ndef f(): return P(1)", "assert f() == P(1)"),
    "own len": ("class P:\n    def __len__(self): return 2\ndef f(): return P()", "assert len(f()) == 2"),
    "own iteration": ("class P:\n    def __iter__(self): return iter([1])\ndef f(): return P()", "assert list(f()) == [1]"),
    "own operators": ("class P:\n    def __add__(self, o): return 3\ndef f(): return P()", "assert f() + 1 == 3"),
    "own str": ("class P:\n    def __str__(self): return 'p'\ndef f(): return P()", "assert str(f()) == 'p'"),
    "isinstance": ("class P: pass\ndef f(): return P()", "assert isinstance(f(), P)"),
    "custom except": ("class Mine(Exception): pass\ndef f(): raise Mine()", "try: f()\nexcept Mine: pass"),
    "identity": ("def f(x): return x", "x = [1]\nassert f(x) is x"),
    "in place and a value": ("def f(xs):\n    xs.sort()\n    return xs", "xs = [2, 1]\nf(xs)\nassert xs == [1, 2]"),
    "an endless generator": ("import itertools\ndef f(): return itertools.count()", "assert next(f()) == 0"),
    "send": ("def f():\n    x = yield 1\n    yield x", "g = f()\nnext(g)\nassert g.send(5) == 5"),
    "type of a namedtuple": ("from collections import namedtuple\nP = namedtuple('P', 'x')\ndef f(): return P(1)", "assert type(f()) is P"),
    "default factory": ("from collections import defaultdict\ndef f(): return defaultdict(int)", "assert f()['x'] == 0"),
    "a test's object": ("def f(p): return p.x", "class P:\n    x = 1\nassert f(P()) == 1"),
    "source": ("import inspect\ndef f(): return inspect.getsource(f)", "assert 'def' in f()"),
    "coroutine": ("async def f(): return 1", "import asyncio\nassert asyncio.run(f()) == 1"),
}  # fmt: skip


def in_plain_python(program: str, tests: str) -> None:
    namespace = {"__name__": "candidate"}
    exec(compile(program, "<candidate>", "exec", dont_inherit=True), namespace)
    exec(tests, {**namespace, "abs": abs})


@pytest.mark.parametrize(("program", "tests"), FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_functions_pass_as_in_plain_python(program, tests):
    in_plain_python(program, tests)
    outcome = run(program, tests)
    assert outcome.passed, outcome


@pytest.mark.parametrize(("program", "tests"), REFUSED_FUNCTIONS.values(), ids=REFUSED_FUNCTIONS.keys())
def test_functions_that_ask_for_more_than_plain_computing_are_refused(program, tests):
    if "getsource" not in program:
        in_plain_python(program, tests)
    assert not run(program, tests).passed
