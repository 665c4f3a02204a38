"""The program in a model's text: out of fences and prose, with or without the prompt's own lines.

Only what is not the model's answer is repaired: prose around the code, a repeated or missing prompt, imports that
the prompt gave, the model's own examples and asserts at the end. A program with a syntax error is returned as it
is and fails when it is run. "No program" means that the text holds none.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

# Names that answers use without importing them, as notebooks let them.
_TYPING = (
    "Any", "Callable", "Deque", "Dict", "FrozenSet", "Generator", "Iterable", "Iterator", "List",
    "Mapping", "Optional", "Sequence", "Set", "Tuple", "Type", "TypeVar", "Union",
)  # fmt: skip
_COLLECTIONS = ("Counter", "OrderedDict", "defaultdict", "deque", "namedtuple")
_MODULES = (
    "bisect", "collections", "copy", "datetime", "functools", "heapq", "itertools", "json", "math",
    "operator", "random", "re", "statistics", "string", "sys",
)  # fmt: skip
_IMPORTS = (
    {name: f"from typing import {name}" for name in _TYPING}
    | {name: f"from collections import {name}" for name in _COLLECTIONS}
    | {name: f"import {name}" for name in _MODULES}
)

_FENCE = re.compile(
    r"^([ \t]*)(?:```|~~~)[ \t]*[\w+-]*[ \t]*\n(.*?)(?:^[ \t]*(?:```|~~~)|\Z)", re.DOTALL | re.MULTILINE
)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_STARTS_CODE = re.compile(
    r"(?:async def|def|class|import|from)\s+\w|@\w|\w+\s*=[^=]|(?:for|while|if|with|try|print)\b.*[:)]\s*$"
)


_MAX_STARTS = 20  # lines of prose may look like code
_MAX_TEXT = 200_000  # characters of an answer
_MAX_PARSED = 500_000  # characters that are parsed for an answer, over all readings of it: about a second


class _TooMuch(Exception):
    """The text has been parsed too often."""


class _Parser:
    """`ast.parse` for one answer, up to _MAX_PARSED characters."""

    def __init__(self) -> None:
        self.left = _MAX_PARSED

    def error(self, program: str) -> int | None:
        """The line of the first syntax error, 0 where there is none, None where it is unknown."""
        try:
            self.tree(program)
            return 0
        except SyntaxError as error:
            return max(error.lineno or 1, 1)
        except (ValueError, MemoryError, RecursionError):  # null bytes, lone surrogates, deep nesting
            return None

    def tree(self, program: str) -> ast.Module:
        self.left -= len(program)
        if self.left < 0:
            raise _TooMuch
        return ast.parse(program)


@dataclass(frozen=True)
class Extraction:
    """program: what to run, or None and `problem` says why."""

    program: str | None
    problem: str = ""


def extract(text: str, prompt: str = "", entry_point: str | None = None) -> Extraction:
    """The program in a model's answer.

    Args:
        text: what the model wrote.
        prompt: what it was asked; where this is code that opens `entry_point` (HumanEval's form), the
            answer may continue it.
        entry_point: the function asked for; None for a script (or where the name is not known).
    """
    text = _THOUGHT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not text.strip():
        return Extraction(None, "the text is empty")
    if len(text) > _MAX_TEXT:
        return Extraction(None, f"the text has {len(text):,} characters, more than {_MAX_TEXT:,}")
    head, opening = split_prompt(prompt, entry_point)
    sources, parser = list(_sources(text)), _Parser()
    with suppress(_TooMuch):
        for program in chain(
            _whole(sources, head, entry_point, parser), _continued(sources, head, opening, entry_point, parser)
        ):
            tree = parser.tree(program)
            if _is_program(tree, entry_point):
                return Extraction(_tidy(program, tree, entry_point))
    # Nothing parses. Is there a program with an error in it?
    for source in sources:
        for start in _code_lines(source, entry_point):
            return Extraction(head + "\n".join(source.split("\n")[start:]))
        if opening and source[:1] in " \t":
            return Extraction(head + opening + source)
    asked = f"a function {entry_point!r}" if entry_point else "a program"
    return Extraction(None, f"the text holds no code that could be {asked}")


def split_prompt(prompt: str, entry_point: str | None) -> tuple[str, str]:
    """A code prompt's imports and helpers, and the opening of the function itself; two empty texts for a
    prompt in prose.
    """
    prompt = prompt.replace("\r\n", "\n")
    starts = (
        list(re.finditer(rf"^(?:async )?def {re.escape(entry_point)}\b", prompt, re.MULTILINE)) if entry_point else []
    )
    if not starts:
        return "", ""
    head, opening = prompt[: starts[-1].start()], prompt[starts[-1].start() :].rstrip() + "\n"
    # A header alone may end the prompt; with a body of one statement it parses, as does all before it.
    return (head, opening) if _parse(head) and _parse(head + opening + "    pass\n") else ("", "")


def _sources(text: str) -> Iterator[str]:
    """Where the code may be, likeliest first: fenced blocks, before a closing fence, the whole text."""
    blocks = [textwrap.dedent(block) if indent else block for indent, block in _FENCE.findall(text)]
    for place, block in enumerate(blocks):
        helpers = [b for b in blocks[:place] if re.search(r"^(?:def|class|import|from)\b", b, re.MULTILINE)]
        if helpers:
            yield "\n".join([*helpers, block])
        yield block
    if fence := re.search(r"^[ \t]*```", text, re.MULTILINE):
        yield text[: fence.start()]  # the prompt opened it
    yield text


def _whole(sources: list[str], head: str, entry_point: str | None, parser: _Parser) -> Iterator[str]:
    """Readings as a whole function or script, behind what the prompt put before the function."""
    for source in sources:
        lines = source.split("\n")
        for start in _code_lines(source, entry_point):
            program = head + textwrap.dedent("\n".join(lines[start:]))
            yield from _without_tail(program, head.count("\n"), entry_point, parser)


def _continued(sources: list[str], head: str, opening: str, entry_point: str | None, parser: _Parser) -> Iterator[str]:
    """Readings as the body of the function that the prompt opened."""
    *blocks, text = sources
    # The longest first: an example of a call is shorter than the body.
    for source in (*sorted(blocks, key=len, reverse=True), text) if opening else ():
        # As it is; with the first indent that decoding may have eaten; a body that was written without any.
        for body in (source, "    " + source, textwrap.indent(textwrap.dedent(source), "    ")):
            yield from _without_tail(head + opening + body, (head + opening).count("\n"), entry_point, parser)


def _code_lines(source: str, entry_point: str | None) -> list[int]:
    """The lines at which a program may start, up to the function asked for; none if that is not there."""
    lines = source.split("\n")
    starts = [number for number, line in enumerate(lines) if _STARTS_CODE.match(line.lstrip() if not number else line)]
    if entry_point is None:
        return starts[:_MAX_STARTS]
    wanted = [number for number in starts if _defines(lines[number], entry_point)]
    return [number for number in starts if number <= wanted[0]][:_MAX_STARTS] if wanted else []


def _defines(line: str, entry_point: str) -> bool:
    name = re.escape(entry_point)
    return bool(re.match(rf"\s*(?:(?:(?:async )?def|class) {name}\b|{name}\s*=)", line))


def _without_tail(program: str, keep: int, entry_point: str | None, parser: _Parser) -> Iterator[str]:
    """The program if it parses, else without the part that does not and what follows it, as long as that part is no
    line of the function asked for: prose after the code, or the next task.

    keep: the number of lines that are the prompt's.
    """
    lines = program.split("\n")
    while at := parser.error("\n".join(lines)):
        at = min(at, len(lines)) - 1
        while at > keep and (not lines[at].strip() or lines[at][0] in " \t"):
            at -= 1
        if at <= keep or (entry_point and _defines(lines[at], entry_point)):
            return
        del lines[at:]
    if at == 0:
        yield "\n".join(lines)


def _parse(program: str) -> ast.Module | None:
    try:
        return ast.parse(program)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _is_program(tree: ast.Module, entry_point: str | None) -> bool:
    if any(isinstance(node, ast.Return) for node in tree.body):
        return False  # a body that has lost its function
    if entry_point:
        return entry_point in _defined(tree)
    prose = (ast.Name, ast.Constant, ast.Tuple, ast.Compare, ast.BinOp, ast.UnaryOp, ast.Attribute)
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, prose)) for node in tree.body) and not all(
        isinstance(node, ast.AnnAssign) and node.value is None for node in tree.body
    )


def _defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return names


def _tidy(program: str, tree: ast.Module, entry_point: str | None) -> str:
    """The program with its missing imports and, where a function was asked for, without its own examples."""
    if entry_point:
        lines = program.split("\n")
        for node in reversed(tree.body):
            if _is_example(node, entry_point):
                first = lines[node.lineno - 1]
                if not first[: node.col_offset].strip():  # not behind a semicolon
                    lines[node.lineno - 1 : node.end_lineno] = []
        program = "\n".join(lines)
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = _defined(tree) | set(vars(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.alias):
            bound |= set(_IMPORTS) if node.name == "*" else {(node.asname or node.name).split(".")[0]}
    imports = [_IMPORTS[name] for name in sorted(loaded - bound) if name in _IMPORTS]
    if not imports:
        return program
    future = [line for line in program.split("\n") if line.startswith("from __future__")]
    rest = [line for line in program.split("\n") if not line.startswith("from __future__")]
    return "\n".join([*future, *imports, *rest])


def _is_example(node: ast.stmt, entry_point: str) -> bool:
    """An assert, `if __name__ == "__main__"`, a print or a bare call of the function itself, at the top
    level.
    """
    if isinstance(node, ast.Assert):
        return True
    if isinstance(node, ast.If):
        return any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name):
        return node.value.func.id in ("print", entry_point, "check", "main")
    return False
