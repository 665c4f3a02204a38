"""Programs judged by running them: against tests, or by what they return on probe inputs."""

from __future__ import annotations

import ast
import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome
from polychromic.verifiers.extraction import Extraction, extract, split_prompt
from polychromic.verifiers.sandbox import plain_values, supervisor, test_source

MAX_PROBES = 8
_REMEMBERED = 10_000

Tests = str | Sequence[Any] | dict[str, Any]


def run(
    program: str,
    tests: Tests,
    entry_point: str | None = None,
    timeout: float = 3.0,
    execution: str = "sandbox",
) -> Outcome:
    """Run a program against its tests.

    Args:
        program: Python source, all of it.
        tests: HumanEval's form (`def check(candidate): ...`), plain asserts (one text or a list), a list of
            {"input", "output"} for programs that read stdin and print, or a record's `tests`.
        entry_point: the function under test; for `check` the program's last function if not given.
        timeout: CPU seconds of the whole program, for stdin cases of each case.
        execution: "sandbox", or "unsafe" for a separate process with rlimits alone.

    Raises:
        StudyError: no tests, tests that cannot be run, or no sandbox on this machine.
    """
    return run_many([(program, tests, entry_point)], timeout, execution)[0]


def run_many(
    cases: Sequence[tuple[str, Tests, str | None]], timeout: float = 3.0, execution: str = "sandbox"
) -> list[Outcome]:
    """`run` on many (program, tests, entry_point), in parallel over the cores; outcomes in the same order."""
    verdicts = supervisor.run([_test_job(*case, timeout) for case in cases], execution)
    return [
        Outcome(
            verdict["status"] == "passed",
            verdict["status"],
            float(verdict["status"] == "passed"),
            None,
            verdict["detail"],
        )
        for verdict in verdicts
    ]


def behaviours(
    programs: Sequence[str],
    probes: Sequence[Sequence[Any]],
    entry_point: str | None = None,
    timeout: float = 1.0,
    execution: str = "sandbox",
) -> list[str | None]:
    """What each program's function returns on the probes, as one canonical string, a line each; equal strings,
    equal values by `==`.

    None where the program does not run: it does not load, lacks the function, raises on a probe, exceeds a
    limit, or returns something that is not plain data. Raising does not count as behaviour: broken programs would count
    as diverse.

    Args:
        programs: Python sources; equal ones are run once.
        probes: argument lists. With none, a program that loads has the behaviour "".
        entry_point: the function; each program's last one if not given.
        timeout: CPU seconds for all probes of a program.
    """
    distinct = list(dict.fromkeys(programs))
    verdicts = supervisor.run([_probe_job(program, probes, entry_point, timeout) for program in distinct], execution)
    found = {program: verdict["behaviour"] for program, verdict in zip(distinct, verdicts, strict=True)}
    return [found[program] for program in programs]


def printed(
    programs: Sequence[str], inputs: Sequence[str], timeout: float = 3.0, execution: str = "sandbox"
) -> list[str | None]:
    """What each script prints on the inputs, words joined by one space: `behaviours` for programs that read
    stdin.
    """
    cases = [{"input": text, "output": None} for text in inputs]
    jobs = [_job("stdio", program, timeout, None, cases=cases) for program in programs]
    return [verdict["behaviour"] for verdict in supervisor.run(jobs, execution)]


def _job(kind: str, program: str, timeout: float, entry_point: str | None, **parts: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "program": program,
        "seconds": float(timeout),
        "memory": supervisor.MEMORY,
        "entry_point": entry_point,
        **parts,
    }


