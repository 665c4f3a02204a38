"""What a source is: where its rows are, and how one becomes a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from polychromic.data.fields import Unusable, digest, plain, texts
from polychromic.data.near_duplicates import normal
from polychromic.data.readers import read_rows
from polychromic.data.rows import BadRow, Row
from polychromic.errors import StudyError
from polychromic.hub_lock import hub_rows
from polychromic.records import Record
from polychromic.settings import Settings

PARTS = ("train", "val", "test", "evaluation")
Part = Literal["train", "val", "test", "evaluation"]


class BaseSource(Settings):
    path: str | None = None
    """A file: .jsonl, .json, .csv, .tsv, .parquet, or the first four gzipped."""
    hub: str | None = None
    """Instead of `path`: a data set's name on the Hugging Face hub."""
    config: str | None = None
    """The hub data set's configuration, where it has several."""
    split: str = "train"
    """The hub data set's split."""
    revision: str | None = None
    """Commit of the hub data set. Left out, it is resolved at first use and kept in the study's lock.json."""
    part: Part | None = None
    """The part of all rows. `evaluation`: divided into val and test, by group. Left out: divided into all three."""
    keep: tuple[str, ...] = ("mismatched", "reading")
    """Further columns to keep, where a row has them. `mismatched`: answers known to be wrong for the
    prompt."""
    max_bad_share: float = Field(0.05, ge=0, le=1)
    """The run stops if more than this share of the rows is unusable."""

    @model_validator(mode="after")
    def _one_place(self):
        if (self.path is None) == (self.hub is None):
            raise ValueError("a source needs either `path` or `hub`")
        return self

    def read(self, root: str | Path, lock: str | Path | None) -> Iterable[Row | BadRow]:
        """The raw rows. root: the folder that `path` is relative to. lock: the file that remembers hub revisions."""
        if self.path is not None:
            return read_rows(Path(root) / self.path, self.path)
        return hub_rows(self.hub, self.config, self.split, self.revision, lock)

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Rows with one record each, from files that nest records or spread them over rows."""
        return rows

    def record(self, row: dict[str, Any]) -> Record:
        """The record of a row; its id and group may be left empty. Raises Unusable."""
        raise NotImplementedError

    def parse(self, rows: Iterator[Row | BadRow]) -> Iterator[Record | BadRow]:
        """A record or a BadRow for every row."""
        seen: Counter[str] = Counter()
        for item in self.flatten(rows):
            if isinstance(item, BadRow):
                yield item
                continue
            where, row = item
            try:
                record = self._with_extras(self.record(row), row)
            except Unusable as problem:
                yield BadRow(where, str(problem), problem.excluded)
                continue
            name = record.id
            if not name:  # a hash of the content; equal rows get a number behind it
                name = digest(record.prompt, record.target)
                seen[name] += 1
                name += f"-{seen[name]}" if seen[name] > 1 else ""
            yield replace(
                record,
                id=name,
                group=record.group or digest(normal(record.prompt)),
                part=record.part or self.part,
                meta={**record.meta, "origin": where},
            )

    def _with_extras(self, record: Record, row: dict[str, Any]) -> Record:
        references = tuple(dict.fromkeys((*record.references, *texts(row, "references"))))
        kept = {key: plain(row[key]) for key in self.keep if row.get(key) is not None}
        tests = record.tests
        if tests is not None and row.get("probes") is not None:
            tests = {**tests, "probes": plain(row["probes"])}
        return replace(record, references=references, tests=tests, meta={**record.meta, **kept})


def read_source(
    source: BaseSource,
    root: str | Path = ".",
    lock: str | Path | None = None,
    hidden: Callable[[str], str] = str,
) -> Iterator[Record | BadRow]:
    """A record or a BadRow for every row of a source, in order.

    root: the folder that `source.path` is relative to. lock: the file that remembers hub revisions. hidden: masks
    personal data in what an error shows of the rows.

    Raises:
        StudyError: the file is missing or damaged, or more than `max_bad_share` of its rows are unusable.
    """
    name = source.path or source.hub or source.format
    read, bad = 0, []
    for item in source.parse(iter(source.read(root, lock))):
        read += 1
        if isinstance(item, BadRow) and not item.excluded:
            bad.append(item)
        yield item
    if len(bad) > source.max_bad_share * read:
        shown = "\n".join(f"  {hidden(f'{row.where}: {row.reason}')}" for row in bad[:5])
        raise StudyError(
            f"{name}: {len(bad)} of {read} rows are unusable, more than max_bad_share "
            f"{source.max_bad_share:g}:\n{shown}\n"
            f"Correct them or `format: {source.format}`, or raise max_bad_share of this source."
        )
