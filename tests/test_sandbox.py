"""One attack for each promise of docs/sandbox.md: files, processes, limits, the supervisor."""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import time
from pathlib import Path

import pytest

from polychromic.verifiers.code import run

ADD = "def add(a, b):\n    return a + b\n"
TESTS = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def attack(body: str, tests: str = TESTS, timeout: float = 1.0) -> str:
    """The status of a right answer whose function first does `body`; "passed" means that the attack harmed
    nothing.
    """
    indented = "\n".join("    " + line for line in body.strip().split("\n"))
    return run(f"def add(a, b):\n{indented}\n    return a + b\n", tests, "add", timeout).status


def test_a_right_program_passes_and_a_wrong_one_fails():
    assert run(ADD, TESTS, "add").passed
    wrong = run(ADD.replace("+", "-"), TESTS, "add")
    assert (wrong.passed, wrong.status) == (False, "failed")


# --- files and secrets
# -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/self/maps",
        "/proc/1/environ",
        "/proc/self/mem",
        "/sys/kernel",
    ],
)
def test_system_files_cannot_be_read(path):
    assert attack(f"open({path!r}, 'rb').read(1)") == "forbidden"


def test_users_files_cannot_be_read(tmp_path):
    secret = tmp_path / "key"
    secret.write_text("secret")
    secret.chmod(0o666)
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o777)
    assert attack(f"open({str(secret)!r}).read()") == "forbidden"
    assert attack(f"import os\nos.listdir({str(tmp_path)!r})") == "forbidden"
    assert attack(f"open({__file__!r}).read()") == "forbidden"


def test_environment_is_empty(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    assert attack("import os\nassert dict(os.environ) == {'HOME': os.getcwd()}, dict(os.environ)") == "passed"
    # nor does the C library still hold what the parent had
    peek = "import ctypes\nget = ctypes.CDLL(None).getenv\nget.restype = ctypes.c_char_p\n"
    peek += "assert get(b'ANTHROPIC_API_KEY') is None"
    assert attack(peek) == "passed"


def test_standard_library_can_be_imported():
    assert attack("import colorsys, xml.dom.minidom, sqlite3, ctypes, uuid") == "passed"


# --- writing ---
# -------------------


def test_nothing_else_can_be_written(tmp_path):
    tmp_path.chmod(0o777)
    target = tmp_path / "written"
    target.write_text("before")
    target.chmod(0o666)
    assert attack(f"open({str(tmp_path / 'new')!r}, 'w')") == "forbidden"
    assert attack(f"open({str(target)!r}, 'w')") == "forbidden"
    there, new = repr(str(target)), repr(str(tmp_path / "made"))
    for call in (
        f"os.truncate({there}, 0)",
        f"os.unlink({there})",
        f"os.chmod({there}, 0)",
        f"os.mkdir({new})",
        f"os.utime({there})",
        f"os.rename({there}, 'x')",
        f"os.symlink('/etc', {new})",
        f"os.link({there}, 'x')",
        "os.mkdir('x')",
        "os.symlink('/etc/passwd', 'x')",
        "os.mkfifo('x')",
    ):
        assert attack(f"import os\n{call}") == "forbidden", call
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["written"]


def test_scratch_folder_is_flat_small_and_emptied():
    assert attack("with open('x', 'w') as f:\n    f.write('kept')\nassert open('x').read() == 'kept'") == "passed"
    # The same worker or another: nothing is left of it.
    assert {attack("import os\nassert os.listdir('.') == []") for _ in range(2 * os.cpu_count())} == {"passed"}
    assert attack("open('x', 'wb').write(b'x' * (2 << 20))") == "error"


# --- network, processes, signals
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "import socket\nsocket.socket()",
        "import socket\nsocket.socket(socket.AF_UNIX)",
        "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "import socket\nsocket.socketpair()",
        "import socket\nsocket.getaddrinfo('localhost', 80)",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')",
        "import asyncio\nasyncio.new_event_loop()",
    ],
)
def test_the_network_is_out_of_reach(call):
    assert attack(call) == "forbidden"


@pytest.mark.parametrize(
    "call",
    [
        "import os\nos.fork()",
        "import os\nwhile True:\n    os.fork()",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    os.fork()",
        "import subprocess\nsubprocess.run(['/bin/true'])",
        "import os\nos.system('true')",
        "import os\nos.execv('/bin/true', ['true'])",
        "import os\nos.posix_spawn('/bin/true', ['true'], {})",
        "import threading\nthreading.Thread(target=print).start()",
        "import multiprocessing\nmultiprocessing.Process(target=print).start()",
    ],
)
def test_no_process_can_be_started(call):
    assert attack(call) == "forbidden"


