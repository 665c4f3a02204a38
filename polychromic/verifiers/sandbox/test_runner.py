"""The trusted side: runs a record's tests and asks the candidate's process for values.

The tests see the candidate as `Remote` objects. A call goes over the channel and comes back as plain
values; a reference to one of the candidate's own objects stays a `Remote`, equal only to itself. Names that
tests use are, in this order: their own, Python's builtins, modules of the standard library (imported here),
the candidate's. So a candidate that redefines `abs`, `math` or `check` changes nothing here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import json
import math
import os
import random
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from typing import Any

from polychromic.verifiers.sandbox import forkserver, plain_values
from polychromic.verifiers.sandbox.messages import HEADER, MAX_MESSAGE, frame


class Ended(BaseException):
    """The candidate's process is over; not an Exception, so that tests that catch all do not catch it."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


class CandidateError(Exception):
    """An exception of a type of the candidate's own."""


class Remote:
    """One of the candidate's objects: may be called, asked for attributes and given them, and is equal to
    itself only.
    """

    __slots__ = ("_candidate", "_number")

    def __init__(self, candidate: Candidate, number: int) -> None:
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        encode = self._candidate.encode
        return self._candidate.ask(
            do="call",
            object={"object": self._number},
            arguments=encode(list(arguments)),
            keywords={name: encode(value) for name, value in keywords.items()},
        )

    def __getattr__(self, name: str) -> Any:
        return self._candidate.ask(do="get", object={"object": self._number}, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._candidate.ask(do="set", object={"object": self._number}, name=name, value=self._candidate.encode(value))


class Candidate:
    """One candidate's process: asked over its channel, watched for time and output, ended with `close`."""

    def __init__(self, control: socket.socket, seconds: float, memory: int, stdin: int) -> None:
        self.control, self.seconds = control, seconds
        self.printed = b""
        self.ended: Ended | None = None
        self.raised: BaseException | None = None
        ours, theirs = socket.socketpair()
        self.stdout, written = os.pipe()
        try:
            socket.send_fds(control, [forkserver.SPAWN.pack(seconds, memory)], [theirs.fileno(), stdin, written])
        finally:
            theirs.close()
            os.close(written)
        self.pid = struct.unpack("!i", control.recv(4))[0]
        self.channel = ours
        self.channel.setblocking(False)
        os.set_blocking(self.stdout, False)
        self.poll = select.poll()
        self.poll.register(self.channel, select.POLLIN)
        self.poll.register(self.stdout, select.POLLIN)
        now = time.monotonic()
        # CPU seconds decide, so that a busy machine changes no result; a sleeper is given twice that by the
        # wall clock.
        self.deadline, self.last = now + seconds, now + 2 * seconds + 1

    def encode(self, value: Any) -> Any:
        def number(thing: Any) -> int:
            if isinstance(thing, Remote) and thing._candidate is self:
                return thing._number
            raise TypeError(f"tests hand the candidate a {type(thing).__name__}; only plain values can be sent")

        return plain_values.encode(value, number)

    def ask(self, **request: Any) -> Any:
        """Send a request and return the value of its answer.

        Raises:
            Ended: the process is over.
            Exception: what the candidate raised, as the builtin type it derives from.
        """
        if self.ended:
            raise self.ended
        try:
            self._send(frame(plain_values.dumps(request)))
            reply = json.loads(self._receive())
            if "value" in reply:
                return plain_values.decode(reply["value"], functools.partial(Remote, self))
            kind, text = str(reply["raised"]), f"{reply['name']}: {reply['message']}"
        except Ended as ended:
            self.ended = ended
            raise
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self.ended = Ended("error", f"an answer that is no value ({error})")
            raise self.ended from None
        kind = getattr(builtins, kind, CandidateError)
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            kind = CandidateError
        if not issubclass(kind, Exception):  # SystemExit and the like
            self.ended = Ended("error", text)
            raise self.ended
        try:
            self.raised = kind(text)
        except TypeError:  # UnicodeDecodeError wants five arguments
            self.raised = CandidateError(text)
        raise self.raised

    def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self.channel.send(data) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)
            except OSError:
                raise self._death() from None

    def _receive(self) -> bytes:
        data = bytearray()
        size = None
        while size is None or len(data) < size:
            self._wait(select.POLLIN)
            try:
                part = self.channel.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                part = b""
            if not part:
                raise self._death()
            data += part
            if size is None and len(data) >= HEADER.size:
                size = HEADER.unpack_from(data)[0] + HEADER.size
                if size > MAX_MESSAGE + HEADER.size:
                    raise Ended("output", f"an answer of {size:,} bytes")
        if len(data) > size:
            raise Ended("error", "more than one answer to a question")
        return bytes(data[HEADER.size :])

    def _wait(self, event: int) -> None:
        """Until the channel is ready for `event`; drains what is printed meanwhile."""
        self.poll.modify(self.channel, event)
        while True:
            ready = self.poll.poll(max(0, math.ceil(1000 * (self.deadline - time.monotonic()))))
            if any(descriptor == self.stdout for descriptor, _ in ready):
                self.drain()
            if any(descriptor == self.channel.fileno() for descriptor, _ in ready):
                return
            if time.monotonic() >= self.deadline:
                self._check_clock()

    def _check_clock(self) -> None:
        now = time.monotonic()
        try:
            used = time.clock_gettime(~self.pid << 3 | 2)  # the process's CPU clock; see clock_getcpuclockid(3)
        except OSError:
            used = self.seconds
        if used >= self.seconds or now >= self.last:
            raise Ended("timeout", f"{used:.1f} s of CPU, limit {self.seconds:g} s")
        self.deadline = min(self.last, now + self.seconds - used)

    def drain(self) -> None:
        """Take what was printed so far."""
        while True:
            try:
                part = os.read(self.stdout, 1 << 16)
            except BlockingIOError:
                return
            if not part:
                self.poll.unregister(self.stdout)
                os.close(self.stdout)
                self.stdout = -1
                return
            self.printed += part
            if len(self.printed) > MAX_MESSAGE:
                raise Ended("output", f"printed more than {MAX_MESSAGE:,} bytes")

    def _death(self) -> Ended:
        """The channel closed by itself: how did the process end?"""
        status, used = self.close()
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number == signal.SIGSYS:
                return Ended("forbidden", "a system call that no answer needs")
            if number == signal.SIGXCPU or (number == signal.SIGKILL and used >= self.seconds):
                return Ended("timeout", f"{used:.1f} s of CPU, limit {self.seconds:g} s")
            if number == signal.SIGKILL:
                return Ended("memory", "killed by the system")
            return Ended("error", f"ended by {signal.Signals(number).name}")
        code = os.WEXITSTATUS(status)
        if code == forkserver.NOT_CONFINED:
            return Ended("unconfined", "the sandbox could not be set up in a candidate's process")
        named = {forkserver.OUT_OF_MEMORY: "memory", forkserver.TOO_LONG: "output"}
        return Ended(named.get(code, "exit"), f"exit code {code}")

    def close(self) -> tuple[int, float]:
        """End the process; its wait status and CPU seconds. Harmless when repeated."""
        if self.channel is not None:
            self.control.send(b"x")
            self.status = forkserver.STATUS.unpack(self.control.recv(forkserver.STATUS.size))
            self.channel.close()
            self.channel = None
            if self.stdout >= 0:
                os.close(self.stdout)
        return self.status