def _test_job(program: str, tests: Tests, entry_point: str | None, timeout: float) -> dict[str, Any]:
    tests = as_tests(tests)
    entry_point = entry_point or tests.get("entry_point")
    if tests["kind"] == "check":
        entry_point = entry_point or last_function(program) or "candidate"
    parts = {
        "setup": tests.get("setup") or "",
        "code": tests.get("code") or "",
        "cases": tests.get("cases") or [],
    }
    if not (parts["cases"] if tests["kind"] == "stdio" else parts["code"].strip()):
        raise StudyError("A record without tests judges nothing: give it tests or leave it out.")
    if tests["kind"] != "stdio":
        _check_tests(tests["kind"], parts["setup"], parts["code"], entry_point)
    return _job(tests["kind"], program, timeout, entry_point, **parts)


@functools.lru_cache(1024)
def _check_tests(kind: str, setup: str, code: str, entry_point: str | None) -> None:
    """Refuse tests with a syntax error, and tests that would pass every program."""
    try:
        tree = ast.parse(setup + "\n" + code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise StudyError(f"Tests that are not Python ({error}). Remove the record or rewrite its tests.") from None
    if kind == "check" and not any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tree.body):
        raise StudyError("Tests of kind `check` define no `check(candidate)`: add it, or use kind `asserts`.")
    if not test_source.reaches_candidate(tree, kind, entry_point):
        raise StudyError(
            "Tests that call nothing of the program would pass every program. Put the asserts, or calls of the test "
            "functions, at the top level, outside `if __name__ == ...`."
        )


def _probe_job(
    program: str, probes: Sequence[Sequence[Any]], entry_point: str | None, timeout: float
) -> dict[str, Any]:
    name = entry_point or last_function(program) or ""
    try:
        inputs = plain_values.encode([list(arguments) for arguments in probes], plain_values.refuse)
    except TypeError as error:
        raise StudyError(f"probes of {name!r}: {error}") from None
    return _job("probe", program, timeout, name, inputs=inputs)


def as_tests(tests: Tests) -> dict[str, Any]:
    """Tests in any of the forms that `run` takes, as a record carries them: {"kind", "code", "setup",
    "cases", ...}.
    """
    if isinstance(tests, dict):
        if tests.get("kind") not in ("check", "asserts", "stdio"):
            raise StudyError(f'tests: "kind" must be "check", "asserts" or "stdio", not {tests.get("kind")!r}')
        return tests
    if isinstance(tests, str):
        return {
            "kind": "check" if re.search(r"^def check\(", tests, re.MULTILINE) else "asserts",
            "code": tests,
        }
    if all(isinstance(test, str) for test in tests):
        return as_tests("\n".join(tests))
    if all(isinstance(test, dict) and {"input", "output"} <= test.keys() for test in tests):
        return {"kind": "stdio", "cases": list(tests)}
    raise StudyError('tests: a text, a list of asserts, a list of {"input", "output"} or a record\'s tests')


def last_function(program: str) -> str | None:
    """The name of the last function at the top level, which by custom is the one asked for."""
    names = re.findall(r"^(?:async )?def (\w+)", program, re.MULTILINE)
    return names[-1] if names else None


def probe_inputs(record: Record) -> list[list[Any]]:
    """Argument lists on which programs for this record can be compared: its own probes, else those its
    tests call with.

    Only arguments are read, never an expected value. At most MAX_PROBES, in the order of the tests.
    """
    tests = record.tests or {}
    if tests.get("probes"):
        return [list(arguments) for arguments in tests["probes"]][:MAX_PROBES]
    try:
        tree = ast.parse(tests.get("code") or "")
    except SyntaxError as error:
        raise StudyError(f"record {record.id!r}: tests are not Python ({error})") from None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    name = "candidate" if tests.get("kind") == "check" else tests.get("entry_point") or entry_point_of(record)
    found: list[list[Any]] = []
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if call.func.id == name and not call.keywords:
            try:
                arguments = [ast.literal_eval(argument) for argument in call.args]
            except ValueError:
                continue
            if arguments not in found:
                found.append(arguments)
    return found[:MAX_PROBES]


