"""The supervisor and its workers: what they survive, and that nothing outlives them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_sandbox import ADD, TESTS, attack

from polychromic.errors import StudyError
from polychromic.verifiers.code import _probe_job, _test_job, behaviours, run, run_many
from polychromic.verifiers.sandbox import landlock, supervisor
from polychromic.verifiers.sandbox.messages import frame

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")


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
    assert behaviours(["def f(x): return x + 1"], [[1], [2]]) == ["2\n3"]


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
