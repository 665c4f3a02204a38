"""Rows out of the files people have: JSONL, JSON, CSV, Parquet, plain or gzipped.

A row that cannot be read becomes a `BadRow` that says where and why. A file that cannot be trusted as a whole
(missing, empty, cut short) raises. Only blank lines are not rows.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polychromic.data.csv_rows import csv_rows
from polychromic.data.fields import json_value
from polychromic.data.rows import MAX_ROW_BYTES, BadRow, Row
from polychromic.errors import StudyError


def files_of(path: Path) -> list[Path]:
    """The files that `read_rows` reads for a path: it alone, or with the stories next to .wp_source."""
    stories = path.with_name(path.name.replace(".wp_source", ".wp_target"))
    return [path, stories] if _ending(path) == ".wp_source" else [path]


def _ending(path: Path) -> str:
    """What kind of file it is, gzipped or not."""
    return path.suffixes[-2:][0] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix


def read_rows(path: Path, name: str | None = None, may_be_empty: bool = False) -> Iterator[Row | BadRow]:
    """Rows of `path` (.jsonl, .json, .csv, .tsv, .parquet, .wp_source; gzipped or not, whatever the name), in file
    order.

    name: what to call the file in messages. may_be_empty: a file without rows is not an error.

    Raises:
        StudyError: the file is missing or no file, may not be read, is empty, not UTF-8 as a whole, cut short, or of
            another kind.
    """
    name = name or str(path)
    _check_file(path, name)
    kind = _ending(path).lower()
    readers = {".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv,
               ".parquet": _parquet, ".wp_source": _line_pairs}  # fmt: skip
    if kind not in readers:
        raise StudyError(f"{name}: unknown file ending {kind!r}; known: {', '.join(readers)} (and .gz of them).")
    empty = True
    try:
        _check_content(path, name, kind)
        for row in readers[kind](path, name):
            empty = False
            yield row
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise StudyError(f"{name}: the gzip stream is damaged or ends early ({error}). Fetch it again.") from error
    except PermissionError as error:
        raise StudyError(f"{name}: the file may not be read. Give yourself the right to (chmod u+r).") from error
    if empty and not may_be_empty:
        raise StudyError(f"{name}: the file holds no rows.")


def _check_file(path: Path, name: str) -> None:
    """Raises StudyError where there is no file to read, and says what there is instead."""
    if path.is_file():
        return
    if path.is_dir():
        raise StudyError(f"{name}: this is a folder. Give the path of a file in it; several files are several sources.")
    if path.is_symlink() and not path.exists():
        raise StudyError(f"{name}: a symbolic link that leads to no file. Make it point to the data.")
    if path.exists():
        raise StudyError(f"{name}: a pipe or a device, not a file. Save the rows to a file and give its path.")
    raise StudyError(f"{name}: no such file. Put the data there, or correct `path` of this source.")


_OTHER_KINDS = {
    b"PAR1": "Parquet: end its name in .parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook: unpack it, or save the sheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save the sheet as CSV UTF-8",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: unpack it",
    b"BZh91AY&SY": "compressed by bzip2: unpack it",
    b"\xfd7zXZ": "compressed by xz: unpack it",
    b"<!DOCTYPE": "a web page: fetch the data again",
    b"<!doctype": "a web page: fetch the data again",
    b"<html": "a web page: fetch the data again",
    b"version ht": "a pointer of Git LFS: run `git lfs pull`",
}
"""How files of other kinds begin."""


def _check_content(path: Path, name: str, kind: str) -> None:
    """Raises StudyError where the first bytes are those of another kind of file than the name says."""
    if kind == ".parquet":
        return
    with _open(path) as file:
        start = file.read(10)
    for magic, found in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise StudyError(f"{name}: the name ends in {kind}, but the file is {found}.")


def _open(path: Path) -> io.BufferedIOBase:
    """The file's bytes, unpacked if they are gzipped, whatever the name says."""
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if gzipped else path.open("rb")


def _lines(path: Path, name: str) -> Iterator[tuple[str, str] | BadRow]:
    """(where, text) of every line that is not blank."""
    with _open(path) as file:
        number = 0
        while raw := file.readline(MAX_ROW_BYTES + 1):
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
            if text.strip():
                yield where, text


def _jsonl(path: Path, name: str) -> Iterator[Row | BadRow]:
    for line in _lines(path, name):
        if isinstance(line, BadRow):
            yield line
            continue
        where, text = line
        try:
            row = json_value(text)
        except json.JSONDecodeError as error:
            yield BadRow(where, f"broken JSON at column {error.colno} ({error.msg})")
        except ValueError as error:
            yield BadRow(where, f"JSON that cannot be used ({error})")
        else:
            yield (where, row) if isinstance(row, dict) else BadRow(where, f"{_kind(row)}, not an object")


def _json(path: Path, name: str) -> Iterator[Row | BadRow]:
    """A list of rows, or one object that holds them in its own way (SQuAD, an API page)."""
    with _open(path) as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
        value = json_value(text) if text.strip() else []
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            remedy = "One object a line is .jsonl: end the file's name so"
        elif error.msg.startswith("Unterminated") or not text[error.pos :].strip():
            remedy = "The file ends too early: fetch it again"
        else:
            remedy = "Correct this line"
        raise StudyError(f"{name}, line {error.lineno}: broken JSON ({error.msg}). {remedy}.") from error
    except ValueError as error:
        raise StudyError(f"{name}: the file cannot be read as UTF-8 JSON ({error}).") from error
    for number, row in enumerate(value if isinstance(value, list) else [value], start=1):
        where = f"{name}, row {number}"
        yield (where, row) if isinstance(row, dict) else BadRow(where, f"{_kind(row)}, not an object")


def _csv(path: Path, name: str) -> Iterator[Row | BadRow]:
    with _open(path) as file:
        yield from csv_rows(file, name)


def _parquet(path: Path, name: str) -> Iterator[Row | BadRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        if twice := sorted({column for column in names if names.count(column) > 1}):
            raise StudyError(f"{name}: the columns {twice} occur twice. Rename one.")
        number = 0
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{name}, row {number}", row
    except (pyarrow.ArrowException, ValueError, OverflowError, OSError) as error:  # a damaged page gives any of them
        if isinstance(error, OSError) and error.errno is not None:  # the system's: no fault of the file's content
            raise
        found = " ".join(str(error).split())
        raise StudyError(f"{name}: not a readable Parquet file ({found}). Fetch it again.") from error


def _line_pairs(path: Path, name: str) -> Iterator[Row | BadRow]:
    """WritingPrompts as published: line n of train.wp_target is the story to line n of train.wp_source."""
    _, target = files_of(path)
    if not target.is_file():
        raise StudyError(f"{name}: its stories are missing; put {target.name} next to it.")
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
