"""Checked values from the columns of a raw row; `Unusable` says what is wrong with one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from polychromic.errors import closest


class Unusable(Exception):
    """Why a row gives no record. excluded: left out by a setting, so not a fault of the data."""

    def __init__(self, reason: str, excluded: bool = False) -> None:
        super().__init__(reason)
        self.excluded = excluded


def digest(*parts: str) -> str:
    """A hash of the texts: 16 hex digits."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()


def json_value(value: str) -> Any:
    """The value of a JSON text.

    Raises:
        json.JSONDecodeError: it is broken.
        ValueError: it cannot be used: it is nested too deeply, has a key twice, or half of a surrogate pair, which
            cannot be written again.
    """
    try:
        parsed = json.loads(value, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if "\\ud" in value.lower():
        try:
            json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("half of a surrogate pair, \\ud800 to \\udfff") from error
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return row


def is_blank(value: str) -> bool:
    """Whether nothing of the text can be seen: only blanks, control characters and the like."""
    return not any(letter.isprintable() and not letter.isspace() for letter in value)


def lines(value: str) -> str:
    """The text with \\n line ends."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


def text(row: dict[str, Any], key: str, names: dict[str, str] | None = None) -> str:
    """A column that must hold text. names: what the columns are called in the file, for the message."""
    name = (names or {}).get(key, key)
    if key not in row:
        raise Unusable(f"no column {name!r}; found {quoted(map(str, row))}")
    value = row[key]
    if not isinstance(value, str):
        raise Unusable(f"{name!r} is {'null' if value is None else type(value).__name__}, not a text")
    if is_blank(value):
        raise Unusable(f"{name!r} is empty")
    return value


EXACT = 2**53
"""Floats from here on cannot hold every whole number: two ids could become one."""


def optional(row: dict[str, Any], key: str, names: dict[str, str] | None = None) -> str:
    """A column that may hold a text or a whole number, also as a float (pandas makes one of a column with gaps); ""
    where it is missing, null or NaN. names: as of `text`.
    """
    value = row.get(key)
    if value is None or value != value:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value).strip()
    is_float = isinstance(value, float)
    if is_float and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    found = repr(value) if is_float else type(value).__name__
    raise Unusable(f"{(names or {}).get(key, key)!r} is {found}, not a text or a whole number")


def nearest(word: str, known: Iterable[str]) -> str:
    """ " (did you mean 'x'?)" with the known name most like the word; "" if none is."""
    match = closest(word, known)
    return f" (did you mean {match!r}?)" if match else ""


def quoted(names: Iterable[str]) -> str:
    """The names in quotes, a dozen at most."""
    return ", ".join(map(repr, sorted(names)[:12]))


def texts(row: dict[str, Any], key: str) -> tuple[str, ...]:
    """A column of texts: a list, a JSON list in a cell, or one text. () where it is missing, null or
    empty."""
    value = row.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        try:
            parsed = json_value(value) if value.lstrip().startswith("[") else value
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


CHAT_COLUMNS = ("messages", "conversations", "conversation")
"""Columns that hold the turns of a chat."""
MISSING: Any = object()


def inside(row: dict[str, Any], name: str) -> Any:
    """The value of column `name`; of `a.b`, where no column is called so, b of the object in a (None, where that is
    null). MISSING where there is no such column.
    """
    if name in row or "." not in name:
        return row.get(name, MISSING)
    outer, _, inner = name.partition(".")
    if row.get(outer, MISSING) is None:
        return None
    return inside(row[outer], inner) if isinstance(row.get(outer), dict) else MISSING


def found(row: dict[str, Any], name: str) -> Any:
    """`inside`, with None where there is no such column."""
    value = inside(row, name)
    return None if value is MISSING else value


def reachable(row: dict[str, Any], name: str) -> list[str]:
    """The names beside which `inside` looked for column `name`."""
    outer, dot, inner = name.partition(".")
    within = reachable(row[outer], inner) if dot and isinstance(row.get(outer), dict) else []
    return [*map(str, row), *(f"{outer}.{column}" for column in within)]


DEEPEST = 50
"""How many lists and objects may be inside each other: deeper ones meet Python's limit when they are written."""


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it: dates, decimals and the like as text, NaN as None. Raises Unusable if it is
    nested too deeply."""
    if depth > DEEPEST:
        raise Unusable(f"nested more than {DEEPEST} deep")
    if value != value:
        return None
    if isinstance(value, dict):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