def entry_point_of(record: Record) -> str | None:
    """The function that the record's tests test: named, or of the functions that its asserts call the
    commonest of the target's.
    """
    tests = record.tests or {}
    if tests.get("entry_point"):
        return tests["entry_point"]
    defined = set(re.findall(r"^def (\w+)", record.target, re.MULTILINE))
    called = Counter(name for name in re.findall(r"(\w+)\s*\(", tests.get("code") or "") if name in defined)
    return called.most_common(1)[0][0] if called else None


class CodeSettings(Settings):
    """A program passes if it passes the tests, run in the sandbox."""

    kind: Literal["code"]
    timeout: float = Field(3.0, gt=0)
    """CPU seconds a candidate may run."""
    execution: Literal["sandbox", "unsafe"] = "sandbox"
    """`unsafe` runs model-written programs with your rights, where no sandbox can be had. Think twice."""


@VERIFIERS.register("code")
@dataclass(frozen=True)
class CodeVerifier:
    """A program passes if it passes the tests, run in the sandbox.

    Well-formed is what runs on the record's probe inputs; a label is what it returns there.
    """

    Settings: ClassVar = CodeSettings
    needs: ClassVar = ()
    gives: ClassVar = ("labels", "behaviour")
    hide_target: ClassVar = False

    settings: CodeSettings
    _labels: dict[tuple[str, str], str | None] = field(default_factory=dict, repr=False)  # of (record id, program)

    def well_formed(self, texts: Sequence[str], record: Record) -> list[bool]:
        return [label is not None for label in self.labels(texts, record)]

    def labels(self, texts: Sequence[str], record: Record) -> list[str | None]:
        """Each text's behaviour on the record's probes; None where it holds no program or one that does not
        run.
        """
        return self._behaviours([_extract(text, record).program for text in texts], record)

    def _behaviours(self, programs: Sequence[str | None], record: Record) -> list[str | None]:
        limits = self.settings.timeout, self.settings.execution
        # The gate and the distance ask for the same programs one after the other.
        new = [program for program in dict.fromkeys(programs) if program and (record.id, program) not in self._labels]
        if len(self._labels) > _REMEMBERED:
            self._labels.clear()
        if (record.tests or {}).get("kind") == "stdio":
            inputs = [case["input"] for case in record.tests["cases"]][:MAX_PROBES]
            found = printed(new, inputs, *limits)
        else:
            found = behaviours(new, probe_inputs(record), entry_point_of(record), *limits)
        self._labels.update(zip(((record.id, program) for program in new), found, strict=True))
        return [self._labels[record.id, program] if program else None for program in programs]

    def verify(self, texts: Sequence[str], record: Record, finishes: Sequence[str] | None = None) -> list[Outcome]:
        if not record.tests:
            raise StudyError(f"record {record.id!r} has no tests: code cannot be judged. Remove the row.")
        extractions = [_extract(text, record) for text in texts]
        programs = list(dict.fromkeys(found.program for found in extractions if found.program))
        entry_point, tests = entry_point_of(record), _with_helpers(record)
        try:
            cases = [(program, tests, entry_point) for program in programs]
            outcomes = run_many(cases, self.settings.timeout, self.settings.execution)
        except StudyError as error:
            raise StudyError(f"record {record.id!r}: {error}") from None
        labels = self._behaviours(programs, record)
        judged = {
            program: replace(outcome, label=label)
            for program, outcome, label in zip(programs, outcomes, labels, strict=True)
        }
        return [
            judged[found.program] if found.program else Outcome(False, "extraction", 0.0, None, found.problem)
            for found in extractions
        ]


def _with_helpers(record: Record) -> dict[str, Any]:
    """The record's tests behind what its prompt defines before the function: tests may use it, and a program must not
    be able to change what they use.
    """
    helpers, _ = split_prompt(record.prompt, entry_point_of(record))
    return {**record.tests, "setup": helpers + "\n" + (record.tests.get("setup") or "")}


def _extract(text: str, record: Record) -> Extraction:
    return extract(text, record.prompt, entry_point_of(record))
