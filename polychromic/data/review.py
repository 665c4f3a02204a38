"""Review of the curated rows by a person: a sheet and a page to mark them in, and the use of the decisions.

Sheet and page are made from the curated rows and may be made again at any time. The decisions are a file of the
person's own, with the columns id, decision (keep, drop, edit), note, prompt, target; the last two count for
`edit` alone and hold the new texts. A row without a decision is kept.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from polychromic.data.funnel import rejection
from polychromic.data.readers import read_rows
from polychromic.data.rows import BadRow
from polychromic.errors import StudyError
from polychromic.records import Record

COLUMNS = ("id", "decision", "note", "prompt", "target")
DECISIONS = ("keep", "drop", "edit")


@dataclass(frozen=True)
class Decision:
    """What a person decided about a record. line: its place in their file."""

    id: str
    decision: str
    note: str = ""
    prompt: str = ""
    target: str = ""
    line: str = ""


def write_sheet(records: Sequence[Record], path: str | Path) -> None:
    """Write the rows as a CSV for a spreadsheet, without decisions. UTF-8 with a byte order mark, for Excel."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(COLUMNS)
        sheet.writerows((record.id, "", "", record.prompt, record.target) for record in records)


def write_page(records: Sequence[Record], path: str | Path, title: str) -> None:
    """Write the rows as one HTML file that needs no network: read, mark by keyboard, download the decisions."""
    rows = [
        {
            "id": record.id,
            "prompt": record.prompt,
            "target": record.target,
            "references": [text for text in record.references if text != record.target],
            "part": record.part or "",
        }
        for record in records
    ]
    # "<" is escaped, so that no text can end the script element that holds the rows.
    data = json.dumps({"title": title, "rows": rows}, ensure_ascii=False).replace("<", "\\u003c")
    template = resources.files("polychromic.data").joinpath("review.html").read_text(encoding="utf-8")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.replace("/*ROWS*/{}", data), encoding="utf-8")


def read_decisions(path: str | Path) -> list[Decision]:
    """The decisions in a file; rows without one are left out. An empty file, or a header alone, holds none.

    Raises:
        StudyError: naming every line with an unknown decision, an id that came before, an edit without new
            texts, or broken CSV; or the columns that are missing.
    """
    first: dict[str, str] = {}
    decisions, problems = [], []
    rows = list(read_rows(Path(path), may_be_empty=True))
    if not rows:  # a single line may be a decision under no header
        header = re.findall(r"\w+", Path(path).read_text(encoding="utf-8-sig"))
        _check_columns(path, header or COLUMNS)
    for row in rows:
        if isinstance(row, BadRow):
            problems.append(f"{row.where}: {row.reason}")
            continue
        line, columns = row
        _check_columns(path, columns)
        decision = Decision(line=line, **{name: columns.get(name) or "" for name in COLUMNS})
        decision = replace(decision, id=decision.id.strip(), decision=decision.decision.strip().lower())
        if not decision.decision:
            continue
        if decision.decision not in DECISIONS:
            problems.append(f"{line}: unknown decision {decision.decision!r}; known: {', '.join(DECISIONS)}")
        elif decision.id in first:
            problems.append(f"{line}: {decision.id!r} was decided before, at {first[decision.id]}")
        elif decision.decision == "edit" and not (decision.prompt.strip() and decision.target.strip()):
            problems.append(f"{line}: edit needs the new prompt and the new target, both")
        first.setdefault(decision.id, line)
        decisions.append(decision)
    if problems:
        raise StudyError("\n".join([f"{len(problems)} decisions cannot be used. Correct them:", *problems[:20]]))
    return decisions


def _check_columns(path: str | Path, columns: Container[str]) -> None:
    if missing := [name for name in ("id", "decision") if name not in columns]:
        raise StudyError(f"{path}: no column {' and '.join(missing)}. The columns are {', '.join(COLUMNS)}.")


@dataclass(frozen=True)
class Reviewed:
    """kept: the records that stay, edited where a person edited them; rejected: rows as curation writes them,
    with the person's note; counts: rows by decision ("undecided" where there is none); gone: decisions, by
    line, on rows that curation no longer keeps. kept + rejected = all records."""

    kept: list[Record]
    rejected: list[dict[str, Any]]
    counts: dict[str, int]
    gone: list[str]


def apply_decisions(records: Sequence[Record], decisions: Sequence[Decision]) -> Reviewed:
    """Apply a person's decisions to the records."""
    by_id = {decision.id: decision for decision in decisions}
    there = {record.id for record in records}
    kept, rejected = [], []
    counts = dict.fromkeys((*DECISIONS, "undecided"), 0)
    for record in records:
        decision = by_id.get(record.id)
        verdict = decision.decision if decision else "undecided"
        counts[verdict] += 1
        if verdict == "drop":
            rejected.append(rejection(record, "review", decision.note or "no note", f"dropped at {decision.line}"))
        else:
            kept.append(_edited(record, decision) if verdict == "edit" else record)
    gone = [
        f"{decision.line}: {decision.id!r} is not among the curated rows"
        for decision in decisions
        if decision.id not in there
    ]
    return Reviewed(kept, rejected, counts, gone)


def _edited(record: Record, decision: Decision) -> Record:
    """New texts; a reference that was the old target becomes the new one. A chat whose prompt is edited is one turn."""
    references = tuple(decision.target if text == record.target else text for text in record.references)
    meta = record.meta
    if decision.prompt != record.prompt:
        meta = {key: value for key, value in meta.items() if key != "turns"}
    return replace(record, prompt=decision.prompt, target=decision.target, references=references, meta=meta)
