"""Values out of a raw row's columns, checked; `Unusable` says what is wrong with one."""

from __future__ import annotations

import hashlib
import json
from typing import Any


class Unusable(Exception):
    """A row that gives no record, and why. excluded: by a declared setting, so no fault of the data."""

    def __init__(self, reason: str, excluded: bool = False) -> None:
        super().__init__(reason)
        self.excluded = excluded


def digest(*parts: str) -> str:
    """16 hex digits that stand for the texts."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def lines(value: str) -> str:
    """The text with \\n line ends."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


def text(row: dict[str, Any], key: str, names: dict[str, str] | None = None) -> str:
    """A column that must hold text. names: what the columns are called in the file, for the message."""
    name = (names or {}).get(key, key)
    if key not in row or (names and row[key] is MISSING):
        found = "" if names else f"; found {', '.join(map(repr, sorted(map(str, row))[:12]))}"
        raise Unusable(f"no column {name!r}{found}")
    value = row[key]
    if not isinstance(value, str):
        raise Unusable(f"{name!r} is {'null' if value is None else type(value).__name__}, not a text")
    if not value.strip():
        raise Unusable(f"{name!r} is empty")
    return value


def optional(row: dict[str, Any], key: str) -> str:
    """A column that may hold a text or a whole number; "" where it is missing, null or neither."""
    value = row.get(key)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def texts(row: dict[str, Any], key: str) -> tuple[str, ...]:
    """A column of texts: a list, a JSON list in a cell, or one text. () where it is missing, null or
    empty."""
    value = row.get(key)
    if value is None or value is MISSING:
        return ()
    if isinstance(value, str):
        try:
            parsed = json.loads(value) if value.lstrip().startswith("[") else value
        except ValueError:
            parsed = value
        value = parsed if isinstance(parsed, list) else [value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unusable(f"{key!r} is not a list of texts")
    return tuple(dict.fromkeys(item for item in value if item.strip()))


def number(row: dict[str, Any], key: str) -> float | None:
    """A column that may hold a number, also as text; None where it is missing, null or empty."""
    value = row.get(key)
    if value is None or value == "":
        return None
    problem = Unusable(f"{key!r} is {str(value)[:40]!r}, not a number")
    try:
        parsed = float(value)
    except (TypeError, ValueError):
        raise problem from None
    if isinstance(value, bool) or parsed != parsed or abs(parsed) == float("inf"):
        raise problem
    return int(parsed) if parsed.is_integer() else parsed


def listed(row: Any, key: str) -> list[dict[str, Any]]:
    """A column that must hold a list of objects."""
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unusable(f"{key!r} is not a list of objects")
    return value


MISSING: Any = object()


def inside(row: dict[str, Any], name: str) -> Any:
    """The value of column `name`; of `a.b`, where no column is called so, b of the object in a."""
    if name in row or "." not in name:
        return row.get(name, MISSING)
    outer, _, inner = name.partition(".")
    return inside(row[outer], inner) if isinstance(row.get(outer), dict) else MISSING


def plain(value: Any) -> Any:
    """The value as JSON can hold it: dates, decimals and the like as text, NaN and what is missing as
    None."""
    if value is MISSING or value != value:
        return None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
