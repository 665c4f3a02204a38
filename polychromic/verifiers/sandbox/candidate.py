"""What runs in a candidate's own process: it gives up its rights, then serves one program.

Nothing here is trusted. The program can read and change all of it, so a reply means no more than "the program
says so" (`test_runner`). What the worker relies on is said before the program arrives: READY, which a process
sends once it is confined.
"""

from __future__ import annotations

import atexit
import builtins
import fcntl
import gc
import importlib
import json
import os
import resource
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any, NoReturn

from polychromic.verifiers.sandbox import landlock, plain_values, seccomp
from polychromic.verifiers.sandbox.messages import DESCRIPTORS, HEADER, MAX_MESSAGE, frame

READY = b"\x06"
# Exit codes with a meaning of their own; a program that uses them changes only the status that it fails with.
OUT_OF_MEMORY, TOO_LONG = 77, 79

CHANNEL = 3  # file descriptor of the channel
MAX_FILE = 1 << 20  # bytes of one file in the scratch folder
MAX_OPEN_FILES = 64
_IN_PLACE = (list, dict, set, bytearray)  # arguments that a call may change


def main(
    descriptors: list[int],
    limits: tuple[float, int],
    rules: int | None,
    program: Any,
    folder: str,
) -> NoReturn:
    """Confine this process, then serve until it is ended."""
    code = 1
    try:
        _confine(descriptors, limits, rules, program, folder)
        os.write(CHANNEL, READY)
        _serve(_Objects(), ModuleType("candidate"))
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    finally:
        os._exit(code)


def _confine(
    descriptors: list[int],
    limits: tuple[float, int],
    rules: int | None,
    program: Any,
    folder: str,
) -> None:
    os.chdir(folder)
    if rules is not None:
        landlock.restrict(rules)
    # First out of the way of the numbers that they are to have.
    channel, *standard = (fcntl.fcntl(descriptor, fcntl.F_DUPFD, 16) for descriptor in descriptors)
    for target, source in (*enumerate(standard), (CHANNEL, channel)):
        os.dup2(source, target)
    os.closerange(CHANNEL + 1, DESCRIPTORS)
    seconds, memory = limits
    whole = int(seconds) + 2  # the worker's clock is finer; this one holds if the worker is held up
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
    return json.loads(_read(HEADER.unpack(_read(HEADER.size))[0]))


def _read(size: int) -> bytes:
    parts = []
    while size:
        part = os.read(CHANNEL, size)
        if not part:  # nobody asks any more
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(CHANNEL, data) :]


def _send(message: dict[str, Any]) -> None:
    data = plain_values.dumps(message)
    if len(data) > MAX_MESSAGE:
        os._exit(TOO_LONG)
    _write(frame(data))


class _Objects:
    """The program's objects that the tests know by number, and the tests' functions that it was given."""

    def __init__(self) -> None:
        self.numbered: list[Any] = []
        self.numbers: dict[int, int] = {}  # id -> number; `numbered` keeps the objects alive

    def refer(self, value: Any) -> Any:
        if type(value) is _Borrowed:
            return {"function": value.number}
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.numbered)
            self.numbered.append(value)
        return {"object": self.numbers[id(value)]}

    def encode(self, value: Any) -> Any:
        return plain_values.encode(value, self.refer)

    def resolve(self, tag: str, key: Any) -> Any:
        if tag == "object":
            return self.numbered[key]
        if tag == "function":
            return _Borrowed(self, key)
        module, name = key.rsplit(".", 1)  # "named"
        return getattr(importlib.import_module(module), name)

    def decode(self, form: Any) -> Any:
        return plain_values.decode(form, self.resolve)


class _Borrowed:
    """A function of the tests; a call of it runs there."""

    def __init__(self, objects: _Objects, number: int) -> None:
        self.objects, self.number = objects, number

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        encode, decode = self.objects.encode, self.objects.decode
        keywords = {name: encode(value) for name, value in keywords.items()}
        _send({"call": self.number, "arguments": encode(list(arguments)), "keywords": keywords})
        reply = _serve(self.objects, sys.modules["candidate"])  # it may call this program in turn
        if "value" in reply:
            return decode(reply["value"])
        raise getattr(builtins, reply["raised"], Exception)(reply["message"])


