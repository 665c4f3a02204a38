"""Rows of a CSV file whose cells may span lines, and in which some rows may be broken.

The file is read as bytes, parsed into cells, and only then decoded, cell by cell. So a byte that is not UTF-8 spoils
its row, and neither the rows beside it nor the place where they begin.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from polychromic.data.rows import MAX_ROW_BYTES, BadRow, Row
from polychromic.errors import StudyError

DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
# Every byte is one character of Latin-1: parsing loses nothing, and a cell's bytes can be restored.
_BYTES = "latin-1"
LOST_ROWS = 100
"""A row with more rows inside it than this is not one broken row: the file's quotes follow no rule."""


def csv_rows(file: io.BufferedIOBase, name: str) -> Iterator[Row | BadRow]:
    """Columns by header. The delimiter is the one of , ; tab | that the header holds most often outside quotes.

    Raises:
        StudyError: the header cannot be read, its columns repeat, a quote is never closed, or too many rows
            would belong to a broken one.
    """
    lines = _Lines(file, name)
    table = _Table(lines, _delimiter(lines), name)
    header = _columns(table.header(), name)
    for row in table.rows(len(header)):
        where = f"{name}, line {row.first}" if row.last <= row.first else f"{name}, lines {row.first} to {row.last}"
        if row.problem:
            yield BadRow(where, row.problem)
        elif len(row.cells) != len(header):
            yield BadRow(where, _cells(row, len(header)))
        else:
            yield _decoded(where, row.first, header, row.cells)


def _columns(row: _Parsed, name: str) -> list[str]:
    """The columns' names, out of the header."""
    if row.problem:
        ends = "End every line the same way and save it again" if "new-line" in row.problem else ""
        remedy = ends or "Correct the quotes of the header; JSON needs a name in .json or .jsonl"
        raise StudyError(f"{name}, line {row.first}: {row.problem}. {remedy}.")
    try:
        header = [cell.encode(_BYTES).decode().strip() for cell in row.cells]
    except UnicodeDecodeError as error:
        raise StudyError(f"{name}, line {row.first}: the header is not UTF-8. Save the file as UTF-8.") from error
    if twice := {column for column in header if header.count(column) > 1}:
        raise StudyError(f"{name}, line {row.first}: the columns {sorted(twice)} occur twice. Rename one.")
    return header


def _decoded(where: str, line: int, header: list[str], cells: list[str]) -> Row | BadRow:
    row = {}
    for column, cell in zip(header, cells, strict=True):
        try:
            row[column] = cell.encode(_BYTES).decode()
        except UnicodeDecodeError as error:
            at = line + cell.count("\n", 0, error.start)
            return BadRow(where, f"{column!r} is not UTF-8 (line {at}). Save the file as UTF-8")
        line += cell.count("\n")
    return where, row


class _Lines:
    """The lines of a file as Latin-1 text, fed to the parser one by one.

    Of a row that is longer than `MAX_ROW_BYTES` only quotes, delimiters and line ends are kept, so that its end is
    found and the memory stays small.
    """

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        self._file = file
        self._waiting: list[bytes] = []
        self.number = 0
        """Of the line that was fed last."""
        self.row: list[str] = []
        """The lines of the row under way."""
        self.size = 0
        """Bytes of the row under way."""
        start = file.readline(MAX_ROW_BYTES + 1)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise StudyError(f"{name}: the file is UTF-16. Save it as UTF-8.")
        if b"\0" in start:
            raise StudyError(f"{name}, line 1: zero bytes, as in UTF-16 or a binary file. Save it as UTF-8 text.")
        start = start.removeprefix(_BOM)
        if b"\r" in start and not start.endswith(b"\n"):
            # Its lines end with \r alone: "CSV (Macintosh)" of a spreadsheet.
            rest = (start + file.read()).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            self._file = io.BytesIO(rest)
        else:
            self._waiting.append(start)

    def peek(self) -> bytes:
        """The first lines, up to one after which no quote is open, a hundred at most; not yet fed."""
        if not self._waiting:
            self._waiting.append(self._file.readline(MAX_ROW_BYTES + 1))
        first = b"".join(self._waiting)
        for _ in range(100):
            if (first.strip() and first.count(b'"') % 2 == 0) or len(first) > MAX_ROW_BYTES:
                break
            self._waiting.append(self._file.readline(MAX_ROW_BYTES + 1))
            first += self._waiting[-1]
        return first

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._next()
        if not line:
            raise StopIteration
        self.number += 1
        self.size += len(line)
        whole = line.endswith(b"\n")
        if self.size > MAX_ROW_BYTES:
            line = _structure(line)
        while not whole and (more := self._next()):
            whole = more.endswith(b"\n")
            self.size += len(more)
            line += _structure(more)
        text = line.decode(_BYTES)
        self.row.append(text)
        return text

    def _next(self) -> bytes:
        return self._waiting.pop(0) if self._waiting else self._file.readline(MAX_ROW_BYTES + 1)


def _structure(line: bytes) -> bytes:
    return re.sub(rb'[^",;\t|\r\n]+', b"x", line)


