"""What a reader gives: a row with its place, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_ROW_BYTES = 8 * 2**20
"""A longer row cannot be a prompt with its answer; it would only fill the memory."""


@dataclass(frozen=True)
class BadRow:
    """A row that did not become a record.

    where: file and row; reason: what is wrong with it; excluded: left out by a declared setting (an
    unanswerable question, say), so no fault of the file and not counted against `max_bad_share`.
    """

    where: str
    reason: str
    excluded: bool = False


Row = tuple[str, dict[str, Any]]
"""Where a row is ("tweets.csv, line 12") and its columns."""
