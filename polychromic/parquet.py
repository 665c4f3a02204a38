"""Parquet files: written whole, and named with the remedy when they cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from polychromic.errors import StudyError
from polychromic.files import appearing


def write_parquet(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a frame, its `attrs` too, by atomic rename."""
    with appearing(path) as partial:
        frame.to_parquet(partial, index=False)


def read_parquet(path: str | Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a frame, or some of its columns.

    Raises:
        StudyError: naming a file that is missing, cut short or of other columns.
    """
    path = Path(path)
    if not path.is_file():
        raise StudyError(f"{path} is missing. Run the study again: Snakemake makes it.")
    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of these two
        why = str(error).splitlines()[0]
        raise StudyError(f"{path}: not a readable parquet file ({why}). Delete it and run the study again.") from error