def _delimiter(lines: _Lines) -> str:
    outside_quotes = re.sub(rb'"[^"]*"', b"", lines.peek()).decode(_BYTES)
    return max(DELIMITERS, key=outside_quotes.count)


class _Parsed(NamedTuple):
    """A row as parsed: its first and last line, and its cells or what is wrong with it."""

    first: int
    last: int
    cells: list[str]
    problem: str = ""
    gave_up: bool = False
    """Whether the parser found a quote out of place, and left the rest of the line."""


def _cells(row: _Parsed, width: int) -> str:
    return f"{len(row.cells)} cells under {width} columns"


class _Table:
    """The rows of a CSV, parsed; and where to go on after a broken one.

    A quote inside a cell that is not doubled breaks the row: the parser gives up, or ends the row too early. It then
    goes on at the next line, which may still be inside the broken row. Until that is settled, rows wait. A row with
    cells in proper quotes, as many as there are columns, shows that the rows have begun again. One with a quote out of
    place is inside the broken row, and so is all that waited before it.
    """

    def __init__(self, lines: _Lines, delimiter: str, name: str) -> None:
        self._lines, self._delimiter, self._name = lines, delimiter, name
        csv.field_size_limit(sys.maxsize)  # a limit would cut a row in two; `_Lines` keeps the memory small
        self._reader: Any = csv.reader(lines, delimiter=delimiter, strict=True)
        cell = rf'(?:"(?:[^"]|"")*"|[^"{re.escape(delimiter)}\r\n]*)'
        # Files with tabs are often written without any quoting; of others a quote out of place is a piece of a row.
        self._literal_quotes = delimiter == "\t"
        self._in_order = re.compile(rf"{cell}(?:{re.escape(delimiter)}{cell})*\r?\n?")

    def header(self) -> _Parsed:
        """The first row; one without cells in an empty file."""
        return self._parse() or _Parsed(1, 1, [])

    def rows(self, width: int) -> Iterator[_Parsed]:
        """The other rows, blank lines left out. width: the number of columns.

        A cell whose quote is not closed ends at the next opening quote, which comes after a delimiter, and its row may
        look whole. The rest of the next row does not: so a row that may have ended like this waits for the one after.

        Raises:
            StudyError: more than `LOST_ROWS` rows would belong to a broken one.
        """
        waiting: list[_Parsed] = []
        for row in self._placed(width):
            is_whole = not row.problem and len(row.cells) == width
            if is_whole and any("\n" in cell and cell.rstrip('"').endswith(self._delimiter) for cell in row.cells):
                waiting.append(row)
                if len(waiting) > LOST_ROWS:
                    yield waiting.pop(0)
                continue
            for before in waiting:
                yield before if is_whole else before._replace(problem="a quote may be missing: a broken row follows")
            waiting = []
            yield row
        yield from waiting

    def _placed(self, width: int) -> Iterator[_Parsed]:
        """The rows, with all lines of a broken one in one."""
        broken: _Parsed | None = None
        waiting: list[_Parsed] = []
        inside = 0  # rows that turned out to be inside the broken one
        while row := self._parse():
            text = "".join(self._lines.row)
            may_go_on = row.gave_up or (len(row.cells) != width and '"' in text)
            in_order = not row.gave_up and ('"' not in text or self._in_order.fullmatch(text) is not None)
            if broken is None and not may_go_on:
                stray = not in_order and not self._literal_quotes and not row.problem
                yield row._replace(problem="a quote inside a cell that is not quoted") if stray else row
                continue
            if broken is None:
                broken = row if row.problem else row._replace(problem=_cells(row, width))
            elif not in_order:
                inside += len(waiting) + 1
                if inside > LOST_ROWS:
                    raise StudyError(
                        f"{self._name}, line {broken.first}: {broken.problem}, and the end of the row cannot be found. "
                        "Double the quotes inside quoted cells, or save the rows as JSON lines."
                    )
                broken = broken._replace(last=row.last)
                waiting = []
            elif len(waiting) > 10 * LOST_ROWS or ('"' in text and len(row.cells) == width):
                yield from [broken, *waiting, row]
                broken, waiting, inside = None, [], 0
            else:
                waiting.append(row)
        yield from [broken, *waiting] if broken else ()

    def _parse(self) -> _Parsed | None:
        """The next row that is not blank; None at the end."""
        lines = self._lines
        while True:
            first = lines.number + 1
            lines.row, lines.size = [], 0
            cells, problem = [], ""
            try:
                cells = next(self._reader)
            except StopIteration:
                return None
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise StudyError(
                        f"{self._name}, line {first}: a quote that is opened in this row is never closed. Close it."
                    ) from error
                problem = f"broken CSV ({error})"
            gave_up = bool(problem)
            if lines.size > MAX_ROW_BYTES:
                problem = f"the row is {lines.size / 2**20:.0f} MiB long, more than {MAX_ROW_BYTES // 2**20}"
            if cells or problem:
                return _Parsed(first, lines.number, cells, problem, gave_up)
