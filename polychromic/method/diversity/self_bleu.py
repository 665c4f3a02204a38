"""D on the surface: how few n-grams the samples share."""

from __future__ import annotations

from polychromic.method.diversity import DIVERSITY, GroupDiversity
from polychromic.metrics.diversity import self_bleu


@DIVERSITY.register("self_bleu")
class SelfBleu:
    """1 - self-BLEU (Zhu et al. 2018), on the surface of the texts."""

    label = "1 - self-BLEU"
    needs = None

    def __init__(self, *, encode, verifier, n):
        pass

    def __call__(self, groups, records, valid) -> list[GroupDiversity]:
        from polychromic.method.diversity.groups import of_set

        return [of_set(lambda some: 1 - self_bleu(some), texts, g) for texts, g in zip(groups, valid, strict=True)]
