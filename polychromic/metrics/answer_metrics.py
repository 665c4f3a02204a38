"""The built-in metrics of short answers; the formulas are in `metrics.squad`, which the answer verifier uses too."""

from __future__ import annotations

from polychromic.metric_registry import METRICS
from polychromic.metrics.kinds import QualityMetric
from polychromic.metrics.squad import exact_match, token_f1


@METRICS.register("exact_match")
class ExactMatch(QualityMetric):
    """1 if the normalised answer is an accepted one, else 0."""

    label = "Exact match"
    signature = "refs:best|norm:squad"
    needs = frozenset({"answers"})
    value = staticmethod(exact_match)


@METRICS.register("token_f1")
class TokenF1(QualityMetric):
    """F1 of the words shared with an accepted answer, after the same normalisation."""

    label = "Token F1"
    signature = "f1|refs:best|norm:squad"
    needs = frozenset({"answers"})
    value = staticmethod(token_f1)
