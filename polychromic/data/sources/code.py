"""Public sets of programming tasks."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from polychromic.data.fields import Unusable, lines, listed, optional, text, texts
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource, Part
from polychromic.records import Record


@SOURCES.register("humaneval")
class HumanEval(BaseSource):
    """Chen et al. 2021: complete a function from its header and docstring; judged by `check(candidate)`."""

    format: Literal["humaneval"]

    def record(self, row: dict[str, Any]) -> Record:
        prompt, name = text(row, "prompt"), text(row, "entry_point")
        tests = {"kind": "check", "code": text(row, "test"), "entry_point": name, "setup": "", "cases": []}
        target = (prompt + text(row, "canonical_solution")).strip()
        return Record(optional(row, "task_id"), prompt, target, tests=tests, group=optional(row, "task_id"))


@SOURCES.register("mbpp")
class Mbpp(BaseSource):
    """Austin et al. 2021: a function from a sentence; judged by asserts. The sanitized edition reads as
    well."""

    format: Literal["mbpp"]
    part: Part | Literal["own"] | None = None
    """`own`: the authors' parts by task_id: 11-510 test, 511-600 val, 1-10 (few-shot) and 601-974 train."""
    show_test: bool = True
    """Show the first assert under the sentence, as the authors do: else the function's name is a guess."""

    def record(self, row: dict[str, Any]) -> Record:
        asserts = [lines(test) for test in texts(row, "test_list")]
        if not asserts:
            raise Unusable("'test_list' is empty")
        target = lines(text(row, "code")).strip()
        called = re.findall(r"\b(\w+)\s*\(", asserts[0])
        defined = set(re.findall(r"^(?:def|class)\s+(\w+)", target, re.MULTILINE))
        tests = {
            "kind": "asserts",
            "code": "\n".join(asserts),
            "entry_point": next((name for name in called if name in defined), None),
            "setup": lines(optional(row, "test_setup_code")) or "\n".join(texts(row, "test_imports")),
            "cases": [],
        }
        prompt = lines(text(row, "text" if "text" in row else "prompt")).strip()
        if self.show_test:
            prompt += "\n" + asserts[0]
        task = optional(row, "task_id")
        name = f"mbpp/{task}" if task else ""
        return Record(name, prompt, target, tests=tests, group=name, part=self._own(task))

    def _own(self, task: str) -> str | None:
        if self.part != "own":
            return None
        if not task.isdecimal() or not 1 <= int(task) <= 974:
            raise Unusable(f"'task_id' is {task!r}, in none of the authors' parts (1-974)")
        return "test" if 11 <= int(task) <= 510 else "val" if 511 <= int(task) <= 600 else "train"


@SOURCES.register("codecontests")
class CodeContests(BaseSource):
    """Li et al. 2022: a contest problem; the program reads stdin and writes stdout. Problems without a
    Python 3 solution are left out. The group is the contest."""

    format: Literal["codecontests"]
    max_cases: int = Field(20, ge=1)
    """Public, then private, then generated cases, up to this many."""

    def record(self, row: dict[str, Any]) -> Record:
        cases = [case for key in ("public_tests", "private_tests", "generated_tests") for case in _cases(row, key)]
        if not cases:
            raise Unusable("no test cases")
        solutions = row.get("solutions") or {}
        if not isinstance(solutions, dict):
            raise Unusable("'solutions' is not an object of the lists 'language' and 'solution'")
        languages, programs = solutions.get("language") or [], solutions.get("solution") or []
        python3 = [
            program for language, program in zip(languages, programs, strict=False) if language in (3, "PYTHON3")
        ]
        if not python3:
            raise Unusable("no Python 3 solution", excluded=True)
        name = optional(row, "name")
        contest = re.match(r"\d+(?=_)", name)
        tests = {
            "kind": "stdio",
            "code": "",
            "entry_point": None,
            "setup": "",
            "cases": cases[: self.max_cases],
        }
        return Record(
            name,
            text(row, "description"),
            lines(min(python3, key=len)).strip(),
            tests=tests,
            group=f"contest/{contest[0]}" if contest else name,
        )


def _cases(row: dict[str, Any], key: str) -> list[dict[str, str]]:
    """Input-output pairs of a CodeContests column: two lists, or a list of objects."""
    value = row.get(key)
    if isinstance(value, dict):
        given, wanted = value.get("input"), value.get("output")
        if not isinstance(given, list) or not isinstance(wanted, list) or len(given) != len(wanted):
            raise Unusable(f"{key!r} is not two lists 'input' and 'output' of one length")
        value = [{"input": one, "output": other} for one, other in zip(given, wanted, strict=True)]
    cases = listed({key: value or []}, key)
    if not all(isinstance(case.get(end), str) for case in cases for end in ("input", "output")):
        raise Unusable(f"{key!r} holds a case whose input or output is not a text")
    return [{"input": case["input"], "output": case["output"]} for case in cases]
