"""Countdown puzzles, made by rule: rows without a file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from polychromic.data.rows import Row
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource
from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers.countdown import read_expression

REFERENCES = 10  # solutions that a row gives, at most
LOWEST = 10  # value of a puzzle
TRIES = 20  # draws of numbers for each requested puzzle


@SOURCES.register("countdown")
class Countdown(BaseSource):
    """Numbers and a value to make of them by + - * /, each number once. Made by rule; the target is one of the
    solutions, drawn at random. The group is the set of numbers."""

    format: Literal["countdown"]
    rows: int = Field(1000, ge=1)
    seed: int = 0
    count: int = Field(3, ge=2, le=5)
    """Numbers in a puzzle."""
    largest: int = Field(30, ge=5)
    """The numbers are between 1 and this."""
    highest: int = Field(100, ge=10)
    """The value is between 10 and this."""
    solutions: int = Field(2, ge=1)
    """A puzzle has at least so many solutions that differ in more than order and brackets."""

    @model_validator(mode="after")
    def _one_place(self):
        if self.path is not None or self.hub is not None:
            raise ValueError("a countdown source makes its rows: leave out `path` and `hub`")
        return self

    def read(self, root: str | Path, lock: str | Path | None) -> Iterator[Row]:
        """`rows` puzzles, no two of the same numbers.

        Raises:
            StudyError: the settings do not give so many.
        """
        draw = random.Random(self.seed)
        tried, made = set(), 0
        for _ in range(TRIES * self.rows):
            if made == self.rows:
                return
            numbers = tuple(sorted(draw.randint(1, self.largest) for _ in range(self.count)))
            if numbers in tried:
                continue
            tried.add(numbers)
            by_value: dict[int, dict[str, str]] = {}
            for value, text in expressions(numbers):
                if LOWEST <= value <= self.highest:
                    by_value.setdefault(value, {}).setdefault(read_expression(text).normal, text)
            values = sorted(value for value, found in by_value.items() if len(found) >= self.solutions)
            if not values:
                continue
            value = draw.choice(values)
            found = sorted(by_value[value].values())
            row = {
                "numbers": draw.sample(numbers, len(numbers)),
                "value": value,
                "solutions": draw.sample(found, min(len(found), REFERENCES)),
                "of": len(found),
            }
            made += 1
            yield f"countdown, row {made}", row
        if made < self.rows:
            raise StudyError(
                f"countdown: {self.count} numbers up to {self.largest} gave {made} puzzles with {self.solutions} "
                f"solutions, not {self.rows}. Raise `largest` or `count`, or ask for fewer `rows` or `solutions`."
            )

    def record(self, row: dict[str, Any]) -> Record:
        numbers = ", ".join(map(str, row["numbers"]))
        return Record(
            "",
            f"Use each of the numbers {numbers} once, with + - * / and brackets, to make {row['value']}.",
            row["solutions"][0],
            tuple(row["solutions"]),
            group="-".join(map(str, sorted(row["numbers"]))),
            meta={"numbers": row["numbers"], "value": row["value"], "solutions": row["of"]},
        )


def expressions(numbers: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    """(value, text) of the expressions that use each number once and have positive whole numbers at every step. The
    same one may come several times.
    """

    def combine(items: list[tuple[int, str, str]]) -> Iterator[tuple[int, str]]:
        if len(items) == 1:
            yield items[0][0], items[0][1]
            return
        for i in range(len(items)):
            for j in range(len(items)):
                if i == j:
                    continue
                rest = [item for k, item in enumerate(items) if k not in (i, j)]
                for made in _joined(items[i], items[j], ordered=i < j):
                    yield from combine([*rest, made])

    yield from combine([(number, str(number), "") for number in numbers])


def _joined(left: tuple[int, str, str], right: tuple[int, str, str], ordered: bool) -> Iterator[tuple[int, str, str]]:
    """What one operation makes of two (value, text, its last operation), in brackets only where they are needed."""
    (a, first, last_of_a), (b, second, last_of_b) = left, right
    sums = {"+", "-"}
    if ordered:
        yield a + b, f"{first} + {second}", "+"
    if a > b:
        yield a - b, f"{first} - {f'({second})' if last_of_b in sums else second}", "-"
    factor = f"({first})" if last_of_a in sums else first
    if ordered:
        yield a * b, f"{factor} * {f'({second})' if last_of_b else second}", "*"
    if b > 1 and a % b == 0:
        yield a // b, f"{factor} / {f'({second})' if last_of_b else second}", "/"
