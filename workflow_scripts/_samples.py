"""The samples of an arm's seeds, and the records they were drawn for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from polychromic.data.splitting import evaluation_prompts
from polychromic.metrics.sample_tables import stack_samples
from polychromic.parquet import read_parquet
from polychromic.records import Record, read_records


def read_prompts(file: str) -> list[Record]:
    """The records of a part, those of one prompt merged as they were for sampling."""
    records = read_records(file)
    return evaluation_prompts(records, len(records), seed=0)


def read_per_seed(files: list[str]) -> dict[int, pd.DataFrame]:
    """{training seed: frame}, by the folder seed-<s> that each file is in."""
    return {int(Path(file).parent.name.removeprefix("seed-")): read_parquet(file) for file in files}


def stacked(files: list[str]) -> pd.DataFrame:
    return stack_samples(read_per_seed(files))
