"""One record type for every domain, and its JSON lines on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError
from polychromic.files import appearing


@dataclass(frozen=True)
class Record:
    """A prompt with its target and what is needed to judge an answer.

    references: accepted answers (open text and QA); tests: how code is judged (see `verifiers.code`);
    group: rows of one group never part in a split; part: "train", "val", "test", "evaluation" or None; meta: what
    filters and verifiers look at; its "turns" are those of a chat, {"role", "content"}, of which `prompt` is the text.
    """

    id: str
    prompt: str
    target: str
    references: tuple[str, ...] = ()
    tests: dict[str, Any] | None = None
    group: str = ""
    part: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)


def chat_text(turns: Sequence[Mapping[str, str]]) -> str:
    """The turns of a chat, each {"role", "content"}, as one text; a single one as it is."""
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns)


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows, one JSON object a line, by atomic rename. Returns the number of rows."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with appearing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
            count += 1
    return count


def write_records(path: str | Path, records: Iterable[Record]) -> int:
    """Write records as JSON lines, by atomic rename. Returns the number of records."""
    return write_jsonl(path, map(asdict, records))


def read_records(path: str | Path) -> list[Record]:
    """Read records that `write_records` wrote.

    Raises:
        StudyError: naming file and line, if a line is not such a record.
    """
    records = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
                records.append(Record(**{**row, "references": tuple(row["references"])}))
            except (json.JSONDecodeError, TypeError, KeyError) as error:
                raise StudyError(
                    f"{path}, line {number}: not a record ({error}). Delete the file and re-run."
                ) from error
    return records
