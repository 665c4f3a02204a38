"""D on the surface: the share of n-grams that are distinct."""

from __future__ import annotations

import math

from polychromic.method.diversity import DIVERSITY, GroupDiversity
from polychromic.metrics.diversity import distinct_n


@DIVERSITY.register("distinct_n")
class DistinctN:
    """Distinct-n (Li et al. 2016), on the surface of the texts."""

    label = "distinct-n"
    needs = None

    def __init__(self, *, encode, verifier, n):
        self.n = n

    def __call__(self, groups, records, valid) -> list[GroupDiversity]:
        from polychromic.method.diversity.groups import of_set

        return [of_set(self._value, texts, g) for texts, g in zip(groups, valid, strict=True)]

    def _value(self, texts: list[str]) -> float:
        value = distinct_n(texts, self.n)
        return 0.0 if math.isnan(value) else value  # no text is long enough to have an n-gram
