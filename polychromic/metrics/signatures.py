"""How a number was made, in one line that travels with it, as in sacreBLEU (Post 2018, arXiv 1804.08771)."""

from __future__ import annotations

from importlib.metadata import version
from string import Formatter

from polychromic.errors import StudyError, closest
from polychromic.metric_registry import METRICS, column_of
from polychromic.metrics.signed_tables import encoder_signature

_READINGS = {"all": [], "passing": ["of:passing"], "cut": ["cut:reference-length"]}


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


def _filled(template: str, model: str) -> str:
    """A metric's signature with the versions of the packages it names."""
    names = {field for _, field, _, _ in Formatter().parse(template) if field}
    return template.format(**{name: encoder_signature(model) if name == "encoder" else version(name) for name in names})


def _known() -> str:
    return f"Known: {', '.join(METRICS)}."
