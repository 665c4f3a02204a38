"""One worker of the sandbox: it forks each job's processes, watches them and reports the verdict.

`python -c "...worker.main(fd, method)"` with an empty environment; jobs arrive as JSON over the socket `fd`,
one at a time. No foreign code runs in the worker: a candidate is forked by the fork server, and tests run in a
fork of the worker, which is gone after the job.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
from contextlib import suppress
from typing import Any

from polychromic.verifiers.sandbox import fork_server, landlock, plain_values, test_runner
from polychromic.verifiers.sandbox.candidate import READY
from polychromic.verifiers.sandbox.messages import HEADER, frame
from polychromic.verifiers.sandbox.watch import Candidate, Clock, Ended

_NOBODY = 65534
_VERDICTS = ("passed", "failed", "error", "forbidden", "output", "tests", "unconfined")  # that a test runner may give


def main(descriptor: int, method: str) -> None:
    """Serve jobs until the supervisor goes away. `method`: "landlock", "bubblewrap" or "unsafe"."""
    # Its number is the supervisor's, which may be any. (Forks close all numbers below DESCRIPTORS; to close every
    # possible one takes minutes where Python lacks close_range.)
    jobs = socket.socket(fileno=os.dup(descriptor))
    os.close(descriptor)
    if method != "bubblewrap":  # which has done so, in a user namespace without other users
        drop_privileges()
    scratch = tempfile.mkdtemp(prefix="polychromic-")
    folder = os.path.join(scratch, "home")
    fork_server.preload(folder)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        fork_server.main(theirs, jobs, method == "landlock", method != "unsafe", folder)
        os.chdir("/")
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(0)
    theirs.close()
    worker = _Worker(ours, landlock.for_python() if method == "landlock" else None, scratch, folder)
    jobs.sendall(frame(b"{}"))
    while (job := _receive(jobs)) is not None:
        jobs.sendall(frame(json.dumps(worker.run(job)).encode()))
    os._exit(0)


class _TestRunner:
    """The process that runs tests: for one record, or for any number of those that leave no trace in it."""

    def __init__(self, rules: int | None) -> None:
        self.socket, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            test_runner.main(theirs, rules)
        theirs.close()
        self.clock = Clock(self.pid)

    def start(self, job: dict[str, Any], candidate: Candidate) -> None:
        """Hand it a job and the candidate's channel."""
        self.clock.start()
        data = json.dumps(job).encode()
        with suppress(OSError), candidate.channel as channel:  # the test runner's from now on
            socket.send_fds(self.socket, [HEADER.pack(len(data))], [channel.fileno()])
            self.socket.sendall(data)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.socket.close()
        self.clock.close()