@pytest.mark.parametrize(
    "call",
    [
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(-1, 9)",
        "import os\nos.killpg(0, 9)",
        "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), 9)",
        "import resource, os\nresource.prlimit(os.getppid(), resource.RLIMIT_AS, (0, 0))",
        "import ctypes\nctypes.CDLL(None).ptrace(16, __import__('os').getppid(), 0, 0)",
        "import ctypes\nctypes.CDLL(None).process_vm_readv(__import__('os').getppid(), 0, 0, 0, 0, 0)",
        "import ctypes\nctypes.CDLL(None).syscall(425, 1, 0)",  # io_uring_setup
        "import ctypes\nctypes.CDLL(None).syscall(0x40000000)"
        if os.uname().machine == "x86_64"
        else "import os\nos.fork()",
    ],
)
def test_nobody_else_can_be_harmed(call):
    assert attack(call) == "forbidden"
    assert run(ADD, TESTS, "add").passed


def test_no_signal_is_sent_by_the_back_door():
    aim = "import fcntl, os\nfcntl.fcntl(3, fcntl.F_SETOWN, os.getppid())"
    assert attack(aim) == "forbidden"
    for call in (
        "os.sched_setaffinity(os.getppid(), [0])",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.setuid(1)",
    ):
        assert attack(f"import os\n{call}") == "forbidden", call


def test_limits_cannot_be_lifted():
    assert attack("import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))") == "error"


# --- time, memory, output
# ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "import signal\nfor n in {2, 14, 15, 24, 26}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
        "import time\ntime.sleep(1000)",
        "(9 ** 9 ** 9)",
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    ],
)
def test_endless_loops_end(loop):
    start = time.monotonic()
    assert attack(loop, timeout=0.2) == "timeout"
    assert time.monotonic() - start < 10  # many times what it takes, for busy machines


def test_timeout_counts_cpu_seconds():
    busy = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass"
    assert attack(busy, timeout=0.5) == "passed"


@pytest.mark.parametrize(
    "bomb", ["x = []\nwhile True: x.append(' ' * 10_000)", "bytearray(1 << 40)", "x = 'x' * (1 << 32)"]
)
def test_memory_bombs_end_the_program_alone(bomb):
    assert attack(bomb, timeout=5.0) == "memory"
    assert run(bomb, TESTS, "add", 5.0).status == "memory"


def test_crashes_are_errors():
    deep = "import sys\nsys.setrecursionlimit(1 << 30)\nclass A:\n    def __repr__(s): return repr(s)\nrepr(A())"
    assert attack(deep) == "error"
    assert attack("import ctypes\nctypes.string_at(0)") == "error"
    assert attack("def r(): return r()\nr()") == "error"


def test_too_much_output_ends_the_program():
    assert attack("for _ in range(1024): print('x' * (1 << 20))", timeout=10) == "output"
    assert attack("import os\nfor _ in range(1024): os.write(2, b'x' * (1 << 20))", timeout=10) == "passed"  # nowhere
    assert run("def f(): return 'x' * (1 << 24)", "assert f()").status == "output"
    assert run("def f(): return __import__('itertools').count()", "assert f()").status == "output"


# --- cheating ---
# -------------------


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "def add(a, b):\n    import os\n    os._exit(0)",
        "def add(a, b):\n    raise SystemExit(0)",
        "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)",
        "",
        "x = 1",
    ],
)
@pytest.mark.parametrize("tests", [TESTS, "try:\n    assert add(1, 2) == 3\nexcept BaseException:\n    pass"])
def test_leaving_before_the_tests_is_no_pass(program, tests):
    assert run(program, tests, "add").status == "error"


def test_objects_equal_to_everything_do_not_pass():
    equal = "class E(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
    equal += "    __hash__ = int.__hash__\n"
    assert run(equal + "def add(a, b): return E()", TESTS, "add").status == "failed"
    assert (
        run(
            equal.replace("(int)", "").replace("int.__hash__", "None") + "def add(a, b): return E()",
            TESTS,
            "add",
        ).status
        == "failed"
    )
    fake = "class E:\n    __class__ = int\n    def __eq__(self, o): return True\ndef add(a, b): return E()"
    assert run(fake, TESTS + "    assert isinstance(candidate(1, 2), int)\n", "add").status == "failed"


