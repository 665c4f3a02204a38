"""Where a record's tests run: a process forked for them, that asks the candidate for values.

The tests see the candidate as `Remote` objects. A call goes over the channel and comes back as plain values; a
reference to one of the candidate's own objects stays a `Remote`, equal only to itself. A reply is the candidate's
word about the question that was asked and nothing else: the only names that it can define are those that the
tests lack, and an exception of its own is a `CandidateError` whatever it says it is.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import fcntl
import functools
import importlib
import json
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from polychromic.verifiers.sandbox import landlock, plain_values
from polychromic.verifiers.sandbox.candidate import READY
from polychromic.verifiers.sandbox.fork_server import PRELOADED
from polychromic.verifiers.sandbox.messages import DESCRIPTORS, HEADER, MAX_MESSAGE, frame
from polychromic.verifiers.sandbox.test_source import free_names, leaves_no_trace

GONE = "gone"  # the verdict on a candidate whose process is over: the worker knows how it ended
_MEMORY = 1 << 30  # bytes; tests of a huge answer must not take the machine
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class Ended(BaseException):
    """The candidate has no more to say; not an Exception, so that tests that catch all do not catch it."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


class CandidateError(Exception):
    """What the candidate raised. Where it said a builtin type, the exception also is of that type, but for those
    that steer the tests' own code (StopIteration ends a `map`).
    """

    def __str__(self) -> str:
        return self.args[0] if self.args else ""


@functools.lru_cache(64)
def _exception(known: str, name: str) -> type[CandidateError]:
    kind = getattr(builtins, known, None)
    plain = isinstance(kind, type) and issubclass(kind, Exception) and kind is not Exception
    steering = (StopIteration, StopAsyncIteration, ExceptionGroup)
    if not plain or issubclass(kind, steering):
        return type(name, (CandidateError,), {})
    return type(name, (CandidateError, kind), {"__init__": lambda self, text: Exception.__init__(self, text)})


