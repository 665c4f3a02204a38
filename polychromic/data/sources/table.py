"""Anybody's own tables, by their columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from polychromic.data.fields import (
    CHAT_COLUMNS,
    MISSING,
    Unusable,
    found,
    inside,
    lines,
    nearest,
    optional,
    plain,
    quoted,
    reachable,
    text,
    texts,
)
from polychromic.data.rows import BadRow, Row
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import PARTS, BaseSource
from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings


class Columns(Settings):
    """Which column holds what; `a.b` looks inside an object."""

    prompt: str = Field(min_length=1)
    target: str = Field(min_length=1)
    references: str | None = None
    """A column of texts: more accepted answers."""
    tests: str | None = None
    """Code: a `check(candidate)` function or asserts as one text, a list of asserts, or the whole tests
    object."""
    entry_point: str | None = None
    id: str | None = None
    group: str | None = None
    part: str | None = None
    """A column that says train, val, test or evaluation."""
    meta: tuple[str, ...] = ()
    """Columns that filters may look at."""


@SOURCES.register("table")
class Table(BaseSource):
    """Any data set, by its columns."""

    format: Literal["table"]
    fields: Columns

    @cached_property
    def _columns(self) -> list[tuple[str, str]]:
        """(use, name) of every requested column."""
        alone = self.fields.model_dump(exclude={"meta"})
        return [(use, name) for use, name in alone.items() if name] + [("meta", name) for name in self.fields.meta]

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        """The rows as they are.

        Raises:
            StudyError: after the last row, if none of them had a column that `fields` names: it is misspelt.
        """
        unseen = self._columns
        there, lacking = set(), set()
        for item in rows:
            if unseen and not isinstance(item, BadRow):
                names = {column: reachable(item[1], column[1]) for column in unseen}
                unseen = [column for column in unseen if column[1] not in names[column]]
                there.update(name for column in unseen for name in names[column])
                lacking.update(column for column in unseen if inside(item[1], column[1]) is MISSING)
            yield item
        # If an object is null in every row, its columns are unknown, not misspelt.
        if missing := [column for column in unseen if column in lacking]:
            absent = " or ".join(f"{name!r}{nearest(name, there)} for `{use}`" for use, name in missing)
            remedy = (
                "Read chats by `format: chat`"
                if there.intersection(CHAT_COLUMNS)
                else "Correct `fields` of this source"
            )
            raise StudyError(
                f"{self.path or self.hub}: no row has a column {absent}. The columns are {quoted(there)}. {remedy}."
            )

    def record(self, row: dict[str, Any]) -> Record:
        fields = self.fields
        columns = {use: name for use, name in self._columns if use != "meta"}
        # A column that a row leaves out counts as null; prompt and target must be there.
        values = {use: found(row, name) for use, name in columns.items()}
        for use in ("prompt", "target"):
            if inside(row, columns[use]) is MISSING:
                there = reachable(row, columns[use])
                raise Unusable(f"no column {columns[use]!r}{nearest(columns[use], there)}; found {quoted(there)}")
            if isinstance(values[use], list):
                raise Unusable(f"{columns[use]!r} is a list, not a text; turns of a chat are read by `format: chat`")
        target = text(values, "target", columns)
        part = optional(values, "part", columns) or None
        part = {"validation": "val", "dev": "val", "valid": "val"}.get(part, part)
        if part is not None and part not in PARTS:
            raise Unusable(f"{fields.part!r} is {part!r}, not one of {', '.join(PARTS)}")
        entry_point = optional(values, "entry_point", columns)
        tests = _tests(values["tests"], entry_point) if values.get("tests") is not None else None
        return Record(
            optional(values, "id", columns),
            text(values, "prompt", columns),
            target,
            tuple(dict.fromkeys((target, *texts(values, "references")))),
            tests,
            optional(values, "group", columns),
            part,
            {name: plain(found(row, name)) for name in fields.meta},
        )


def _tests(value: Any, entry_point: str) -> dict[str, Any]:
    if isinstance(value, dict):
        value = plain(value)
        if value.get("kind", "asserts") not in ("check", "asserts", "stdio"):
            raise Unusable(f"tests of kind {value['kind']!r}, not check, asserts or stdio")
        return {
            "kind": "asserts",
            "code": "",
            "entry_point": entry_point or None,
            "setup": "",
            "cases": [],
            **value,
        }
    code = lines("\n".join(texts({"tests": value}, "tests")))
    kind = "check" if re.search(r"^def check\(", code, re.MULTILINE) else "asserts"
    return {"kind": kind, "code": code, "entry_point": entry_point or None, "setup": "", "cases": []}
