"""Inference on [prompts, seeds] arrays, and the verdict of a study."""

from polychromic.statistics.effect_sizes import cohens_d, mann_whitney_u
from polychromic.statistics.inference import crossed_bootstrap, holm, two_way_t

__all__ = ["cohens_d", "crossed_bootstrap", "holm", "mann_whitney_u", "two_way_t"]