def test_success_markers_and_forged_answers_do_not_pass():
    forged = json.dumps({"value": 3}).encode()
    frame = struct.pack("!I", len(forged)) + forged
    marker = "print('PASSED')\nprint('{\"status\": \"passed\"}')\nimport os\n"
    assert run(marker + "os.write(1, b'passed'); os._exit(0)", TESTS, "add").status == "error"
    # Answers written ahead of the questions are answers of the candidate's all the same: no expected value
    # is known there.
    early = f"import os\nos.write(3, {frame!r} * 10)\ndef add(a, b): return 0"
    assert run(early, TESTS, "add").status == "error"
    for garbage in (
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]",
        b"\0\0\0\5hello",
        struct.pack("!I", 200_000) + b"[" * 200_000,
        struct.pack("!I", 26) + b'{"value":{"object":"x"}}  ',
    ):
        outcome = run(f"import os\nos.write(3, {garbage!r})\ndef add(a, b): return a + b", TESTS, "add")
        assert outcome.status in ("error", "output"), garbage[:10]
    assert run("import os\nos.write(3, b'\\xff' * 9)\n" + ADD, TESTS, "add").status == "output"


def test_redefined_builtins_modules_and_tests_do_not_pass():
    tests = "def check(candidate):\n    three = candidate(1, 2)\n    assert math.isclose(three, 3)\n"
    tests += "    assert abs(three) == 3\n    assert len([three]) == 1\n"
    liar = (
        "class math:\n    isclose = staticmethod(lambda *a: True)\n"
        "class Three(int):\n    def __eq__(self, o): return True\n"
        "def abs(x): return Three()\n"
        "def check(c): pass\n"
        "def add(a, b): return 0\n"
        "import builtins, sys\nbuiltins.abs = abs\nsys.modules['math'] = math\nAssertionError = 3\n"
    )
    assert run(liar, tests, "add").status == "failed"
    assert run(ADD + liar.replace("def add(a, b): return 0\n", ""), tests, "add").status == "passed"


def test_frames_and_gc_hold_no_expected_answer():
    # The number is in the tests only: no object that the candidate can reach may hold it or the tests'
    # text. It is computed anew for each comparison (a is 1), or the spy would find it in itself.
    tests = "def check(candidate):\n    assert candidate(1, 2) == 98765\n"
    spy = (
        "def add(a, b):\n"
        "    import gc, sys\n"
        "    seen, todo = set(), [*gc.get_objects(), *sys._current_frames().values()]\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        todo += [frame.f_locals, frame.f_globals, frame.f_code.co_consts]; frame = frame.f_back\n"
        "    while todo:\n"
        "        thing = todo.pop()\n"
        "        if id(thing) in seen: continue\n"
        "        seen.add(id(thing))\n"
        "        if type(thing) is int and thing == a * 98764 + 1: return thing\n"
        "        if type(thing) is str and str(a * 98764 + 1) in thing: return a * 98764 + 1\n"
        "        if type(thing) is not type(sys) or thing is sys: todo += gc.get_referents(thing)\n"
        "    return 0\n"
    )
    assert run(spy, tests, "add", timeout=20.0).status == "failed"
    assert run(spy + "hidden = [98765]\n", tests, "add", timeout=20.0).status == "passed"  # it does see what is there


def test_tests_cannot_be_patched_through_their_arguments():
    tests = "given = [3, 1, 2]\nassert f(given) == [1, 2, 3]\nassert given == [3, 1, 2]\n"
    assert run("def f(x):\n    x.clear()\n    return [1, 2, 3]", tests, "f").status == "passed"  # a copy was cleared


def test_values_of_the_tests_side_are_plain():
    program = "class P:\n    def __init__(self, x): self.x = x\ndef f(p): return p.x * 2\ndef g(p): return p"
    assert run(program, "p = P(3)\np.x = p.x + 1\nassert f(p) == 8\nassert g(p).x == 4").passed
    assert run(program, "assert g(P(3)) == P(3)").status == "failed"  # equal to itself only


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        ("return dict.fromkeys(x).keys()", "assert set(f([1, 2, 2])) == {1, 2} == f([2, 1])\nassert 1 in f([1])"),
        ("return dict.fromkeys(x).keys()", "assert list(f([2, 1, 2])) == [2, 1]"),
        ("return {v: -v for v in x}.values()", "assert sorted(f([1, 2])) == [-2, -1]"),
        (
            "import collections\n    return collections.Counter(x).items()",
            "assert len(f('aab')) == 2\nassert ('a', 2) in f('aab')",
        ),
        ("import array\n    return array.array('i', x)", "assert list(f([2, 1])) == [2, 1]\nassert f([2, 1])[0] == 2"),
        ("return list(x)", "assert f({1: 2}.keys()) == [1]"),
    ],
)
def test_views_and_arrays_are_values(program, tests):
    assert run(f"def f(x):\n    {program}", tests, "f").status == "passed"


# --- the docs ---
# -------------------


def test_every_test_that_the_docs_name_exists():
    named = set(re.findall(r"`(test_\w+)`", (Path(__file__).parents[1] / "docs/sandbox.md").read_text()))
    files = Path(__file__).parent.glob("test_sandbox*.py")
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(file.read_text() for file in files), re.MULTILINE))
    assert len(named) > 20
    assert named <= defined