def _serve(objects: _Objects, module: ModuleType) -> dict[str, Any]:
    """Answer requests with {"value": form} or {"raised": builtin type, "name": type, "message": text}, until an
    answer to a question of this process comes instead.
    """
    while "do" in (request := _receive()):
        if request["do"] == "main":
            _run_script(request["program"], module)
        elif request["do"] == "probe":
            _probe(request, module, objects)
        try:
            reply = _answer(request, module, objects)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except plain_values.TooLong:
            os._exit(TOO_LONG)
        except BaseException as error:
            reply = _raised(error)
        _send(reply)
    return request


def _load(program: str, name: str, module: ModuleType) -> None:
    module.__name__ = name
    module.__file__ = os.path.join(os.getcwd(), "candidate.py")
    sys.modules[name] = module
    exec(compile(program, "<candidate>", "exec", dont_inherit=True), module.__dict__)


def _answer(request: dict[str, Any], module: ModuleType, objects: _Objects) -> dict[str, Any]:
    match request["do"]:
        case "load":  # run the program as a module; answer which of the names it defines
            _load(request["program"], "candidate", module)
            found = [name for name in request["names"] if name in vars(module)]
            return {"value": {"dict": [[name, objects.encode(vars(module)[name])] for name in found]}}
        case "call":
            function, arguments = objects.decode(request["object"]), objects.decode(request["arguments"])
            keywords = {name: objects.decode(form) for name, form in request["keywords"].items()}
            value = function(*arguments, **keywords)
            reply = {"value": objects.encode(value)}
            if value is None:
                after = [objects.encode(given) if type(given) in _IN_PLACE else None for given in arguments]
                if any(form is not None for form in after):
                    reply["arguments"] = after
            return reply
        case "get":
            return {"value": objects.encode(getattr(objects.decode(request["object"]), request["name"]))}
        case "set":
            setattr(objects.decode(request["object"]), request["name"], objects.decode(request["value"]))
            return {"value": None}


def _probe(request: dict[str, Any], module: ModuleType, objects: _Objects) -> NoReturn:
    """Write "=" and what the function returns on each input, a canonical line each, or "!" and why not."""
    try:
        _load(request["program"], "candidate", module)
        function, values = vars(module)[request["name"]], []
        for arguments in request["inputs"]:
            form = objects.encode(function(*objects.decode(arguments)))
            values.append(plain_values.canonical(plain_values.decode(form, objects.resolve)))
        reply = "=" + "\n".join(values)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except plain_values.TooLong:
        os._exit(TOO_LONG)
    except BaseException as error:
        raised = _raised(error)
        reply = f"!{raised['raised']}: {raised['message']}"
    _write(reply.encode("utf-8", "replace"))
    os._exit(0)


def _run_script(program: str, module: ModuleType) -> NoReturn:
    """Run a program as Python runs a script, to its end: exit functions, the last objects, buffers."""
    code = 0
    try:
        _load(program, "__main__", module)
    except SystemExit as stop:
        code = 0 if stop.code in (None, 0) else 1
    except MemoryError:
        code = OUT_OF_MEMORY
    except BaseException as error:
        raised = _raised(error)
        _write(f"{raised['raised']}: {raised['message']}".encode("utf-8", "replace"))
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(Exception):
            stream.flush()
    for name in [name for name in vars(module) if not name.startswith("__")]:
        vars(module)[name] = None
    gc.collect()
    for stream in (sys.stdout, sys.__stdout__):
        with suppress(Exception):
            stream.flush()
    os._exit(code)


def _raised(error: BaseException) -> dict[str, str]:
    known = next(kind.__name__ for kind in type(error).__mro__ if vars(builtins).get(kind.__name__) is kind)
    try:
        message = str(error)[:500]
    except BaseException:
        message = ""
    return {"raised": known, "name": type(error).__name__[:100], "message": message}
