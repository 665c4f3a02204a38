"""The quality term: cross-entropy (standard LoRA) and its peers GEM, DCO, TOFU, DFT, EAFT and an entropy bonus.

A choice is a function of the logits at the target tokens; its keyword-only parameters are the settings that it uses:

    loss(logits, labels, rows, *, quality_beta) -> the summed loss, a scalar

    logits: [targets, vocabulary], float32. labels: [targets]. rows: [targets], the row of the batch of each.

The trainer divides the sum by the number of targets in the effective batch. `label` is the term's short name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

from polychromic.registry import Registry

QUALITY_TERMS = Registry(
    "quality term",
    {
        "ce": "polychromic.method.quality.cross_entropy",
        "gem": "polychromic.method.quality.gem",
        "gem_logsigmoid": "polychromic.method.quality.gem",
        "dco": "polychromic.method.quality.dco",
        "entropy": "polychromic.method.quality.cross_entropy",
        "tofu": "polychromic.method.quality.tofu",
        "dft": "polychromic.method.quality.reweighted",
        "eaft": "polychromic.method.quality.reweighted",
    },
)


def settings_of(term: Callable) -> list[str]:
    """Names of the settings that a quality term uses."""
    parameters = inspect.signature(term).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]


def quality_loss(name: str, settings: object) -> Callable:
    """The term of this name as loss(logits, labels, rows), with its settings read from the attributes of `settings`.

    Raises:
        StudyError: there is no such term.
    """
    term = QUALITY_TERMS[name]
    return partial(term, **{key: getattr(settings, key) for key in settings_of(term)})
