"""Raw rows in, curated records out, and the reason for every row that is rejected on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from polychromic.data import funnel
from polychromic.data.filters.base import Filter, Rejection
from polychromic.data.pseudonyms import Pseudonyms
from polychromic.data.rows import BadRow
from polychromic.records import Record
from polychromic.seeds import derive_seed

Progress = Callable[[str, int], None]
"""Called every thousand rows with the name of the step and the number of rows done."""


@dataclass(frozen=True)
class CurationResult:
    """kept: the curated records; rejected: one dict a row (id, where, filter, value, bound, record); funnel: the
    counts of each step. kept + rejected = read."""

    kept: list[Record]
    rejected: list[dict[str, Any]]
    funnel: dict[str, Any]


def curate(
    rows: Iterable[Record | BadRow],
    filters: Sequence[Filter],
    *,
    seed: int,
    target_size: int | None = None,
    on_progress: Progress | None = None,
    pseudonym: Callable[[str], str] | None = None,
) -> CurationResult:
    """Apply the filters in order; if more than `target_size` records are left, draw that many.

    The draw takes the first records by a seeded hash of the id, `target_size` of each of the source's own parts. Every
    row that is left out is in `rejected`, with the step that rejected it. If a filter hides personal data, everything
    that is returned has gone through it, wherever it is in the list. An id or a group that holds such data becomes
    its `pseudonym`.
    """
    mask = next((step for step in filters if step.hides), None)
    hidden = mask.hidden if mask else lambda value: value
    pseudonym = pseudonym or Pseudonyms()
    on_progress = on_progress or (lambda step, done: None)
    rejected: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []

    def reject(record: Record, step: str, reason: Rejection) -> None:
        masked = mask.masked(record) if mask else record
        rejected.append(funnel.rejection(masked, step, hidden(reason.value), hidden(reason.bound)))

    # Reading: rows that gave no record, and repeated ids.
    records: list[Record] = []
    first: dict[str, str] = {}
    read, unread = 0, Counter()
    for read, row in enumerate(rows, start=1):
        if mask and not isinstance(row, BadRow):
            row = mask.named(row, pseudonym)
        if isinstance(row, BadRow):
            step = "excluded" if row.excluded else "unusable"
            unread[step] += 1
            rejected.append(funnel.unread(hidden(row.where), step, hidden(row.reason)))
        elif row.id in first:
            unread["duplicate_id"] += 1
            reject(row, "duplicate_id", Rejection(row.id, f"first at {first[row.id] or 'an earlier row'}"))
        else:
            first[row.id] = row.meta.get("origin", "")
            records.append(row)
        if read % 1000 == 0:
            on_progress("read", read)
    left = read
    for step in ("unusable", "excluded", "duplicate_id"):
        steps.append(funnel.step(step, left, left - unread[step]))
        left -= unread[step]

    for step in filters:
        kept, changed = [], 0
        for done, (record, verdict) in enumerate(zip(records, step.run(records), strict=True), start=1):
            if isinstance(verdict, Rejection):
                reject(record, label(step), verdict)
            else:
                kept.append(verdict)
                changed += verdict is not record
            if done % 1000 == 0:
                on_progress(label(step), done)
        steps.append(funnel.step(label(step), len(records), len(kept), changed))
        records = kept

    if target_size is not None:
        kept = draw(records, target_size, seed)
        chosen = {record.id for record in kept}
        for record in records:
            if record.id not in chosen:
                reject(record, "draw", Rejection("not drawn", f"{target_size} a part"))
        steps.append(funnel.step("draw", len(records), len(kept)))
        records = kept

    if mask:
        records = [mask.masked(record) for record in records]
    if len(records) + len(rejected) != read:
        raise AssertionError(f"kept {len(records)} + rejected {len(rejected)} != read {read}")
    parts = Counter(record.part or "any" for record in records)
    counts = {"read": read, "kept": len(records), "rejected": len(rejected)}
    return CurationResult(
        records, rejected, {**counts, "seed": seed, "steps": steps, "parts": dict(sorted(parts.items()))}
    )


def draw(records: Sequence[Record], size: int, seed: int) -> list[Record]:
    """At most `size` records of each part: the first by a seeded hash of the id. They keep their order."""
    chosen: set[str] = set()
    for part in {record.part for record in records}:
        ids = [record.id for record in records if record.part == part]
        chosen.update(sorted(ids, key=lambda name: derive_seed(seed, "draw", name))[:size])
    return [record for record in records if record.id in chosen]


def label(step: Filter) -> str:
    """A label for the step in the funnel: its name, and what it looks at: "bounds likes", "near_duplicates target"."""
    looks_at = [getattr(step, name) for name in ("key", "text") if name in step.model_fields_set]
    return " ".join([step.filter, *looks_at])