class _Worker:
    def __init__(self, control: socket.socket, rules: int | None, scratch: str, folder: str) -> None:
        self.control, self.rules, self.scratch, self.folder = control, rules, scratch, folder
        self.runner: _TestRunner | None = None
        self.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run one job, {"kind": "check" | "asserts" | "stdio" | "probe", "program", "seconds", "memory", ...}.

        Returns {"status", "detail", "behaviour"}; the last for probes that all return plain values, and scripts.
        """
        kinds = {"stdio": self._run_cases, "probe": self._probe}
        behaviour = None
        try:
            behaviour = kinds.get(job["kind"], self._test)(job)
            status, detail = "passed", ""
        except Ended as ended:
            status, detail = ended.status, ended.detail
        return {"status": "error" if status == "exit" else status, "detail": detail[:300], "behaviour": behaviour}

    def _candidate(self, job: dict[str, Any], stdin: int) -> Candidate:
        return Candidate(self.control, job["seconds"], job["memory"], stdin, self.nothing, self.folder)

    def _test(self, job: dict[str, Any]) -> None:
        try:
            compiled = test_runner.compiled(job["setup"] + "\n" + job["code"], job["entry_point"])
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Ended("tests", f"{type(error).__name__}: {error}") from None
        runner = self.runner = self.runner or _TestRunner(self.rules)
        candidate = self._candidate(job, self.nothing)
        ended = None
        try:
            runner.start(job, candidate)
            status, detail = _verdict(candidate.watch(runner.socket.fileno(), runner.clock))
            if status == test_runner.GONE:
                candidate.wait(1.0)
        except Ended as limit:
            ended = limit
        finally:
            if ended or status == "unreadable" or not compiled.plain:
                runner.end()
                self.runner = None
            how = candidate.end()
        if ended:
            raise ended
        if status == test_runner.GONE:
            raise how
        if status != "passed":
            raise Ended("error" if status == "unreadable" else status, detail)

    def _probe(self, job: dict[str, Any]) -> str:
        request = {"do": "probe", "program": job["program"], "name": job["entry_point"], "inputs": job["inputs"]}
        said, how, _ = self._run_alone(job, self.nothing, request)
        if how.status == "exit" and said.startswith(b"="):
            return said[1:].decode("ascii", "replace")
        raise Ended("error", said[1:].decode("utf-8", "replace")) if how.status == "exit" else how

    def _run_cases(self, job: dict[str, Any]) -> str:
        """Every case in its own process; the first that does not pass decides. Without an expected output
        any will do.
        """
        behaviour = []
        for number, case in enumerate(job["cases"], start=1):
            with tempfile.TemporaryFile(dir=self.scratch) as stdin:
                stdin.write(case["input"].encode("utf-8", "surrogateescape"))
                stdin.seek(0)
                said, how, printed = self._run_alone(job, stdin.fileno(), {"do": "main", "program": job["program"]})
            if (how.status, how.detail) != ("exit", "exit code 0"):
                why = said.decode("utf-8", "replace") or how.detail
                forbidden = said.startswith(b"PermissionError")
                raise Ended("forbidden" if forbidden else how.status, f"case {number}: {why}")
            words = printed.decode("utf-8", "replace").split()
            if case["output"] is not None and words != case["output"].split():
                raise Ended("failed", f"case {number}: another output")
            behaviour.append(" ".join(words))
        return json.dumps(behaviour)

    def _run_alone(self, job: dict[str, Any], stdin: int, request: dict[str, Any]) -> tuple[bytes, Ended, bytes]:
        """Run a request to the candidate's end: what came over its channel, how it ended, what it printed."""
        candidate = self._candidate(job, stdin)
        try:
            _send_request(candidate.channel, request)
            said = candidate.watch(candidate.channel.fileno())
        finally:
            how = candidate.end()
        if not said.startswith(READY):
            raise Ended("unconfined", "a candidate's process could not be confined")
        return said[1:], how, candidate.printed


def _send_request(channel: socket.socket, request: dict[str, Any]) -> None:
    try:
        channel.sendall(frame(plain_values.dumps(request)))
    except OSError:
        return  # it is gone; how it ended says why


def _verdict(data: bytes) -> tuple[str, str]:
    """A test runner's verdict. The record's tests share its process, so it may be anything."""
    try:
        status, detail = json.loads(data)
    except (ValueError, TypeError, RecursionError):
        return "unreadable", "the tests ended their process"
    if status not in (*_VERDICTS, test_runner.GONE):
        return "unreadable", "not one verdict"
    return status, str(detail)


def _receive(jobs: socket.socket) -> dict | None:
    header = jobs.recv(HEADER.size, socket.MSG_WAITALL)
    if len(header) < HEADER.size:
        return None
    data = bytearray()
    while len(data) < HEADER.unpack(header)[0]:
        part = jobs.recv(1 << 20)
        if not part:
            return None
        data += part
    return json.loads(data)


def drop_privileges() -> None:
    """Where the study runs as root: become nobody, or, if nobody cannot read this interpreter, an ordinary
    user 0.

    An ordinary user 0 has no capability left, so root is confined as any user is, by Landlock and seccomp.
    """
    if os.geteuid() != 0:
        return
    os.seteuid(_NOBODY)
    readable = os.access(os.__file__, os.R_OK, effective_ids=True)
    os.seteuid(0)
    os.setgroups([])
    if readable:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        return
    header = struct.pack("=Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
