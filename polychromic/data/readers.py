"""Rows out of the files people have: JSONL, JSON, CSV, Parquet, plain or gzipped.

A row that cannot be read becomes a `BadRow` that says where and why; a file that cannot be trusted as a whole
(missing, empty, cut short) raises. Nothing is skipped silently; only blank lines are not rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError

MAX_ROW_BYTES = 8 * 2**20
"""A longer line is no prompt with its answer; it would only fill the memory."""
DELIMITERS = ",;\t|"


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
"""Where a row stands ("tweets.csv, line 12") and its columns."""


def files_of(path: Path) -> list[Path]:
    """The files that `read_rows` reads for a path: it alone, or with the stories that stand beside .wp_source."""
    stories = path.with_name(path.name.replace(".wp_source", ".wp_target"))
    return [path, stories] if _ending(path) == ".wp_source" else [path]


def _ending(path: Path) -> str:
    """What kind of file it is, gzipped or not."""
    return path.suffixes[-2:][0] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix


def read_rows(path: Path, name: str | None = None, may_be_empty: bool = False) -> Iterator[Row | BadRow]:
    """Rows of `path` (.jsonl, .json, .csv, .tsv, .parquet, .wp_source, each but Parquet also .gz), in file
    order.

    name: what to call the file in messages. may_be_empty: a file without rows is no error.

    Raises:
        StudyError: the file is missing, empty, not UTF-8 as a whole, cut short, or of another kind.
    """
    name = name or str(path)
    if not path.is_file():
        raise StudyError(f"{name}: no such file. Put the data there, or correct `path` of this source.")
    kind = _ending(path)
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv,
               ".parquet": _parquet, ".wp_source": _line_pairs}  # fmt: skip
    if kind.lower() not in readers:
        raise StudyError(f"{name}: unknown file ending {kind!r}; known: {', '.join(readers)} (and .gz of them).")
    empty = True
    try:
        for row in readers[kind.lower()](path, name):
            empty = False
            yield row
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise StudyError(f"{name}: the gzip stream is damaged or ends early ({error}). Fetch it again.") from error
    if empty and not may_be_empty:
        raise StudyError(f"{name}: the file holds no rows.")


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _lines(path: Path, name: str, of_csv: bool = False) -> Iterator[tuple[str, str] | BadRow]:
    """(where, text) of every line that is not blank; of a CSV also of blank ones, which may stand in a cell."""
    with _open(path) as file:
        number = 0
        while raw := file.readline(MAX_ROW_BYTES + 1):
            if of_csv and number == 0 and b"\r" in raw and not raw.endswith(b"\n"):
                # Its lines end with \r alone: "CSV (Macintosh)" of a spreadsheet.
                file = io.BytesIO((raw + file.read()).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
                raw = file.readline(MAX_ROW_BYTES + 1)
            number += 1
            where = f"{name}, line {number}"
            if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise StudyError(f"{name}: the file is UTF-16. Save it as UTF-8.")
            if len(raw) > MAX_ROW_BYTES:
                size = len(raw)
                while not raw.endswith(b"\n") and (raw := file.readline(MAX_ROW_BYTES)):
                    size += len(raw)
                yield BadRow(where, f"the line is {size / 2**20:.0f} MiB long, more than {MAX_ROW_BYTES // 2**20}")
                continue
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                yield BadRow(where, f"not UTF-8 at byte {error.start}. Save the file as UTF-8")
                continue
            if of_csv or text.strip():
                yield where, text


def _loads(text: str) -> Any:
    """json.loads, refusing what could not be written again (half a surrogate pair)."""
    value = json.loads(text)
    if "\\ud" in text.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _jsonl(path: Path, name: str) -> Iterator[Row | BadRow]:
    for line in _lines(path, name):
        if isinstance(line, BadRow):
            yield line
            continue
        where, text = line
        try:
            row = _loads(text)
        except json.JSONDecodeError as error:
            yield BadRow(where, f"broken JSON at column {error.colno} ({error.msg})")
        except (ValueError, RecursionError) as error:
            yield BadRow(where, f"JSON that cannot be used ({error})")
        else:
            yield (where, row) if isinstance(row, dict) else BadRow(where, f"{_kind(row)}, not an object")


def _json(path: Path, name: str) -> Iterator[Row | BadRow]:
    """A list of rows, or one object that holds them in its own way (SQuAD, an API page)."""
    with _open(path) as file:
        data = file.read()
    try:
        value = _loads(data.decode("utf-8-sig")) if data.strip() else []
    except json.JSONDecodeError as error:
        raise StudyError(
            f"{name}, line {error.lineno}: broken JSON ({error.msg}). One object a line is .jsonl."
        ) from error
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{name}: the file cannot be read as UTF-8 JSON ({error}).") from error
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        where = f"{name}, row {number}"
        yield (where, row) if isinstance(row, dict) else BadRow(where, f"{_kind(row)}, not an object")


def _csv(path: Path, name: str) -> Iterator[Row | BadRow]:
    """Columns by header. The delimiter is the one of , ; tab | that the header holds most often."""
    bad: list[BadRow] = []
    last = 0  # the line that the reader was fed last: quoted cells may span lines

    def texts() -> Iterator[str]:
        nonlocal last
        for line in _lines(path, name, of_csv=True):
            if isinstance(line, BadRow):
                bad.append(line)
            else:
                last = int(line[0].rpartition(" ")[2])
                yield line[1]

    lines = texts()
    first = next(lines, "")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        header = [column.strip() for column in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise StudyError(
            f"{name}, line 1: broken CSV ({error}). End every line the same way and save it again."
        ) from error
    if twice := {column for column in header if header.count(column) > 1}:
        raise StudyError(f"{name}, line 1: the columns {sorted(twice)} occur twice. Rename one.")
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start, cells, error = last + 1, None, None
        try:
            cells = next(reader)
        except csv.Error as problem:
            error = problem
        except StopIteration:
            pass
        yield from bad
        bad.clear()
        where = f"{name}, line {start}" if last <= start else f"{name}, lines {start} to {last}"
        if error is not None:
            if "unexpected end" in str(error):
                raise StudyError(f"{where}: a quote that is opened here is never closed. Close it.") from error
            yield BadRow(where, f"broken CSV ({error})")
        elif cells is None:
            return
        elif cells and len(cells) != len(header):
            yield BadRow(where, f"{len(cells)} cells under {len(header)} columns")
        elif cells:
            yield where, dict(zip(header, cells, strict=True))


def _parquet(path: Path, name: str) -> Iterator[Row | BadRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{name}, row {number}", row
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:  # a damaged page gives any of them
        if isinstance(error, OSError) and error.errno is not None:  # the system's, say a file that may not be read
            raise
        found = " ".join(str(error).split())
        raise StudyError(f"{name}: not a readable Parquet file ({found}). Fetch it again.") from error


def _line_pairs(path: Path, name: str) -> Iterator[Row | BadRow]:
    """WritingPrompts as published: line n of train.wp_target is the story to line n of train.wp_source."""
    _, target = files_of(path)
    if not target.is_file():
        raise StudyError(f"{name}: its stories are missing; put {target.name} beside it.")
    with _open(path) as prompts, _open(target) as stories:
        try:
            for number, (prompt, story) in enumerate(zip(prompts, stories, strict=True), start=1):
                where = f"{name}, line {number}"
                try:
                    yield where, {"prompt": prompt.decode(), "story": story.decode()}
                except UnicodeDecodeError as error:
                    yield BadRow(where, f"not UTF-8 at byte {error.start}. Save the file as UTF-8")
        except ValueError as error:
            raise StudyError(f"{name} and {target.name} differ in their number of lines. Fetch both again.") from error


def _kind(value: Any) -> str:
    return {type(None): "null", list: "a list", str: "a text", bool: "true/false", dict: "an object"}.get(
        type(value), "a number"
    )
