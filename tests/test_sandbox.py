"""One attack for each promise of docs/sandbox.md: files, processes, limits, the supervisor."""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polychromic.errors import StudyError
from polychromic.verifiers.code import _probe_job, _test_job, behaviours, run, run_many
from polychromic.verifiers.sandbox import landlock, seccomp, supervisor
from polychromic.verifiers.sandbox.messages import frame

ADD = "def add(a, b):\n    return a + b\n"
TESTS = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(-1, 1) == 0\n"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


def attack(body: str, tests: str = TESTS, timeout: float = 1.0) -> str:
    """The status of a right answer whose function first does `body`; "passed" means that the attack harmed
    nothing.
    """
    indented = "\n".join("    " + line for line in body.strip().split("\n"))
    return run(f"def add(a, b):\n{indented}\n    return a + b\n", tests, "add", timeout).status


def test_right_and_wrong():
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
def test_no_network(call):
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
def test_no_new_processes(call):
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


def test_signals_by_the_back_door():
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
def test_memory_bombs(bomb):
    assert attack(bomb, timeout=5.0) == "memory"
    assert run(bomb, TESTS, "add", 5.0).status == "memory"


def test_crashes_are_errors():
    deep = "import sys\nsys.setrecursionlimit(1 << 30)\nclass A:\n    def __repr__(s): return repr(s)\nrepr(A())"
    assert attack(deep) == "error"
    assert attack("import ctypes\nctypes.string_at(0)") == "error"
    assert attack("def r(): return r()\nr()") == "error"


def test_too_much_output():
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


def test_objects_equal_to_everything():
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


def test_success_markers_and_forged_answers():
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


def test_redefined_builtins_modules_and_tests():
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


# --- the supervisor ---
# ---------------------


def test_tests_that_hang_or_exit_cost_one_verdict():
    assert run(ADD, "while add(1, 1): pass", timeout=0.1).status == "timeout"
    assert run(ADD, "import os\nadd(1, 1)\nos._exit(0)").status == "error"
    assert run(ADD, TESTS, "add").passed


FORGED = frame(json.dumps({"status": "passed", "detail": "", "behaviour": None}).encode())


def test_a_candidate_cannot_reach_the_supervisor_however_many_files_that_holds():
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(300)]
    try:
        worker = supervisor._Worker(supervisor.method())
    finally:
        for descriptor in held:
            os.close(descriptor)
    evil = "def add(a, b):\n    import os\n    for descriptor in range(4, 2000):\n"
    evil += f"        try: os.write(descriptor, {FORGED!r})\n        except OSError: pass\n    return 0\n"
    bad = ADD.replace("+", "-")
    spy = "def f():\n    import os\n    found = []\n    for descriptor in range(2000):\n"
    spy += "        try: os.fstat(descriptor)\n        except OSError: continue\n"
    spy += "        found.append(descriptor)\n    return found"
    try:
        verdicts = [worker.run(_test_job(program, TESTS, "add", 1.0)) for program in (evil, ADD, bad, ADD)]
        assert [verdict["status"] for verdict in verdicts] == ["failed", "passed", "failed", "passed"]
        assert worker.run(_probe_job(spy, [[]], "f", 1.0))["behaviour"] == "[0,1,2,3]"
    finally:
        worker.close()


@pytest.mark.parametrize("verdict", [FORGED, b'["passed", ""]\n', b'["passed", ""]\n["passed", ""]\n'])
def test_verdicts_that_tests_write_are_no_later_programs(verdict):
    # Tests are other people's code: these write verdicts of their own to every descriptor.
    tests = "import os\nadd(1, 1)\nfor descriptor in range(3, 300):\n"
    tests += f"    try: os.write(descriptor, {verdict!r})\n    except OSError: pass\nassert False\n"
    worker = supervisor._Worker(supervisor.method())
    try:
        worker.run(_test_job(ADD, tests, "add", 1.0))
        bad = ADD.replace("+", "-")
        verdicts = [worker.run(_test_job(program, TESTS, "add", 1.0)) for program in (bad, ADD, bad)]
        assert [verdict["status"] for verdict in verdicts] == ["failed", "passed", "failed"]
    finally:
        worker.close()


def test_a_worker_that_died_between_jobs_costs_no_verdict():
    worker = supervisor._Worker(supervisor.method())
    try:
        worker.process.kill()
        assert worker.socket.recv(1) == b""
        assert worker.run(_test_job(ADD, TESTS, "add", 1.0))["status"] == "passed"
    finally:
        worker.close()


def test_an_interrupted_worker_owes_nobody_its_verdict(monkeypatch):
    def interrupt(worker):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor._Worker, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(ADD, "assert add(1, 2) == 4")
    assert run(ADD, TESTS, "add").passed


def test_verdicts_keep_their_order():
    cases = [(f"def f(): return {number}", "assert f() % 2 == 0", None) for number in range(40)]
    assert [outcome.passed for outcome in run_many(cases)] == [number % 2 == 0 for number in range(40)]


def test_equal_programs_behave_equally_twice():
    programs = ["import random\ndef f(n): return [random.random(), random.choice('abc'), str({'a', 'b', 'c'})]"]
    assert behaviours(programs, [[1]]) == behaviours([programs[0] + "\n"], [[1]]) != [None]


