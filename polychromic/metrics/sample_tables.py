"""The samples of an arm as one data frame, and that frame with their verdicts. No file is read or written here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from polychromic.errors import StudyError
from polychromic.records import Record

GROUP = ["seed", "prompt_id", "temperature"]
SAMPLE = [*GROUP, "sample"]


def stack_samples(samples: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    """The samples of an arm's training seeds in one frame, sorted by seed, prompt, temperature, sample.

    samples: per training seed the frame of its `samples.parquet`. The column `seed` of the result is the
    training seed; that of the single draw becomes `draw_seed`.

    Raises:
        StudyError: if a sample occurs twice.
    """
    frames = [frame.rename(columns={"seed": "draw_seed"}).assign(seed=seed) for seed, frame in samples.items()]
    stacked = pd.concat(frames, ignore_index=True)
    _refuse_duplicates(stacked, "samples")
    return stacked.sort_values(SAMPLE, ignore_index=True)


def with_passes(samples: pd.DataFrame, passes: pd.DataFrame) -> pd.DataFrame:
    """The stacked samples of an arm with the verdicts of its `passes.parquet`, row by row.

    Raises:
        StudyError: unless the two hold the same samples, each once.
    """
    _refuse_duplicates(passes, "passes")
    joined = samples.merge(passes, on=SAMPLE, how="outer", indicator="found_in")
    for side, missing in (("left_only", "passes"), ("right_only", "samples")):
        alone = joined[joined["found_in"] == side]
        if len(alone):
            raise StudyError(f"{len(alone)} samples are not in {missing}, the first: {_name(alone.iloc[0])}")
    return joined.drop(columns="found_in").sort_values(SAMPLE, ignore_index=True)


def references_of(samples: pd.DataFrame, records: Sequence[Record]) -> dict[str, list[str]]:
    """{prompt id: accepted texts}: its references, or its target if it has none; blank ones left out."""
    return {
        key: [text for text in record.references or (record.target,) if text.strip()]
        for key, record in records_of(samples, records).items()
    }


def records_of(joined: pd.DataFrame, records: Sequence[Record]) -> dict[str, Record]:
    """{prompt id: record}.

    Raises:
        StudyError: if a sample's prompt is in no record.
    """
    by_id = {record.id: record for record in records}
    unknown = sorted(set(joined["prompt_id"]) - by_id.keys())
    if unknown:
        raise StudyError(f"samples of {len(unknown)} prompts that are in no record, the first: {unknown[0]!r}")
    return by_id


def _refuse_duplicates(frame: pd.DataFrame, what: str) -> None:
    twice = frame.duplicated(SAMPLE)
    if twice.any():
        raise StudyError(f"{what}: twice the same, {_name(frame[twice].iloc[0])}. Delete the file and re-run.")


def _name(row: pd.Series) -> str:
    return ", ".join(f"{key} {row[key]}" for key in SAMPLE)
