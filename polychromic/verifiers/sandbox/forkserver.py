"""The process that candidates are forked from, and what a candidate's process does.

The fork server never sees a test, an expected answer or a program: a request hands it the candidate's end of a
channel, and the program arrives there, in the fork. So whatever a candidate digs out of its own memory, of
gc or of its frames, is its own.
"""

from __future__ import annotations

import builtins
import fcntl
import gc
import importlib
import json
import os
import random
import resource
import select
import signal
import socket
import struct
import sys
from types import ModuleType
from typing import Any

from polychromic.verifiers.sandbox import landlock, plain_values, seccomp
from polychromic.verifiers.sandbox.messages import HEADER, MAX_MESSAGE, frame

# A candidate's exit codes that the test runner understands.
OUT_OF_MEMORY, NOT_CONFINED, TOO_LONG = 77, 78, 79

CHANNEL = 3  # file descriptor of the channel in the candidate's process
MAX_FILE = 1 << 20  # bytes of one file in the scratch folder
MAX_OPEN_FILES = 64

# What answers commonly import, loaded once before the fork.
_PRELOADED = (
    "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "queue", "random", "re",
    "statistics", "string", "textwrap", "typing",
)  # fmt: skip

SPAWN = struct.Struct("!dQ")  # CPU seconds, bytes of memory
STATUS = struct.Struct("!id")  # wait status, CPU seconds used


def preload() -> None:
    """Import what candidates commonly need, and freeze it so that forks share the pages."""
    for name in _PRELOADED:
        importlib.import_module(name)
    os.environ.clear()
    random.seed(0)
    gc.freeze()


def main(control: socket.socket, supervisor: socket.socket, rules: int | None, filtered: bool, scratch: str) -> None:
    """Fork one candidate a request until the test runner or the supervisor goes away; then end the test runner too.

    A request is SPAWN with three descriptors (channel, stdin, stdout); the answer is the pid. The next
    message, whatever it says, ends the candidate; the answer is STATUS.
    """
    test_runner = os.getppid()
    preload()
    program = seccomp.prepare() if filtered else None
    # The supervisor's socket kept the number that it has there, which may be any. No candidate may hold it: it
    # could write its own verdict. (To close all numbers that there are takes minutes where Python lacks close_range.)
    highest = max(255, control.fileno(), supervisor.fileno(), rules or 0)
    # The supervisor never writes here while a candidate runs: only that it hung up is news.
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(supervisor, 0)

    def told() -> bool:
        """Wait for a message; whether there is one."""
        return all(descriptor == control.fileno() and not event & select.POLLHUP for descriptor, event in poll.poll())

    while told():
        request, descriptors, _, _ = socket.recv_fds(control, 64, 3)
        pid = os.fork()
        if pid == 0:
            code = NOT_CONFINED
            try:
                _confine(descriptors, highest, *SPAWN.unpack(request), rules, program, scratch)
                code = 0
                _serve()
            except MemoryError:
                code = OUT_OF_MEMORY
            finally:
                os._exit(code)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(struct.pack("!i", pid))
        wanted = told()
        os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        for name in os.listdir(scratch):
            os.unlink(os.path.join(scratch, name))
        if not wanted:
            break
        control.recv(1)
        control.send(STATUS.pack(status, usage.ru_utime + usage.ru_stime))
    if os.getppid() == test_runner:  # it may be waiting for tests that never end
        os.kill(test_runner, signal.SIGKILL)


def _confine(
    descriptors: list[int], highest: int, seconds: float, memory: int, rules: int | None, program: Any, scratch: str
) -> None:
    """Give up, in this fork, all that a candidate may not have. An exception here ends it before the
    program arrives.
    """
    os.chdir(scratch)
    if rules is not None:
        landlock.restrict(rules)
    # First out of the way of the numbers that they are to have.
    channel, stdin, stdout = (fcntl.fcntl(descriptor, fcntl.F_DUPFD, 16) for descriptor in descriptors)
    for target, source in ((0, stdin), (1, stdout), (2, stdout), (CHANNEL, channel)):
        os.dup2(source, target)
    os.closerange(CHANNEL + 1, highest + 1)
    whole = int(seconds) + 2  # the test runner's clock is finer; this one holds if the test runner is held up
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, whole, whole + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, MAX_FILE, MAX_FILE),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(kind, (soft, hard))
    if program is not None:
        seccomp.restrict(program[0])


def _receive() -> Any:
    """The test runner's next request. Its end of the channel never closes before this process is killed."""
    size = HEADER.unpack(_read(HEADER.size))[0]
    return json.loads(_read(size))


def _read(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(CHANNEL, size)
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _send(reply: dict[str, Any]) -> None:
    data = plain_values.dumps(reply)
    if len(data) > MAX_MESSAGE:
        os._exit(TOO_LONG)
    data = frame(data)
    while data:
        data = data[os.write(CHANNEL, data) :]


class _Objects:
    """What the trusted side knows by number only."""

    def __init__(self) -> None:
        self.numbered: list[Any] = []

    def refer(self, value: Any) -> int:
        self.numbered.append(value)
        return len(self.numbered) - 1

    def encode(self, value: Any) -> Any:
        return plain_values.encode(value, self.refer)

    def decode(self, form: Any) -> Any:
        return plain_values.decode(form, self.numbered.__getitem__)


def _serve() -> None:
    """Answer requests with {"value": form} or {"raised": builtin type, "name": type, "message": text}."""
    objects = _Objects()
    module = ModuleType("candidate")
    while True:
        request = _receive()
        try:
            reply = {"value": _answer(request, module, objects)}
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except OverflowError as error:
            if "an iterator of more than" in str(error):
                os._exit(TOO_LONG)
            reply = _raised(error)
        except BaseException as error:
            reply = _raised(error)
        _send(reply)


def _answer(request: dict[str, Any], module: ModuleType, objects: _Objects) -> Any:
    match request["do"]:
        case "load":  # run the program as a module; answer which of the names asked for it defines
            module.__name__ = request["as"]
            sys.modules[request["as"]] = module
            exec(compile(request["program"], "<candidate>", "exec", dont_inherit=True), module.__dict__)
            return {
                "dict": [
                    [name, objects.encode(vars(module)[name])] for name in request["names"] if name in vars(module)
                ]
            }
        case "main":  # run the program as a script; what it prints is its answer
            module.__name__ = "__main__"
            sys.modules["__main__"] = module
            try:
                exec(compile(request["program"], "<candidate>", "exec", dont_inherit=True), module.__dict__)
            except SystemExit as stop:
                if stop.code not in (None, 0):
                    raise
            finally:
                sys.stdout.flush()
            return None
        case "probe":  # the function's values on many inputs in one go
            function = vars(module)[request["name"]]
            return [objects.encode(function(*objects.decode(arguments))) for arguments in request["inputs"]]
        case "call":
            function = objects.decode(request["object"])
            keywords = {name: objects.decode(form) for name, form in request["keywords"].items()}
            return objects.encode(function(*objects.decode(request["arguments"]), **keywords))
        case "get":
            return objects.encode(getattr(objects.decode(request["object"]), request["name"]))
        case "set":
            setattr(objects.decode(request["object"]), request["name"], objects.decode(request["value"]))
            return None


def _raised(error: BaseException) -> dict[str, str]:
    known = next(kind.__name__ for kind in type(error).__mro__ if vars(builtins).get(kind.__name__) is kind)
    try:
        message = str(error)[:500]
    except BaseException:
        message = ""
    return {"raised": known, "name": type(error).__name__[:100], "message": message}
