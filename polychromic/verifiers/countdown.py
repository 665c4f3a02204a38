"""Countdown: an arithmetic expression of given numbers that makes a given value. Often several are right, and each can
be checked exactly: a controlled task for Pass@k.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome

MAX_LENGTH = 200  # characters; keeps the parser from deep nesting
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "[": "(", "]": ")"})
_OPERATIONS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


class CountdownSettings(Settings):
    """An expression passes if it uses each of the prompt's numbers once and makes its value."""

    kind: Literal["countdown"]


@dataclass(frozen=True)
class Expression:
    """value: None where a divisor is 0. numbers: those used, in order of size. normal: the same text for expressions
    that differ in brackets and order alone, such as 3 * (2 + 5) and (5 + 2) * 3.
    """

    value: Fraction | None
    numbers: tuple[int, ...]
    normal: str


def read_expression(text: str) -> Expression | None:
    """The expression in the first line of a text, before an equals sign if there is one; None if it is none."""
    first = next((line for line in text.splitlines() if line.strip()), "").split("=")[0].translate(_SIGNS).strip()
    if len(first) > MAX_LENGTH or not re.fullmatch(r"[0-9+\-*/() ]+", first):
        return None
    try:
        tree = ast.parse(first, mode="eval").body
        return Expression(_value(tree), tuple(sorted(_numbers(tree))), normal_form(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what the parser raises, and _value of other nodes
        return None


def _value(node: ast.expr) -> Fraction | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Fraction(node.value)
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATIONS:
        raise ValueError(f"{type(node).__name__} is not arithmetic")
    left, right = _value(node.left), _value(node.right)
    if left is None or right is None or (isinstance(node.op, ast.Div) and right == 0):
        return None
    return _OPERATIONS[type(node.op)](left, right)


def _numbers(node: ast.expr) -> list[int]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]


def normal_form(node: ast.expr) -> str:
    """Sums and products flattened, their parts in order: 9 - (4 - 1) and 1 + 9 - 4 are both `(+1 +9 -4)`."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    signs = "+-" if isinstance(node.op, ast.Add | ast.Sub) else "*/"
    return "(" + " ".join(sorted(_parts(node, signs, False))) + ")"


def _parts(node: ast.expr, signs: str, inverse: bool) -> list[str]:
    """The parts of a sum or a product, each behind its sign."""
    kinds = (ast.Add, ast.Sub) if signs == "+-" else (ast.Mult, ast.Div)
    if isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
        other = inverse != isinstance(node.op, kinds[1])
        return _parts(node.left, signs, inverse) + _parts(node.right, signs, other)
    return [signs[inverse] + normal_form(node)]


@VERIFIERS.register("countdown")
@dataclass(frozen=True)
class CountdownVerifier:
    """An expression passes if it uses each of the prompt's numbers once and makes its value."""

    Settings: ClassVar = CountdownSettings
    needs: ClassVar = ()
    gives: ClassVar = ("labels",)
    hide_target: ClassVar = False

    settings: CountdownSettings

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        """Expressions of these numbers that make this value. Both are in the prompt, so a model can be held to them
        while training, and whoever samples can check them.
        """
        return [outcome.passed for outcome in self.verify(texts, record)]

    def labels(self, texts: Sequence[str], record: Record) -> list[str | None]:
        """The normal forms; None where there is no expression."""
        found = map(read_expression, texts)
        return [read.normal if read else None for read in found]

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        """Status "passed", "failed" or "extraction" (no expression); score 1 or 0; label is the normal form."""
        puzzle = _puzzle(record)
        return [self._outcome(read_expression(text), *puzzle) for text in texts]

    def _outcome(self, read: Expression | None, numbers: tuple[int, ...], value: int) -> Outcome:
        if read is None:
            return Outcome(False, "extraction", 0.0)
        passed = read.numbers == numbers and read.value == value
        detail = "" if passed else f"uses {list(read.numbers)} and makes {read.value}"
        return Outcome(passed, "passed" if passed else "failed", float(passed), read.normal, detail)


def _puzzle(record: Record) -> tuple[tuple[int, ...], int]:
    """(numbers in order of size, value to make)."""
    numbers, value = record.meta.get("numbers"), record.meta.get("value")
    if not numbers or value is None:
        raise StudyError(
            f"record {record.id!r} has no `numbers` and `value`: the verifier countdown is for the source of that "
            "name, or for rows with these two columns under `keep`."
        )
    return tuple(sorted(numbers)), value
