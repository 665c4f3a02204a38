"""The account of every row from the raw files to the parts: what each step let through, and what it rejected.

A funnel is a dict {"read", "kept", "rejected", "steps": [step, ...], "parts", ...}. kept + rejected = read,
and each step takes in what the one before it let out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from polychromic.records import Record


def step(name: str, before: int, after: int, changed: int = 0) -> dict[str, Any]:
    """A line of a funnel: rows that came in, went out, were rejected and were changed."""
    return {"filter": name, "in": before, "out": after, "rejected": before - after, "changed": changed}


def rejection(record: Record, name: str, value: Any, bound: Any) -> dict[str, Any]:
    """A rejected row as it is written: which step rejected it, the value that did, and the bound it broke."""
    where = record.meta.get("origin", "")
    return {"id": record.id, "where": where, "filter": name, "value": value, "bound": bound, "record": asdict(record)}


def extended(funnel: Mapping[str, Any], steps: Sequence[dict[str, Any]], parts: Mapping[str, int]) -> dict[str, Any]:
    """The funnel with further steps at its end, and the rows that each part has after them.

    Raises:
        AssertionError: a row appeared or was lost on the way.
    """
    kept = funnel["kept"]
    for line in steps:
        if line["in"] != kept:
            raise AssertionError(f"{line['filter']} took in {line['in']} rows, but {kept} came out of the step before")
        kept = line["out"]
    if sum(parts.values()) != kept:
        raise AssertionError(f"{kept} rows are left, but the parts hold {sum(parts.values())}")
    counts = {"kept": kept, "rejected": funnel["read"] - kept}
    return {**funnel, **counts, "steps": [*funnel["steps"], *steps], "parts": dict(parts)}
