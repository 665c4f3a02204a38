"""What a filter is: a typed setting with a verdict on every record. And what filters share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

from polychromic.data.fields import nearest, quoted
from polychromic.errors import StudyError
from polychromic.hub_lock import locked_model
from polychromic.records import Record, chat_text
from polychromic.settings import Settings

Text = Literal["prompt", "target", "both"]
Compared = Literal["prompt", "target", "pair", "question"]
"""pair: prompt and target as one; question: a QA prompt without its context."""


@dataclass(frozen=True)
class Rejection:
    """Why a record is rejected: the value that was measured, and the bound that it broke."""

    value: Any
    bound: Any


Verdict = Record | Rejection
HANDLE = re.compile(r"(?<![\w@])[@＠]\w{1,30}")
TEXTS_IN_META = ("context", "question", "mismatched", "title")


def map_texts(record: Record, change: Callable[[str], str]) -> Record:
    """The record with `change` applied to its prompt, target, references and the texts in its meta."""
    change = cache(change)  # the target is most often among the references
    meta = {
        key: change(value)
        if isinstance(value, str)
        else [change(one) if isinstance(one, str) else one for one in value]
        for key in TEXTS_IN_META
        if isinstance(value := record.meta.get(key), str | list)
    }
    turns = [{**turn, "content": change(turn["content"])} for turn in record.meta.get("turns", ())]
    if turns:
        meta["turns"] = turns
    changed = replace(
        record,
        prompt=chat_text(turns) if turns else change(record.prompt),
        target=change(record.target),
        references=tuple(dict.fromkeys(map(change, record.references))),
        meta={**record.meta, **meta},
    )
    return record if changed == record else changed


class Filter(Settings):
    """One step. Most judge a record by itself; those that compare records override `run`."""

    hides: ClassVar[bool] = False
    """Whether all that curation writes goes through this filter's `hidden`, `masked` and `named`."""

    def judge(self, record: Record) -> Verdict:
        """The record, changed or not, or why it is rejected."""
        raise NotImplementedError

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        """A verdict for every record, in order."""
        return map(self.judge, records)

    def locked(self, lock: str | Path) -> Filter:
        """The filter with its model, if it has one, as a local folder; a hub model at the revision in `lock`.

        Raises:
            StudyError: as `locked_model`.
        """
        return self


class Repair(Filter):
    """A filter that changes texts, and rejects a record whose prompt or target is empty afterwards."""

    def change(self, text: str) -> str:
        raise NotImplementedError

    def judge(self, record: Record) -> Verdict:
        changed = map_texts(record, self.change)
        for key in ("prompt", "target"):
            if not getattr(changed, key).strip():
                return Rejection(f"empty {key}", "some text")
        return changed


def model_folder(model: str, lock: str | Path) -> str:
    """The folder of a model: itself, or that of a hub model at its locked revision."""
    return model if Path(model).is_dir() else str(locked_model(lock, model))


def having(records: Iterable[Record], filter: str, key: str) -> list[Record]:
    """The records, at least one of which must have the key in its meta: if none had, all of them would pass.

    Raises:
        StudyError: naming the filter, the key and the keys that there are.
    """
    records = list(records)
    if records and not any(key in record.meta for record in records):
        there = {name for record in records for name in record.meta}
        raise StudyError(
            f"{filter}: no row has the key {key!r}{nearest(key, there)} in its meta. The keys are "
            f"{quoted(there) or 'none'}. Correct `key`; of a table, list the column under `fields.meta`."
        )
    return records


class TextFilter(Filter):
    """A filter on the record's texts: the first text that breaks the bound rejects the record."""

    text: Text = "target"

    def texts(self, record: Record) -> Iterator[str]:
        if self.text in ("prompt", "both"):
            yield record.prompt
        if self.text in ("target", "both"):
            yield record.target

    def problem(self, text: str) -> Rejection | None:
        raise NotImplementedError

    def judge(self, record: Record) -> Verdict:
        return next((problem for text in self.texts(record) if (problem := self.problem(text))), record)


def chosen_text(record: Record, text: Compared) -> str:
    """The text of a record by which duplicates are found."""
    if text == "pair":
        return f"{record.prompt}\n{record.target}"
    return record.meta.get("question") or record.prompt if text == "question" else getattr(record, text)


def batched(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """The records in lists of `size`, the last one shorter."""
    rest = iter(records)
    while some := list(islice(rest, size)):
        yield some


def words(text: str) -> list[str]:
    """Lower-case words; apostrophes belong to them."""
    return re.findall(r"\w+(?:['’]\w+)*", text.lower().replace("’", "'"))


def phrases_in(text: str, phrases: tuple[str, ...]) -> list[str]:
    """The phrases that occur in the text as whole words, longest first, none inside another."""
    return _matcher(phrases).findall(" ".join(words(text)))


@cache
def _matcher(phrases: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted({" ".join(words(phrase)) for phrase in phrases}, key=len, reverse=True)
    return re.compile(r"(?<!\S)(?:" + "|".join(map(re.escape, ordered)) + r")(?!\S)")


def outside(value: float, low: float | None, high: float | None) -> Rejection | None:
    """Why `value` is outside [low, high]; None if it is inside."""
    inside = (low is None or value >= low) and (high is None or value <= high)
    return None if inside else Rejection(value, bound(low, high))


def bound(low: float | None, high: float | None) -> str:
    """The bounds as text: "5 to 500", ">= 5", "<= 500"."""
    if low is None or high is None:
        return f"<= {high:g}" if low is None else f">= {low:g}"
    return f"{low:g} to {high:g}"
