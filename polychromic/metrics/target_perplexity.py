"""Perplexity of a prompt's target under the arm, from likelihoods that the generation job has summed."""

from __future__ import annotations

import math

from polychromic.metric_registry import METRICS
from polychromic.metrics.kinds import QualityMetric


@METRICS.register("perplexity")
class Perplexity(QualityMetric):
    """exp of the mean negative log-likelihood of a target's tokens, end token included."""

    label = "Perplexity"
    signature = "of:target|pooled:tokens|temperature:1"
    lower_is_better = True
    bounds = (1.0, math.inf)
    needs = frozenset({"nll"})
    undefined = "Perplexity is undefined where prompt and target do not fit into the model"
