"""Time, memory, files and state: what a job may use up, and that nothing of it reaches the next."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from polychromic.verifiers.code import behaviours, run, run_many
from polychromic.verifiers.extraction import extract

ADD = "def add(a, b):\n    return a + b\n"
TESTS = "def check(candidate):\n    assert candidate(1, 2) == 3\n"

# Values that cost the tests more than they cost the candidate: equal hashes, a search without an end, a huge integer.
COLLIDING = "def f(x): return {i * (2**61 - 1): 0 for i in range(1, 60_000)}"
COSTLY = {
    "a search": ("def f(x): return range(10**18)", "assert 0.5 in f(1)"),
    "a list": ("def f(x): return range(10**18)", "assert list(f(1)) == [1]"),
    "a huge integer": (
        "from decimal import Decimal\ndef f(x): return Decimal('1E+999999999')",
        "assert int(f(1)) == 1",
    ),
    "a power": ("def f(x): return 10**9", "assert 2 ** (2 ** f(1)) == 1"),
    "colliding hashes": (COLLIDING, "assert f(1) == {1: 2}"),
    "colliding hashes in a set": (
        COLLIDING.replace("{", "set(").replace(": 0", "").replace("}", ")"),
        "assert f(1) == {1}",
    ),
    "text": ("def f(x): return 10**12", "assert 'a' * f(1) == 'a'"),
}


@pytest.mark.parametrize(("program", "tests"), COSTLY.values(), ids=COSTLY.keys())
def test_answers_that_are_costly_to_compare_end_the_job(program, tests):
    start = time.monotonic()
    cpu = sum(os.times()[2:4])
    assert run(program, tests, "f", timeout=0.3).status in ("timeout", "failed", "memory", "output")
    assert sum(os.times()[2:4]) - cpu < 3
    assert time.monotonic() - start < 20  # many times what it takes, for busy machines
    assert run(ADD, TESTS, "add").passed


def test_answers_that_are_costly_to_compare_end_the_probe():
    for program, _ in COSTLY.values():
        behaviours([program], [[1]], "f", timeout=0.3)
    assert behaviours([ADD], [[1, 2]], "add") == ["3"]


@pytest.mark.parametrize("stream", ["stderr", "stdout", "__stderr__", "__stdout__"])
def test_tests_may_print(stream):
    tests = f"import sys\nprint('x' * 200_000, file=sys.{stream}, flush=True)\nassert add(1, 2) == 3"
    assert run(ADD, tests, "add").passed
    assert run("import os, sys\nos.write(2, b'x' * 200_000)\n" + ADD, TESTS, "add").passed


STATE = [
    "from decimal import getcontext\ngetcontext().prec = 2",
    "import builtins\nbuiltins.sorted = lambda *a: []",
    "import sys\nsys.modules['math'] = None",
    "import math\nmath.floor = lambda x: 7",
    "import sys\nsys.setrecursionlimit(60)",
    "import os\nos.environ['x'] = 'y'\nos.chdir('/')",
    "import random\nrandom.seed(7)",
    "import collections\ncollections.Counter.update = None",
    "import gc\ngc.disable()",
    "import signal\nsignal.alarm(1)",
    "import sys\nsys.stdout = None\nsys.path.clear()",
    "import warnings\nwarnings.simplefilter('error')",
    "__builtins__['abs'] = None",
    'import json\njson.loads = None\njson.dumps = lambda x: \'["passed", ""]\'',
]
CHECKS = """
import builtins, collections, decimal, gc, json, math, os, random, signal, sys, warnings
def check(candidate):
    assert candidate(1, 2) == 3
    assert decimal.getcontext().prec == 28 and sorted([2, 1]) == [1, 2] and math.floor(1.5) == 1 and abs(-1) == 1
    assert sys.getrecursionlimit() >= 1000 and 'x' not in os.environ and sys.path and gc.isenabled()
    assert collections.Counter('aa') == {'a': 2} and json.loads('1') == 1 and json.dumps(1) == '1'
    assert random.random() == 0.8444218515250481 and signal.getitimer(signal.ITIMER_REAL)[0] == 0
