"""What a judge's requests have cost, in a file that every job of a study shares."""

from __future__ import annotations

import fcntl
import logging
import math
import zlib
from pathlib import Path
from typing import BinaryIO

from polychromic.errors import StudyError

_log = logging.getLogger(__name__)


class Ledger:
    """Dollars spent: a number and its checksum a line. A line that a crash cut off is left out of the sum, with a
    warning.
    """

    def __init__(self, path: Path, budget: float) -> None:
        self.path, self.budget = path, budget

    def left(self) -> float:
        """Dollars of the budget that are not spent."""
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return self.budget - self._total(file)

    def add(self, dollars: float, *, spent: bool = False) -> None:
        """Enter an expense or, below zero, a refund. spent: it can no longer be refused.

        Raises:
            StudyError: it would exceed the budget; then nothing is entered.
        """
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            total = self._total(file)
            if not spent and dollars > 0 and total + dollars > self.budget:
                raise StudyError(f"${total:.2f} of the budget of ${self.budget:.2f} are spent: raise judge.budget")
            file.seek(0)
            content = file.read()
            file.write((b"" if not content or content.endswith(b"\n") else b"\n") + _line(dollars))

    def _total(self, file: BinaryIO) -> float:
        file.seek(0)
        total = 0.0
        for number, line in enumerate(file, start=1):
            if (dollars := _dollars(line)) is not None:
                total += dollars
            elif line.strip():
                _log.warning("%s, line %d is damaged and not counted: %r", self.path, number, line[:80])
        return total


def _line(dollars: float) -> bytes:
    text = repr(float(dollars)).encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _dollars(line: bytes) -> float | None:
    text, _, checksum = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    dollars = float(text)
    return dollars if math.isfinite(dollars) else None