def judge(control: socket.socket, job: dict[str, Any], scratch: str) -> dict[str, Any]:
    """Run one job, {"kind": "check" | "asserts" | "stdio" | "probe", "program", "seconds", "memory", ...}.

    Returns {"status", "detail"} and, for probes that all return plain values, "behaviour".
    """
    random.seed(0)
    if job["kind"] == "stdio":
        return _judge_stdio(control, job, scratch)
    with open(os.devnull, "rb") as nothing:
        candidate = Candidate(control, job["seconds"], job["memory"], nothing.fileno())
    behaviour = None
    try:
        if job["kind"] == "probe":
            candidate.ask(do="load", program=job["program"], names=[], **{"as": "candidate"})
            values = candidate.ask(do="probe", name=job["entry_point"], inputs=job["inputs"])
            behaviour = "|".join(map(plain_values.canonical, values))
        else:
            _run_tests(candidate, job)
        status, detail = "passed", ""
    except Ended as ended:
        status, detail = ended.status, ended.detail
    except MemoryError:
        status, detail = "failed", "an answer too large to compare"
    except BaseException as error:
        status, detail = _blame(error, candidate)
    finally:
        candidate.close()
    if candidate.ended:  # tests may catch what they like; an ended candidate passes nothing
        status, detail = candidate.ended.status, candidate.ended.detail
    if status == "exit":
        status = "error"
    return {"status": status, "detail": detail[:300], "behaviour": behaviour if status == "passed" else None}


