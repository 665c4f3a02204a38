"""The process that candidates are forked from.

It never sees a test, an expected answer or a program: a request hands it the candidate's end of a channel, and
the program arrives there, in the fork. So whatever a candidate finds in its own memory is its own.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
import gc
import importlib
import os
import random
import select
import shutil
import signal
import socket
import struct
from typing import Any

from polychromic.verifiers.sandbox import candidate, landlock, seccomp

# What answers and tests commonly import, loaded once before the first fork.
PRELOADED = (
    "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "operator", "queue", "random", "re",
    "statistics", "string", "textwrap", "typing",
)  # fmt: skip

SPAWN = struct.Struct("!dQ")  # CPU seconds, bytes of memory
STATUS = struct.Struct("!id")  # wait status, CPU seconds used
REQUEST_DESCRIPTORS = 4  # channel, stdin, stdout, stderr


def preload(home: str) -> None:
    """Make the state that every candidate and every test starts from; frozen, so that forks share the pages."""
    for name in PRELOADED:
        importlib.import_module(name)
    for name in ("exit", "quit"):  # which only the `site` module would define
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D"))
    os.environ.clear()
    os.environ["HOME"] = home  # without one the C library asks for it over a socket
    random.seed(0)
    gc.freeze()


def main(control: socket.socket, supervisor: socket.socket, confined: bool, filtered: bool, folder: str) -> None:
    """Fork one candidate a request until the worker or the supervisor goes away; then end the worker too.

    A request is SPAWN with its descriptors; the answer is the process id. The next message, whatever it says,
    ends the candidate; the answer is STATUS.

    Args:
        confined: whether candidates go under Landlock.
        filtered: whether they get a system call filter.
        folder: to be made; their working directory, a new one after each candidate that writes to it.
    """
    worker = os.getppid()
    program = seccomp.prepare() if filtered else None
    scratch = _Scratch(folder, confined)
    # The supervisor never writes here while a candidate runs: only that it hung up is news.
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(supervisor, 0)

    def has_message() -> bool:
        """Wait for a message; whether there is one."""
        return all(descriptor == control.fileno() and not event & select.POLLHUP for descriptor, event in poll.poll())

    while has_message():
        request, descriptors, _, _ = socket.recv_fds(control, 64, REQUEST_DESCRIPTORS)
        pid = os.fork()
        if pid == 0:
            candidate.main(descriptors, SPAWN.unpack(request), scratch.rules, program, folder)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(struct.pack("!i", pid))
        wanted = has_message()
        os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        scratch.renew()
        if not wanted:
            break
        control.recv(1)
        control.send(STATUS.pack(status, usage.ru_utime + usage.ru_stime))
    if os.getppid() == worker:
        os.kill(worker, signal.SIGKILL)


class _Scratch:
    """The folder that a candidate may write to, and Landlock's ruleset with it (None without Landlock)."""

    def __init__(self, folder: str, confined: bool) -> None:
        self.folder, self.confined = folder, confined
        self._make()

    def _make(self) -> None:
        os.mkdir(self.folder, 0o700)
        self.made = os.stat(self.folder).st_mtime_ns
        self.rules = landlock.for_python(self.folder) if self.confined else None

    def renew(self) -> None:
        """Make the folder again, unless nobody has written to it."""
        if os.stat(self.folder).st_mtime_ns == self.made and not os.listdir(self.folder):
            return
        shutil.rmtree(self.folder)
        if self.rules is not None:
            os.close(self.rules)
        self._make()


def spawn(control: socket.socket, seconds: float, memory: int, descriptors: list[int]) -> int:
    """The worker's side of a request: the new candidate's process id."""
    socket.send_fds(control, [SPAWN.pack(seconds, memory)], descriptors)
    return struct.unpack("!i", control.recv(4))[0]


def end(control: socket.socket) -> Any:
    """The worker's side of the end: (wait status, CPU seconds used)."""
    control.send(b"x")
    return STATUS.unpack(control.recv(STATUS.size))
