"""Inference on [prompts, seeds] arrays, and the verdict of a study."""

from polychromic.statistics.inference import cohens_d, crossed_bootstrap, holm, mann_whitney_u, two_way_t

__all__ = ["cohens_d", "crossed_bootstrap", "holm", "mann_whitney_u", "two_way_t"]
