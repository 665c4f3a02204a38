"""Divides the records into train, val and test, and measures that nothing leaks between them.

A record's part depends on that record alone: it is the part that its source gives, or a seeded hash of its group. So
rows that are added before or after it never move it. Two records in different parts are a leak if they share their
group, or if their prompts or targets are the same or nearly the same; the one that comes later in the order of the
sources is rejected. So list first what must stay complete, such as a benchmark's test set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import Field, model_validator

from polychromic.data.funnel import rejection
from polychromic.data.near_duplicates import near_pairs, normal
from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.seeds import derive_seed
from polychromic.settings import Settings

NAMES = ("train", "val", "test")


class Split(Settings):
    """Shares of the parts, and what counts as a leak."""

    train: float = Field(0.8, ge=0, le=1)
    val: float = Field(0.1, ge=0, le=1)
    test: float = Field(0.1, ge=0, le=1)
    evaluation_val_share: float = Field(1 / 3, ge=0, le=1)
    """The share of the groups of `part: evaluation` that goes to val; the others go to test."""
    compare: tuple[Literal["prompt", "target"], ...] = ("prompt", "target")
    """Texts that no two parts may share. Leave target out where equal answers are not a leak, such as "1905" or
    `return a + b`."""
    near_duplicate: float = Field(0.8, gt=0, le=1)
    """Two texts also count as shared if the Jaccard index of their 8-byte shingles is at least this."""

    @model_validator(mode="after")
    def _whole(self) -> Split:
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError(f"train + val + test = {self.train + self.val + self.test:g}: make them add up to 1")
        return self


@dataclass(frozen=True)
class SplitResult:
    """parts: the records of train, val and test; rejected: rows as curation writes them; leakage: what
    `measure_leakage` found afterwards."""

    parts: dict[str, list[Record]]
    rejected: list[dict[str, Any]]
    leakage: dict[str, Any]


def split(
    records: Sequence[Record], settings: Split, *, seed: int, needs: Mapping[str, int] | None = None
) -> SplitResult:
    """Divide the records into parts. kept + rejected = all of them.

    needs: {part: the number of different prompts that the study needs at least}.

    Raises:
        StudyError: a part that should have rows is empty, or has fewer different prompts than the study needs.
    """
    placed = [replace(record, part=part_of(record, settings, seed)) for record in records]
    ties = find_ties(placed, settings)
    kept: dict[int, Record] = {}
    rejected = []
    for at, record in enumerate(placed):
        # Leaks to records that were rejected themselves do not count.
        tie = next(((other, why, value) for other, why, value in ties.get(at, ()) if other in kept), None)
        if tie is None:
            kept[at] = record
            continue
        other, why, value = tie
        bound = f"would tie {record.part} to {kept[other].part}"
        rejected.append(rejection(record, "split", f"{why} ({value:.3f}) as {kept[other].id}", bound))
    parts = {name: [record for record in kept.values() if record.part == name] for name in NAMES}
    wanted = {"train": settings.train, "val": settings.val, "test": settings.test}
    least = {name: max(int(wanted[name] > 0), (needs or {}).get(name, 0)) for name in NAMES}
    prompts = {name: len({record.prompt for record in parts[name]}) for name in NAMES}
    if few := [name for name in NAMES if prompts[name] < least[name]]:
        counted = ", ".join(f"{name} has {prompts[name]} different prompts and needs {least[name]}" for name in few)
        raise StudyError(
            f"split: {counted} ({len(records)} records in {len({record.group for record in records})} groups, "
            f"{len(rejected)} rejected as leaks). {_remedy(records, few)}"
        )
    leakage = measure_leakage(parts, settings, rejected=len(rejected))
    if leakage["leaks"]:
        raise AssertionError(f"split: leaks are left, {leakage['pairs_across_parts']}")
    return SplitResult(parts, rejected, leakage)


def _remedy(records: Sequence[Record], few: Sequence[str]) -> str:
    """What to do about these parts, which have too few rows."""
    own = Counter(record.part for record in records)
    if own[None] == 0 and own["evaluation"] == 0:
        given = ", ".join(f"{part} {count}" for part, count in sorted(own.items()))
        return (
            f"Every row already has a part ({given}), so none is divided. Add a source with `part: "
            f"{few[-1]}` or `part: evaluation`, or leave `part` out, so that the shares divide the rows."
        )
    if len({record.group for record in records}) < 10 * len(NAMES):
        return "The groups are few, and a group never parts: choose smaller ones (`group`), or add more rows."
    return (
        "Bring more rows, raise the shares of these parts (`split`), or ask for fewer prompts "
        "(`sampling.test_prompts`, `sampling.validation_prompts`)."
    )


def part_of(record: Record, settings: Split, seed: int) -> str:
    """train, val or test: the record's own part, or where its group's hash falls in [0, 1)."""
    if record.part in NAMES:
        return record.part
    place = derive_seed(seed, "split", record.group) / 2**63
    if record.part == "evaluation":
        return "val" if place < settings.evaluation_val_share else "test"
    return "train" if place < settings.train else "val" if place < settings.train + settings.val else "test"


def find_ties(records: Sequence[Record], settings: Split) -> dict[int, list[tuple[int, str, float]]]:
    """For each record that shares its group or a compared text with an earlier one of another part: the
    earlier ones, as (index, "same group" | "near prompt" | "near target", Jaccard index)."""
    ties: dict[int, list[tuple[int, str, float]]] = {}
    by_part = {name: [at for at, record in enumerate(records) if record.part == name] for name in NAMES}
    for left, right in (("train", "val"), ("train", "test"), ("val", "test")):
        found = [(i, j, "same group", 1.0) for i, j in _equal(records, by_part[left], by_part[right], "group")]
        for text in settings.compare:
            found += [(i, j, f"same {text}", 1.0) for i, j in _equal(records, by_part[left], by_part[right], text)]
            pairs = near_pairs(
                [getattr(records[at], text) for at in by_part[left]],
                [getattr(records[at], text) for at in by_part[right]],
                settings.near_duplicate,
            )
            found += [(by_part[left][i], by_part[right][j], f"near {text}", index) for i, j, index in pairs]
        for i, j, why, index in found:
            ties.setdefault(max(i, j), []).append((min(i, j), why, index))
    return ties


def _equal(records: Sequence[Record], left: list[int], right: list[int], key: str) -> list[tuple[int, int]]:
    """Pairs of indices with the same `key`: groups are compared as they are, texts after normalisation."""
    same = (lambda value: value) if key == "group" else normal
    by_value: dict[str, list[int]] = {}
    for at in right:
        by_value.setdefault(same(getattr(records[at], key)), []).append(at)
    return [(i, j) for i in left for j in by_value.get(same(getattr(records[i], key)), ())]


def measure_leakage(parts: dict[str, Sequence[Record]], settings: Split, *, rejected: int = 0) -> dict[str, Any]:
    """What the parts share, counted over all pairs of records in different parts. All counts of a good split are 0."""
    everything = [replace(record, part=name) for name in NAMES for record in parts[name]]
    counts = {
        "same group": 0,
        **{f"{how} {text}": 0 for text in settings.compare for how in ("same", "near")},
    }
    for ties in find_ties(everything, settings).values():
        for _, why, _ in ties:
            counts[why] += 1
    return {
        "compared": list(settings.compare),
        "near_duplicate": settings.near_duplicate,
        "pairs_across_parts": counts,
        "leaks": sum(counts.values()),
        "rejected": rejected,
        "rows": {name: len(parts[name]) for name in NAMES},
        "groups": {name: len({record.group for record in parts[name]}) for name in NAMES},
    }


def evaluation_prompts(records: Sequence[Record], cap: int, seed: int) -> list[Record]:
    """At most `cap` records to evaluate on, one a prompt: the first by a seeded hash of the id, in that order.

    Records with the same prompt become one, with the references of all. If there are fewer than `cap` prompts, all
    are returned; the caller reports it.
    """
    by_prompt: dict[str, list[Record]] = {}
    for record in records:
        by_prompt.setdefault(record.prompt, []).append(record)
    merged = [
        replace(same[0], references=tuple(dict.fromkeys(text for record in same for text in record.references)))
        for same in by_prompt.values()
    ]
    return sorted(merged, key=lambda record: derive_seed(seed, "evaluation", record.id))[:cap]
