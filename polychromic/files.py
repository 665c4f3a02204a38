"""Atomic writes, JSON reports and content hashes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError


@contextmanager
def appearing(path: str | Path) -> Iterator[Path]:
    """A path to write a file or a folder to; renamed to `path` at the end of the block, removed if the block fails."""
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    _remove(partial)
    try:
        yield partial
    except BaseException:
        _remove(partial)
        raise
    if path.is_dir():
        shutil.rmtree(path)
    os.replace(partial, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_atomic(path: str | Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except BaseException:  # a full disk: leave no half of a file behind
        partial.unlink(missing_ok=True)
        raise


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON report for people to read: indented, keys in the order given, NaN and infinity as null."""
    write_atomic(path, json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        StudyError: naming a file that is missing or is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise StudyError(f"{path} is missing. Run the study again: Snakemake makes it.") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise StudyError(f"{path}: not JSON ({error}). Delete it and run the study again.") from error


def _finite(value: Any) -> Any:
    """A JSON-able value with None for NaN and infinity, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, or "missing"."""
    path = Path(path)
    if not path.is_file():
        return "missing"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
