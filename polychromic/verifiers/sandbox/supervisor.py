"""Where programs that a model wrote are run: the supervisor's side. docs/sandbox.md says what it promises.

Each worker is a process that starts with an empty environment and forks a *fork server* before any test arrives.
For a job, the fork server forks a *candidate*, which puts itself under Landlock (files), seccomp (system calls)
and rlimits before the program reaches it; the worker forks a *test runner*, which runs the record's tests and asks
the candidate for plain values (`plain_values`). The worker itself runs no foreign code: it watches both.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import queue
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polychromic.errors import StudyError
from polychromic.verifiers.sandbox import landlock, seccomp
from polychromic.verifiers.sandbox.messages import HEADER, frame

if TYPE_CHECKING:  # started by name, in a separate process: named here so that its code counts as this module's
    from polychromic.verifiers.sandbox import worker  # noqa: F401

MEMORY = 512 << 20  # bytes of address space of a candidate
_PYTHON = os.path.realpath(sys.executable)  # a virtual environment's own: candidates have no packages
_ROOT = Path(__file__).resolve().parents[3]


def method(execution: str = "sandbox") -> str:
    """How candidates would be confined on this machine: "landlock", "bubblewrap", or "unsafe" if asked for
    by name.

    Raises:
        StudyError: nothing here can confine a candidate, or `execution` is neither "sandbox" nor "unsafe".
    """
    if execution == "unsafe":
        return "unsafe"
    if execution != "sandbox":
        raise StudyError(f'execution: "sandbox" or "unsafe", not {execution!r}')
    if sys.platform == "linux" and seccomp.supported():
        if landlock.version():
            return "landlock"
        if shutil.which("bwrap"):
            return "bubblewrap"
    raise StudyError(
        "This machine cannot confine programs that a model wrote: it has neither Landlock (Linux 5.13, "
        "x86-64 or aarch64) nor bubblewrap. Install bubblewrap, use such a machine, or accept the risk with "
        "`execution: unsafe`."
    )


def describe() -> str:
    """One line on the sandbox of this machine, after a candidate has run in it.

    Raises:
        StudyError: there is none.
    """
    how = method()
    run(
        [
            {
                "kind": "probe",
                "program": "def f(): pass",
                "entry_point": "f",
                "inputs": [[]],
                "seconds": 5.0,
                "memory": MEMORY,
            }
        ]
    )
    return f"Landlock (version {landlock.version()}) and seccomp" if how == "landlock" else "bubblewrap and seccomp"


class _Worker:
    """A running worker; one job at a time."""

    def __init__(self, how: str) -> None:
        self.how = how
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        # A fork would seed `random` again and reset locks that no candidate has: slow, and not the same twice.
        start = "import os, sys; os.register_at_fork = lambda **_: None; "
        start += (
            f"sys.path.insert(0, {str(_ROOT)!r}); from polychromic.verifiers.sandbox import worker; sys.path.pop(0)"
        )
        python = [_PYTHON, "-s", "-S", "-P", "-W", "ignore", "-X", "utf8", "-c"]
        command = [*python, f"{start}; worker.main({theirs.fileno()}, {self.how!r})"]
        if self.how == "bubblewrap":
            command = [*_bubblewrap(), *command]
        with theirs:
            self.process = subprocess.Popen(
                command,
                env={"PYTHONHASHSEED": "0"},  # sets come in the same order every time
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,  # never written to; a candidate's is a pipe too, and Python remembers the kind
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                close_fds=True,
                start_new_session=True,  # Ctrl-C is the supervisor's to handle
            )
        self.socket = ours
        self.socket.settimeout(60)
        if self._receive() is None:
            problem = self.process.stderr.read().decode(errors="replace").strip()
            self.close()
            raise StudyError(f"The sandbox ({self.how}) does not start: {problem or 'no reason given'}")

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The worker's verdict on a job. A worker that died or said more than it was asked is replaced.

        Raises:
            StudyError: the sandbox failed, or the record's tests did before they asked the program for anything.
        """
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        if poll.poll(0):  # its end, or something that is not this job's verdict
            self.close()
            self._start()
        for _ in range(2):
            self.socket.settimeout(None)  # the worker has the clocks
            try:
                self.socket.sendall(frame(json.dumps(job).encode()))
                verdict = self._receive()
            except OSError:
                verdict = None
            if verdict is not None:
                break
            self.close()
            self._start()
        else:
            return {"status": "error", "detail": "the worker died", "behaviour": None}
        if verdict["status"] == "unconfined":
            raise StudyError(f"The sandbox ({self.how}) failed: {verdict['detail']}. Nothing was run.")
        if verdict["status"] == "tests":
            raise StudyError(f"Tests that cannot be run: {verdict['detail']}. Remove the record or rewrite its tests.")
        return verdict

    def _receive(self) -> dict[str, Any] | None:
        data = b""
        while len(data) < HEADER.size or len(data) < HEADER.size + HEADER.unpack_from(data)[0]:
            part = self.socket.recv(1 << 16)
            if not part:
                return None
            data += part
        return json.loads(data[HEADER.size :])

    def close(self) -> None:
        """End the worker: its fork server notices, ends the candidate and removes the scratch folder."""
        self.socket.close()
        self.process.kill()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


def _bubblewrap() -> list[str]:
    """The view of the file system that Landlock would give, as mounts, and no network."""
    seen = {"/usr", "/lib", "/lib64", sys.base_prefix, str(_ROOT / "polychromic")}
    mounts = [part for path in sorted(seen) if os.path.exists(path) for part in ("--ro-bind", path, path)]
    return [
        "bwrap",
        "--unshare-all",
        "--cap-drop",
        "ALL",
        "--die-with-parent",
        *mounts,
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
    ]


@functools.cache
def _workers(how: str, process: int) -> queue.LifoQueue[_Worker | None]:
    """The workers of this process, one a core, each started when first used (None: not yet)."""
    workers: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
    for _ in range(len(os.sched_getaffinity(0))):
        workers.put(None)
    atexit.register(_close, workers, process)
    return workers


def _close(workers: queue.LifoQueue[_Worker | None], process: int) -> None:
    while os.getpid() == process and not workers.empty():
        if worker := workers.get():
            worker.close()


def run(jobs: Sequence[dict[str, Any]], execution: str = "sandbox") -> list[dict[str, Any]]:
    """Run jobs (see `worker`) over the workers; the verdicts in the jobs' order.

    Raises:
        StudyError: no sandbox on this machine, or tests that cannot be run in it.
    """
    if not jobs:
        return []
    workers = _workers(method(execution), os.getpid())

    def one(job: dict[str, Any]) -> dict[str, Any]:
        worker = workers.get()
        try:
            worker = worker or _Worker(method(execution))
            return worker.run(job)
        except BaseException:  # an interrupted worker still owes a verdict, which the next job must not read
            if worker:
                worker.close()
            worker = None
            raise
        finally:
            workers.put(worker)

    if len(jobs) == 1:
        return [one(jobs[0])]
    with ThreadPoolExecutor(min(len(jobs), workers.qsize() or 1)) as pool:
        return list(pool.map(one, jobs))
