"""A job's processes, watched for time, output and files.

CPU seconds decide, so that a busy machine changes no verdict: time spent waiting for a core is not counted. Only
a job whose processes all sleep is ended by the wall clock.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

from polychromic.verifiers.sandbox import candidate, fork_server
from polychromic.verifiers.sandbox.messages import MAX_MESSAGE

TESTS_SECONDS = 1.0  # CPU seconds that tests themselves may take beyond the candidate's limit
MAX_FILES, MAX_DISK = 2000, 64 << 20  # files of a scratch folder, and their bytes
_TICK = 0.1  # seconds between two looks


class Ended(Exception):
    """The job is over, with this status."""

    def __init__(self, status: str, detail: str = "") -> None:
        super().__init__(status, detail)
        self.status, self.detail = status, detail


class Clock:
    """What a process has used since `start`: CPU seconds, and seconds in which it was ready to run."""

    def __init__(self, pid: int) -> None:
        self._pid, self._used = pid, 0.0
        self._before = (0.0, 0.0)
        self._schedule: int | None = None

    def start(self) -> None:
        self._before = (0.0, 0.0)
        self._before = (self.cpu(), self.runnable())

    def cpu(self) -> float:
        with suppress(OSError):  # it is gone
            self._used = time.clock_gettime(~self._pid << 3 | 2)  # its CPU clock; see clock_getcpuclockid(3)
        return self._used - self._before[0]

    def runnable(self) -> float:
        """CPU seconds and, where the kernel counts them, seconds that it waited for a core."""
        try:
            if self._schedule is None:
                self._schedule = os.open(f"/proc/{self._pid}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            running, waiting, _ = os.pread(self._schedule, 100, 0).split()
        except (OSError, ValueError):
            return self.cpu()
        return (int(running) + int(waiting)) / 1e9 - self._before[1]

    def close(self) -> None:
        if self._schedule is not None:
            os.close(self._schedule)


class Candidate:
    """One candidate's process, from its fork to its end.

    Args:
        control: the fork server's socket.
        seconds: CPU seconds; asleep it may be for twice that and one second more.
        memory: bytes of address space.
        stdin: descriptor that it reads.
        nowhere: descriptor for what it writes to stderr.
        folder: its scratch folder.
    """

    def __init__(
        self, control: socket.socket, seconds: float, memory: int, stdin: int, nowhere: int, folder: str
    ) -> None:
        self.control, self.seconds, self.folder = control, seconds, folder
        self.printed = b""
        self.channel, theirs = socket.socketpair()
        self._stdout, written = os.pipe()
        with theirs:
            descriptors = [theirs.fileno(), stdin, written, nowhere]
            self.pid = fork_server.spawn(control, seconds, memory, descriptors)
        os.close(written)
        os.set_blocking(self._stdout, False)
        self._exited = os.pidfd_open(self.pid)  # the fork server reaps it only when asked to
        self._started = time.monotonic()
        self._clock = Clock(self.pid)

    def watch(self, source: int, tests: Clock | None = None) -> bytes:
        """What comes from `source`, until the candidate is at its end or, with tests, until a line is complete.

        Args:
            tests: the clock of the test runner.

        Raises:
            Ended: a limit is exceeded.
        """
        clocks = {self._clock: self.seconds}
        if tests is not None:
            clocks[tests] = self.seconds + TESTS_SECONDS
        poll = select.poll()
        for descriptor in (source, self._stdout, *(() if tests is not None else (self._exited,))):
            poll.register(descriptor, select.POLLIN)
        data = b""
        try:
            due = time.monotonic() + min(_TICK, self.seconds)
            while True:
                ready = dict(poll.poll(max(0.0, 1000 * (due - time.monotonic()))))
                if self._stdout in ready and not self._drain():
                    poll.unregister(self._stdout)
                if source in ready:
                    part = _read(source)
                    data += part
                    if len(data) > MAX_MESSAGE:
                        raise Ended("output", f"an answer of more than {MAX_MESSAGE:,} bytes")
                    if tests is not None and (not part or data.endswith(b"\n")):
                        return data
                    if not part:
                        poll.unregister(source)
                elif self._exited in ready:
                    self._drain()
                    return data
                if time.monotonic() >= due:
                    due = time.monotonic() + self._check(clocks)
        finally:
            self._clock.close()

    def _check(self, clocks: dict[Clock, float]) -> float:
        """Seconds until the next look."""
        pause = _TICK
        for clock, limit in clocks.items():
            used = clock.cpu()
            if used >= limit:
                whose = "" if clock is self._clock else " of the tests"
                raise Ended("timeout", f"{used:.1f} s of CPU{whose}, limit {limit:g} s")
            pause = min(pause, limit - used + 0.001)
        asleep = time.monotonic() - self._started - sum(clock.runnable() for clock in clocks)
        if asleep > 2 * self.seconds + 1:
            raise Ended("timeout", f"asleep for {asleep:.1f} s")
        files = size = 0
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                files += 1
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_size
                if files > MAX_FILES or size > MAX_DISK:
                    raise Ended("output", f"files of more than {MAX_DISK:,} bytes, or more than {MAX_FILES} files")
        return pause

    def _drain(self) -> bool:
        """Take what was printed so far; whether more may come."""
        while True:
            try:
                part = os.read(self._stdout, 1 << 16)
            except BlockingIOError:
                return True
            if not part:
                return False
            self.printed += part
            if len(self.printed) > MAX_MESSAGE:
                raise Ended("output", f"printed more than {MAX_MESSAGE:,} bytes")

    def end(self) -> Ended:
        """End the process, which may be over by itself: how did it end?"""
        ended = select.select([self._exited], [], [], 0)[0]
        status, used = fork_server.end(self.control)
        for descriptor in (self._exited, self._stdout):
            os.close(descriptor)
        self.channel.close()
        if not ended:
            return Ended("error", "it closed its channel")
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
        named = {candidate.OUT_OF_MEMORY: "memory", candidate.TOO_LONG: "output"}
        return Ended(named.get(code, "exit"), f"exit code {code}")

    def wait(self, seconds: float) -> None:
        """Wait for its end, which is under way."""
        select.select([self._exited], [], [], seconds)


def _read(source: int) -> bytes:
    try:
        return os.read(source, 1 << 16)
    except ConnectionResetError:  # it ended with a question unread
        return b""