"""


@pytest.mark.parametrize("change", STATE)
def test_no_state_of_tests_reaches_the_next(change):
    run_many([(ADD, f"{change}\nadd(1, 2)", "add")] * 4)
    assert {outcome.status for outcome in run_many([(ADD, CHECKS, "add")] * 4)} == {"passed"}
    assert {outcome.status for outcome in run_many([(ADD, TESTS, "add")] * 4)} == {"passed"}


@pytest.mark.parametrize("change", STATE)
def test_no_state_of_a_candidate_reaches_the_next(change):
    run_many([(f"{change}\n{ADD}", TESTS, "add")] * 4)
    seen = CHECKS[: CHECKS.index("def check")] + "def add(a, b):\n    state(lambda *a: 3)\n    return a + b\n"
    seen += CHECKS[CHECKS.index("def check") :].replace("def check", "def state")
    assert {outcome.status for outcome in run_many([(seen, TESTS, "add")] * 4)} == {"passed"}


BUSY = "import time\nend = time.process_time() + {0}\nwhile time.process_time() < end: pass\n"


def test_cpu_seconds_decide_on_a_busy_machine():
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * len(os.sched_getaffinity(0)))
    ]
    try:
        began = time.monotonic()
        assert run(BUSY.format(0.35) + ADD, TESTS, "add", timeout=0.5).status == "passed"
        assert time.monotonic() - began > 0.5
        assert run(BUSY.format(1) + ADD, TESTS, "add", timeout=0.2).status == "timeout"
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.parametrize(
    "nap",
    ["time.sleep(60)", "while True: time.sleep(0.01)", "while True: os.sched_yield()"],
)
def test_sleepers_end(nap):
    program = f"import os, time\ndef add(a, b):\n    {nap}\n"
    start = time.monotonic()
    assert run(program, TESTS, "add", timeout=0.2).status == "timeout"
    assert time.monotonic() - start < 20
    assert run(ADD, "import time\nadd(1, 2)\ntime.sleep(60)", "add", timeout=0.2).status == "timeout"


WRITES = {
    "many files": "for i in range(3000): open(f'f{i}', 'w').close()",
    "many files, then none": "for i in range(3000): open(f'f{i}', 'w').close(); os.unlink(f'f{i}')",
    "hidden": "open('.x', 'w').write('y')",
    "the folder above": "open('../x', 'w').write('y')",
    "renamed": "open('x', 'w').close(); os.rename('x', '../y')",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_no_file_reaches_the_next(write):
    run_many([(f"import os\ntry:\n    {write}\nexcept OSError: pass\n{ADD}", TESTS, "add")] * 4)
    look = "import os\ndef f():\n    try: above = os.listdir('..')\n    except OSError: above = []\n"
    look += "    return [os.listdir('.'), [name for name in above if name != 'home'], os.stat('.').st_size]"
    fresh = "import os\nos.listdir('.')\n" + look
    assert len(set(behaviours([fresh, *(f"{look}\n# {n}" for n in range(4))], [[]], "f"))) == 1
    assert behaviours([look], [[]], "f")[0].startswith("[[],[],")


def test_files_are_limited_together():
    fill = "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(b'x' * (1 << 20))"
    assert run(fill, TESTS, "add", timeout=5.0).status in ("output", "timeout")
    many = "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').close()"
    assert run(many, TESTS, "add", timeout=5.0).status in ("output", "timeout")


def test_installed_packages_cannot_be_read():
    import numpy

    site = os.path.dirname(os.path.dirname(numpy.__file__))
    system = [os.path.join(os.path.dirname(os.__file__), "site-packages"), "/usr/lib/python3/dist-packages", site]
    assert run(f"import sys\nsys.path += {system!r}\nimport numpy, pip\n{ADD}", TESTS, "add").status in (
        "error",
        "forbidden",
    )
    read = "import os\ndef f(folder):\n    for top, _, names in os.walk(folder):\n        for name in names:\n"
    read += "            if name.endswith('.py'):\n                try: open(os.path.join(top, name)).close()\n"
    read += "                except OSError: continue\n                return name\n"
    assert set(behaviours([read], [[folder] for folder in system], "f")) == {"null\nnull\nnull"}


@pytest.mark.parametrize(
    "text",
    [
        "@x\n" * 500,
        "def f(x):\n" * 500,
        "if x:\n" * 500,
        "import os\n(" * 400,
        "x = (\n" * 2000,
        "```python\n@x\n```\n" * 300,
        "for the reason that:\n" * 1000,
        "class A:\n  def f(self)\n" * 300,
        "def f(x):\n    return (\n" * 200,
        "x = 1\n" * 100_000 + ")",
        "    " * 100_000,
        "```" * 50_000,
    ],
)
@pytest.mark.parametrize("entry_point", [None, "f"])
def test_extraction_is_bounded(text, entry_point):
    start = time.process_time()
    extract(text, "def f(x):\n    ...\n", entry_point)
    assert time.process_time() - start < 2.5