def _blame(error: BaseException, candidate: Candidate) -> tuple[str, str]:
    """The status that an exception out of the tests means."""
    detail = f"{type(error).__name__}: {error}"
    if "only plain values can be sent" in str(error):
        return "tests", detail
    if error is candidate.raised:
        return ("forbidden" if isinstance(error, PermissionError) else "error"), str(error)
    return ("error" if isinstance(error, NameError | SyntaxError) else "failed"), detail


def _run_tests(candidate: Candidate, job: dict[str, Any]) -> None:
    entry, code = job["entry_point"], job["setup"] + "\n" + job["code"]
    tree = ast.parse(code)
    modules, remote = _free_names(tree, entry)
    namespace: dict[str, Any] = {
        "__name__": "tests",
        **{name: importlib.import_module(name) for name in modules},
    }
    wanted = sorted(remote | ({entry} if entry else set()))
    given = candidate.ask(do="load", program=job["program"], names=wanted, **{"as": "candidate"})
    if entry and entry not in given:
        raise NameError(f"the program defines no {entry!r}")
    namespace |= given
    exec(compile(tree, "<tests>", "exec"), namespace)
    if job["kind"] == "check":
        namespace["check"](given[entry])


def _free_names(tree: ast.AST, entry: str | None) -> tuple[set[str], set[str]]:
    """Names that the tests use and do not define: the standard library's modules, and what the candidate
    must define.
    """
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)} | set(vars(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.alias):
            own.add((node.asname or node.name).split(".")[0])
    free = {node.id for node in names if isinstance(node.ctx, ast.Load)} - own
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    bare = {node.id for node in names if id(node) not in bases}
    modules = {name for name in free & sys.stdlib_module_names if name not in bare and name != entry}
    return modules, free - modules


def _judge_stdio(control: socket.socket, job: dict[str, Any], scratch: str) -> dict[str, Any]:
    """Every case in a process of its own; the first that does not pass decides. Without an expected output
    any will do.
    """
    behaviour = []
    for number, case in enumerate(job["cases"], start=1):
        status, detail, output = _run_script(control, job, case["input"], scratch)
        if status == "passed" and case["output"] is not None and output != case["output"].split():
            status, detail = "failed", "another output"
        if status != "passed":
            return {"status": status, "detail": f"case {number}: {detail}"[:300], "behaviour": None}
        behaviour.append(" ".join(output))
    return {"status": "passed", "detail": "", "behaviour": json.dumps(behaviour)}


def _run_script(control: socket.socket, job: dict[str, Any], text: str, scratch: str) -> tuple[str, str, list[str]]:
    """Status, detail and the words printed."""
    with tempfile.TemporaryFile(dir=scratch) as stdin:
        stdin.write(text.encode("utf-8", "surrogateescape"))
        stdin.seek(0)
        candidate = Candidate(control, job["seconds"], job["memory"], stdin.fileno())
    try:
        candidate.ask(do="main", program=job["program"])
        candidate.drain()
        status, detail = "passed", ""
    except Ended as ended:
        status, detail = ended.status, ended.detail
        if status == "exit":  # os._exit: what was printed counts, as it would on a judge's machine
            status = "passed" if detail == "exit code 0" else "error"
    except MemoryError:
        status, detail = "memory", ""
    except Exception as error:
        status, detail = _blame(error, candidate)
    finally:
        candidate.close()
    return status, detail, candidate.printed.decode("utf-8", "replace").split()
