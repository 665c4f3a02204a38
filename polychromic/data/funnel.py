"""Counts of the rows from the raw files to the parts: how many each step kept, changed and rejected.

A funnel is a dict {"read", "kept", "rejected", "steps": [step, ...], "parts", ...}. kept + rejected = read, and what
comes out of a step goes into the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from polychromic.records import Record


def step(name: str, before: int, after: int, changed: int = 0) -> dict[str, Any]:
    """One step of a funnel. before, after: rows that went in and came out."""
    return {"filter": name, "in": before, "out": after, "rejected": before - after, "changed": changed}


def shown(funnel: Mapping[str, Any]) -> str:
    """The funnel as a table for the console: a line for each step that did something."""
    steps = [step for step in funnel["steps"] if step["rejected"] or step["changed"]]
    width = max([len("rejected"), *(len(step["filter"]) for step in steps)])
    lines = [f"  {'step':<{width}}  {'rejected':>9}  {'changed':>9}  {'left':>9}"]
    lines.append(f"  {'read':<{width}}  {'':>9}  {'':>9}  {funnel['read']:>9,}")
    for step in steps:
        counts = [f"{step[key]:>9,}" if step[key] else f"{'':>9}" for key in ("rejected", "changed")]
        lines.append(f"  {step['filter']:<{width}}  {'  '.join(counts)}  {step['out']:>9,}")
    idle = [step["filter"] for step in funnel["steps"] if not step["rejected"] and not step["changed"]]
    lines.append(f"  kept {funnel['kept']:,}, rejected {funnel['rejected']:,}")
    return "\n".join(lines + ([f"  without effect: {', '.join(idle)}"] if idle else []))


def rejection(record: Record, name: str, value: Any, bound: Any) -> dict[str, Any]:
    """A rejected row as it is written: the step that rejected it, the value that was measured, and its bound."""
    where = record.meta.get("origin", "")
    return {"id": record.id, "where": where, "filter": name, "value": value, "bound": bound, "record": asdict(record)}


def unread(where: str, name: str, reason: str) -> dict[str, Any]:
    """A row that gave no record, as it is written."""
    return {"id": None, "where": where, "filter": name, "value": reason, "bound": None, "record": None}


def extended(funnel: Mapping[str, Any], steps: Sequence[dict[str, Any]], parts: Mapping[str, int]) -> dict[str, Any]:
    """The funnel with further steps at its end, and the number of rows in each part after them.

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