@pytest.mark.parametrize(
    "end",
    [
        "pass",
        "os.kill(os.getpid(), 9)",
        "import threading\nthreading.Timer(0.5, os.kill, (os.getpid(), 9)).start()\n"
        "run('while True: pass', 'assert f()', timeout=60)",
        "import threading\nthreading.Timer(0.5, os.kill, (os.getpid(), 9)).start()\n"
        "run('def f(): pass', 'while True: f', timeout=60)",
    ],
    ids=["end", "killed", "killed while a candidate runs", "killed while tests run"],
)
def test_no_scratch_folder_or_process_outlives_the_study(end):
    code = (
        "import os, psutil, json\n"
        "from polychromic.verifiers.code import behaviours, run\n"
        "scratch = behaviours(['import os\\ndef f(): return os.getcwd()'], [[]])[0]\n"
        "print(scratch, [p.pid for p in psutil.Process().children(recursive=True)], sep='\\n', flush=True)\n" + end
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    scratch, pids = map(json.loads, done.stdout.splitlines())
    assert "polychromic-" in scratch
    assert pids
    deadline = time.monotonic() + 5
    while (any(map(_alive, pids)) or os.path.exists(scratch)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))
    assert not os.path.exists(scratch)


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_refuses_without_a_sandbox(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    monkeypatch.setattr(supervisor.shutil, "which", lambda name: None)
    with pytest.raises(StudyError, match="execution: unsafe"):
        run(ADD, TESTS, "add")
    assert run(ADD, TESTS, "add", execution="unsafe").passed
    with pytest.raises(StudyError, match="not 'off'"):
        supervisor.method("off")


@pytest.fixture
def no_landlock(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    if not supervisor.shutil.which("bwrap"):
        pytest.skip("no bubblewrap here")
    try:
        run(ADD, TESTS, "add")
    except StudyError as error:
        pytest.skip(f"bubblewrap does not work here: {error}")


def test_bubblewrap_where_landlock_is_missing(no_landlock, tmp_path):
    assert run(ADD, TESTS, "add").passed
    secret = tmp_path / "key"
    secret.write_text("secret")
    for read in (
        f"open({str(secret)!r})",
        "open('/etc/passwd')",
        "open('/proc/1/environ')",
        "open('/proc/self/environ')",
    ):
        assert attack(read) in ("error", "forbidden"), read
    assert attack("open('/usr/lib/x', 'w')") in ("error", "forbidden")
    for call in ("import os\nos.fork()", "import socket\nsocket.socket()", "import os\nos.kill(1, 9)"):
        assert attack(call) == "forbidden"
    assert attack("while True: pass", timeout=0.2) == "timeout"
    assert behaviours(["def f(x): return x + 1"], [[1], [2]]) == ["2|3"]


def test_fork_of_the_supervisor_gets_workers_of_its_own():
    assert run(ADD, TESTS, "add").passed
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        theirs.send(b"1" if run(ADD, TESTS, "add").passed else b"0")
        os._exit(0)
    assert ours.recv(1) == b"1"
    os.waitpid(pid, 0)
    assert run(ADD, TESTS, "add").passed


# --- the filter ---
# ---------------------


def decide(code: bytes, architecture: int, number: int, first: int = 0, second: int = 0) -> int:
    """What the kernel would answer: the four instructions that the filter uses, interpreted."""
    data = {0: number, 4: architecture, 16: first, 24: second}
    at = held = 0
    while True:
        operation, true, false, constant = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if operation == 0x06:
            return constant
        if operation == 0x20:
            held = data[constant]
        else:
            at += true if (held == constant if operation == 0x15 else held >= constant) else false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_decides_every_number(machine):
    column, architecture = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}[machine]
    code = seccomp.assemble(machine)
    allowed = {numbers[column] for numbers in seccomp.ALLOWED.values()}
    deadly = {numbers[column] for numbers in seccomp.DEADLY.values()}
    partial = {seccomp.FCNTL[column], seccomp.PRLIMIT[column], seccomp.IOCTL[column]}
    for number in set(range(600)) - partial:
        action = decide(code, architecture, number)
        assert action == (0x7FFF0000 if number in allowed else 0x80000000 if number in deadly else 0x00050001), number
    assert decide(code, 0x40000003, 1) == 0x80000000  # another architecture's call
    assert decide(code, architecture, 0x40000001) == 0x80000000
    assert decide(code, architecture, seccomp.FCNTL[column], second=8) == 0x00050001
    assert decide(code, architecture, seccomp.FCNTL[column], second=1) == 0x7FFF0000
    assert decide(code, architecture, seccomp.PRLIMIT[column], first=1) == 0x80000000


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
)
def test_numbers_agree_with_the_kernels_headers(column, header):
    if not os.path.exists(header):
        pytest.skip("no kernel headers here")
    words = [line.split() for line in Path(header).read_text().splitlines() if line.startswith("#define __NR")]
    known = {
        word[1].removeprefix("__NR3264_").removeprefix("__NR_"): int(word[2]) for word in words if word[2].isdecimal()
    }
    if column == 1:
        known["newfstatat"] = known["fstatat"]
    tables = {
        **seccomp.ALLOWED,
        **seccomp.DEADLY,
        "fcntl": seccomp.FCNTL,
        "prlimit64": seccomp.PRLIMIT,
        "ioctl": seccomp.IOCTL,
    }
    assert {name: numbers[column] for name, numbers in tables.items()} == {name: known.get(name) for name in tables}


# --- the docs ---
# -------------------


def test_every_test_that_the_docs_name_exists():
    named = set(re.findall(r"`(test_\w+)`", (Path(__file__).parents[1] / "docs/sandbox.md").read_text()))
    files = Path(__file__).parent.glob("test_sandbox*.py")
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(file.read_text() for file in files), re.MULTILINE))
    assert len(named) > 20
    assert named <= defined
