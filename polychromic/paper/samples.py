"""Answers of all arms to the same prompts, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polychromic.paper.results import DOMAIN_ORDER, ordered
from polychromic.parquet import read_parquet
from polychromic.records import read_records
from polychromic.seeds import derive_seed

PROMPTS_SHOWN = 40
"""Prompts a domain whose samples are shown, chosen by a hash of their id: more make the page heavy."""


def read_samples(folder: str | Path, arms: Sequence[str], temperature: float) -> dict[str, Any]:
    """Answers side by side: {domain: {"seed", "arms", "prompts": [{id, prompt, references, answers}], "of"}}.

    `answers` holds per arm a list of [text, passed, count]: equal answers are listed once. They are of the first
    training seed, drawn at `temperature`.
    """
    folder = Path(folder)
    shown: dict[str, Any] = {}
    for path in sorted(folder.glob("*/data/test.jsonl")):
        domain = path.parts[-3]
        records = {record.id: record for record in read_records(path)}
        found = {arm: _first_seed(folder / domain / arm / "passes.parquet", temperature) for arm in arms}
        frames = {arm: frame for arm, frame in found.items() if frame is not None}
        if not frames:
            continue
        sampled = set.intersection(*(set(frame["prompt_id"]) for frame in frames.values())) & set(records)
        chosen = sorted(sampled, key=lambda key: derive_seed("report", key))[:PROMPTS_SHOWN]
        grouped = {arm: dict(iter(frame.groupby("prompt_id"))) for arm, frame in frames.items()}
        shown[domain] = {
            "seed": int(next(iter(frames.values()))["seed"].iloc[0]),
            "of": len(sampled),
            "arms": list(frames),
            "prompts": [
                {
                    "id": key,
                    "prompt": records[key].prompt,
                    "references": list(records[key].references or (records[key].target,))[:3],
                    "answers": {arm: _distinct(grouped[arm][key]) for arm in frames},
                }
                for key in sorted(chosen)
            ],
        }
    return {domain: shown[domain] for domain in ordered(set(shown), DOMAIN_ORDER)}


def _first_seed(passes: Path, temperature: float) -> pd.DataFrame | None:
    """Texts and verdicts of an arm's first seed at the primary temperature; None where there are no texts."""
    if not passes.is_file():
        return None
    verdicts = read_parquet(passes)
    verdicts = verdicts[np.isclose(verdicts["temperature"], temperature)]
    seed = verdicts["seed"].min()
    texts = passes.parent / f"seed-{seed}" / "samples.parquet"
    if not texts.is_file():
        return None
    drawn = read_parquet(texts, columns=["prompt_id", "temperature", "sample", "text"])
    keys = ["prompt_id", "temperature", "sample"]
    return verdicts[verdicts["seed"] == seed].merge(drawn, on=keys, how="inner", validate="one_to_one")


def _distinct(rows: pd.DataFrame) -> list[list[Any]]:
    """[text, passed, count] of the different answers, the passing first, then the frequent ones."""
    counts: dict[tuple[str, bool], int] = {}
    for row in rows.sort_values("sample").itertuples():
        key = (row.text, bool(row.passed))
        counts[key] = counts.get(key, 0) + 1
    return [
        [text, passed, count]
        for (text, passed), count in sorted(counts.items(), key=lambda item: (not item[0][1], -item[1]))
    ]