class Remote:
    """One of the candidate's objects: may be called, asked for attributes and given them, and is equal to
    itself only.
    """

    __slots__ = ("_candidate", "_number")

    def __init__(self, candidate: Candidate, number: int) -> None:
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_number", number)

    def __eq__(self, other: object) -> bool:
        return type(other) is Remote and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._candidate.call(self, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        return self._candidate.ask(do="get", object={"object": self._number}, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._candidate.ask(do="set", object={"object": self._number}, name=name, value=self._candidate.encode(value))


class Candidate:
    """The candidate's process, seen over its channel."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.calls = 0
        self.ended: Ended | None = None
        self.broken: AssertionError | None = None  # in a function of the tests that the candidate called
        self.lent: list[Callable[..., Any]] = []

    def encode(self, value: Any) -> Any:
        return plain_values.encode(value, self._refer)

    def decode(self, form: Any) -> Any:
        return plain_values.decode(form, self._resolve)

    def _refer(self, thing: Any) -> Any:
        if type(thing) is Remote:
            return {"object": thing._number}
        if callable(thing):
            module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
            if module in (*PRELOADED, "builtins") and getattr(sys.modules[module], name, None) is thing:
                return {"named": f"{module}.{name}"}
            self.lent.append(thing)
            return {"function": len(self.lent) - 1}
        raise TypeError(f"the tests hand over a {type(thing).__name__}, which cannot be sent")

    def _resolve(self, tag: str, key: Any) -> Any:
        if tag == "object" and type(key) is int:
            return Remote(self, key)
        if tag == "function" and type(key) is int and 0 <= key < len(self.lent):
            return self.lent[key]
        raise ValueError("no reference of a candidate's")

    def load(self, program: str, names: Sequence[str]) -> dict[str, Any]:
        """Run the program; those of the names that it defines."""
        given = self.ask(do="load", program=program, names=list(names))
        if type(given) is not dict:
            raise self._end(Ended("error", "an answer that is no value"))
        return {name: given[name] for name in names if name in given}

    def call(self, function: Remote, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The function's value. A function that returns None may have changed its arguments; it does so here too."""
        self.calls += 1
        reply = self._exchange(
            do="call",
            object={"object": function._number},
            arguments=self.encode(list(arguments)),
            keywords={name: self.encode(value) for name, value in keywords.items()},
        )
        value = self._value(reply)
        if value is None and "arguments" in reply:
            self._change(arguments, reply["arguments"])
        return value

    def _change(self, arguments: tuple[Any, ...], forms: Any) -> None:
        for given, form in zip(arguments, forms if type(forms) is list else (), strict=False):
            if form is None or type(given) not in (list, dict, set, bytearray):
                continue
            after = self._value({"value": form})
            if type(after) is not type(given):
                continue
            if isinstance(given, list | bytearray):
                given[:] = after
            else:
                given.clear()
                given.update(after)

    def ask(self, **request: Any) -> Any:
        """Send a request and return the value of its answer.

        Raises:
            Ended: the process is over.
            CandidateError: what the candidate raised.
        """
        return self._value(self._exchange(**request))

    def _value(self, reply: dict[str, Any]) -> Any:
        try:
            return self.decode(reply["value"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._end(Ended("error", f"an answer that is no value ({error})")) from None

    def _exchange(self, **request: Any) -> dict[str, Any]:
        """The reply that holds a value; functions of the tests are called for the candidate meanwhile."""
        if self.ended:
            raise self.ended
        self._send(request)
        while True:
            reply = self._receive()
            if "call" in reply:
                self._send(self._call_back(reply))
            elif "raised" in reply:
                raise self._raised(reply)
            else:
                return reply

    def _call_back(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            function = self._resolve("function", request["call"])
            keywords = {str(name): self.decode(form) for name, form in request["keywords"].items()}
            return {"value": self.encode(function(*self.decode(request["arguments"]), **keywords))}
        except (Exception, MemoryError) as error:
            if isinstance(error, AssertionError):
                self.broken = self.broken or error  # the candidate may catch it
            known = next(kind.__name__ for kind in type(error).__mro__ if vars(builtins).get(kind.__name__) is kind)
            return {"raised": known, "message": str(error)[:500]}

    def _raised(self, reply: dict[str, Any]) -> BaseException:
        known, name, message = (str(reply.get(part, ""))[:500] for part in ("raised", "name", "message"))
        kind = getattr(builtins, known, None)
        if isinstance(kind, type) and issubclass(kind, BaseException) and not issubclass(kind, Exception):
            return self._end(Ended("error", f"{name}: {message}"))  # SystemExit and the like
        return _exception(known, name if name.isidentifier() else "Exception")(message)

    def _end(self, ended: Ended) -> Ended:
        self.ended = ended
        return ended

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.channel.sendall(frame(plain_values.dumps(message)))
        except OSError:
            raise self._end(Ended(GONE)) from None

    def _receive(self) -> dict[str, Any]:
        size = HEADER.unpack(self._read(HEADER.size))[0]
        if size > MAX_MESSAGE:
            raise self._end(Ended("output", f"an answer of {size:,} bytes"))
        data = self._read(size)
        if self._peeked():
            raise self._end(Ended("error", "more than one answer to a question"))
        try:
            reply = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise self._end(Ended("error", f"an answer that is no value ({error})")) from None
        if type(reply) is not dict:
            raise self._end(Ended("error", "an answer that is no value"))
        return reply

    def _peeked(self) -> bytes:
        """What has come unasked; nothing where the process is over."""
        try:
            return self.channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return b""

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self.channel.recv(min(size - len(data), 1 << 20))
            except OSError:
                part = b""
            if not part:
                raise self._end(Ended(GONE))
            data += part
        return bytes(data)


@dataclass(frozen=True)
class Tests:
    """A record's tests, compiled.

    Attributes:
        modules: of the standard library, that they use without importing them.
        imports: their own imports, None where they have none.
        wanted: the names that the candidate must give.
        plain: they leave no trace in the process that runs them.
    """

    modules: tuple[str, ...]
    imports: Any
    code: Any
    wanted: tuple[str, ...]
    plain: bool


@functools.lru_cache(64)
def compiled(source: str, entry_point: str | None) -> Tests:
    """Compile tests, once for the programs that they judge.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: they are not Python.
    """
    tree = ast.parse(source)
    modules, remote = free_names(tree, entry_point)
    own = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    imports = compile(ast.Module(own, []), "<tests>", "exec") if own else None
    wanted = remote | ({entry_point} if entry_point else set())
    code = compile(tree, "<tests>", "exec")
    return Tests(tuple(sorted(modules)), imports, code, tuple(sorted(wanted)), leaves_no_trace(tree))


def main(worker: socket.socket, rules: int | None) -> NoReturn:
    """Serve the worker until it ends this process: a job comes with the candidate's channel, [status, detail] and
    a line's end go back.
    """
    try:
        jobs = _enter(worker, rules)
        while True:
            header, descriptors, _, _ = socket.recv_fds(jobs, HEADER.size, 1)
            if not header:
                break
            job = json.loads(jobs.recv(HEADER.unpack(header)[0], socket.MSG_WAITALL))
            tests = compiled(job["setup"] + "\n" + job["code"], job["entry_point"])
            random.seed(0)
            with socket.socket(fileno=descriptors[0]) as channel:
                status, detail = _judge(Candidate(channel), tests, job)
            jobs.sendall(json.dumps([status, detail[:300]]).encode() + b"\n")
    finally:
        os._exit(0)


def _enter(worker: socket.socket, rules: int | None) -> socket.socket:
    """Give up what tests do not need, and die with the worker."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if rules is not None:
        landlock.restrict(rules)
    nowhere = os.open(os.devnull, os.O_RDWR)
    sources = (nowhere, nowhere, nowhere, worker.fileno())
    sources = [fcntl.fcntl(source, fcntl.F_DUPFD, 16) for source in sources]  # out of the way of the targets
    for target, source in enumerate(sources):
        os.dup2(source, target)
    os.closerange(len(sources), DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    return socket.socket(fileno=len(sources) - 1)


def _judge(candidate: Candidate, tests: Tests, job: dict[str, Any]) -> tuple[str, str]:
    namespace: dict[str, Any] = {"__name__": "tests"}
    try:
        for name in tests.modules:
            namespace[name] = importlib.import_module(name)
        if tests.imports:
            exec(tests.imports, namespace)
    except BaseException as error:  # the candidate has not said a word
        return "tests", _described(error)
    if candidate.channel.recv(1) != READY:
        return "unconfined", "a candidate's process could not be confined"
    status, detail = "passed", ""
    try:
        _run_tests(candidate, tests, job, namespace)
    except Ended as ended:
        status, detail = ended.status, ended.detail
    except MemoryError:
        status, detail = "failed", "an answer too large to compare"
    except CandidateError as error:
        status, detail = ("forbidden" if isinstance(error, PermissionError) else "error"), _described(error)
    except NameError as error:
        status, detail = "error", _described(error)
    except BaseException as error:
        status, detail = "failed", _described(error)
    if candidate.ended:  # tests may catch what they like; a candidate that is over passes nothing
        return candidate.ended.status, candidate.ended.detail
    if candidate.broken:
        return "failed", _described(candidate.broken)
    return status, detail


def _run_tests(candidate: Candidate, tests: Tests, job: dict[str, Any], namespace: dict[str, Any]) -> None:
    entry = job["entry_point"]
    given = candidate.load(job["program"], tests.wanted)
    if entry and entry not in given:
        raise NameError(f"the program defines no {entry!r}")
    namespace |= given
    exec(tests.code, namespace)
    if job["kind"] == "check":
        namespace["check"](given[entry])
    if not candidate.calls and all(type(value) is Remote for value in given.values()):
        raise Ended("error", "the tests called nothing of the program")


def _described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {str(error)[:300]}"
    except BaseException:
        return type(error).__name__
