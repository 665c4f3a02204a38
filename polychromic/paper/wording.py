"""What captions and pages say about a study's numbers: sizes, intervals, hours, machines, judges."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from polychromic import labels
from polychromic.paper.table_formats import with_interval
from polychromic.statistics import readings

SIMILARITY = "reference-similarity"
"""What is in the `judge` column where no model judged, but the cosine to the accepted answers."""


def sizes(frame: pd.DataFrame) -> str:
    """The n of a summary-like frame, in words: "n = 60 prompts × 3 training seeds × 10 samples" a domain."""
    if "domain" in frame:
        frame = frame[frame["domain"] != "pooled"]
    units = {"n_prompts": "prompt", "n_seeds": "training seed", "n_samples": "sample"}
    return "n = " + " × ".join(labels.count_range(frame[key], unit) for key, unit in units.items() if key in frame)


def intervals(frame: pd.DataFrame) -> str:
    """What the intervals of a summary-like frame cover; with one seed, prompts only."""
    if frame["n_seeds"].max() > 1:
        return "95 % intervals, prompts and training seeds both random"
    return "95 % intervals over prompts only (one seed: they hold for these adapters, not for the method)"


def effect(row: Mapping[str, float]) -> str:
    """A difference with its interval where there is little room: "+.102 [−.004, +.208]"."""
    return with_interval(*(row[name] for name in ("difference", "low", "high")), sign=True)


def outcome(verdict: Mapping[str, Any]) -> tuple[str, str]:
    """A domain's or the pooled verdict in a few words, and its colour: "good", "bad" or "open"."""
    if verdict["supported"]:
        return "supported", "good"
    if verdict.get("harmed"):
        return readings.worse(verdict), "bad"
    if verdict["superior"] and not verdict.get("assessable", True):
        return "cost not assessable", "open"
    return "not shown", "open"


def hours(value: float) -> str:
    """Hours, with more digits where there are few: 12.25, 0.0041."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def duration(value: float) -> str:
    """Hours in the unit that suits them: "42 s", "12 min", "3.4 h"."""
    seconds = 3600 * value
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{value:.1f} h"


def dollars(value: float) -> str:
    """Dollars to the cent, with more digits below one: 3.25, 0.0041."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"


def spent(hours: float, gpu_hours: float, paid: float) -> str:
    """Time and, where there were any, GPU hours and money: "12 min"; "12.3 h, 12.3 GPU hours and 9.20 dollars"."""
    parts = [duration(hours)]
    parts += [f"{gpu_hours:.1f} GPU hours"] if gpu_hours else []
    parts += [f"{dollars(paid)} dollars"] if paid else []
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def machine(hardware: dict) -> str:
    """A run record's hardware in a few words: its graphics cards, else its processor."""
    cards = hardware["gpus"]
    return f"{len(cards)} × {cards[0]}" if cards else f"{hardware['processor']}, {hardware['cores']} cores"


def judges(comparisons: pd.DataFrame) -> list[str]:
    """The models that judged; none where none was asked."""
    return [] if comparisons.empty else sorted(set(comparisons["judge"]) - {SIMILARITY})


def rate_interval(rate: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n; NaN without any."""
    return proportion_confint(round(rate * n), n, method="wilson") if n else (nan, nan)


def mismatched(calibration: Mapping[str, Any]) -> int:
    """How many mismatched answers of the worse kind a verifier's calibration judged."""
    by_kind = calibration["false_pass_by_kind"]
    return calibration["n_mismatched"][max(by_kind, key=by_kind.get)] if by_kind else 0
