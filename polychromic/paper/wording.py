"""What captions and pages say of a study's numbers: sizes, intervals, hours, machines, judges."""

from __future__ import annotations

import pandas as pd

from polychromic import labels

JUDGES = {"reference-similarity": "reference-similarity (cosine to the accepted answers; no model was asked)"}


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
    return "95 % intervals over prompts only (one seed: they speak of these adapters, not of the method)"


def hours(value: float) -> str:
    """Hours, with more digits where there are few: 12.25, 0.0041."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def machine(hardware: dict) -> str:
    """A run record's hardware in a few words: its graphics cards, else its processor."""
    cards = hardware["gpus"]
    return f"{len(cards)} × {cards[0]}" if cards else f"{hardware['processor']}, {hardware['cores']} cores"


def judges(names: pd.Series) -> str:
    """Who judged: the `judge` column of the comparisons in words."""
    return ", ".join(JUDGES.get(name, name) for name in sorted(set(names)))
