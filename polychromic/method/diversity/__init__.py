"""What diversity is measured on: from the texts of a group to D, its credits, and which samples count.

A gate g_i in {0, 1} says which samples are valid (ended, well-formed, on task): only pairs of valid samples count, so
that broken text does not pass for variety. For a pairwise mean that is g_i g_j d(i, j); for a set measure (self-BLEU,
distinct-n), D of the valid samples times the share of pairs that are valid. A sample's weight, in [0, 1], is its gate
or, where distances are weighted by quality, its gate times its agreement with the row's own answers.

A choice is a class with a `label`, what it `needs` ("encoder", or "labels" or "behaviour" of the verifier, or None) and
the methods below. Its module imports torch when called, not before: a study is planned from the declarations alone.

    __init__(self, *, encode, verifier, n)
    __call__(self, groups, records, weights) -> one GroupDiversity a group
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from polychromic.errors import StudyError
from polychromic.registry import Registry

if TYPE_CHECKING:
    import torch

DIVERSITY = Registry(
    "diversity measure",
    {
        "semantic": "polychromic.method.diversity.semantic",
        "self_bleu": "polychromic.method.diversity.self_bleu",
        "distinct_n": "polychromic.method.diversity.distinct_n",
        "behaviour": "polychromic.method.diversity.labels",
        "answer": "polychromic.method.diversity.labels",
    },
)


@dataclass(frozen=True)
class GroupDiversity:
    """D of one prompt's samples, the credit of each ([N], float64), and which of them are valid."""

    diversity: float
    credits: torch.Tensor
    valid: list[bool]
    square: float | None = None
    """Mean squared credit that four such samples would have, the unit of the weight; None: as if credits fell with
    1 / N."""

    @property
    def square_of_four(self) -> float:
        if self.square is not None:
            return self.square
        return float((self.credits**2).mean()) * (len(self.credits) / 4) ** 2


Measure = Callable[..., list[GroupDiversity]]
"""measure(groups, records, finished) -> one GroupDiversity a group.

groups: texts of each prompt's samples; records: each prompt's record (None where the rows have none); finished:
whether each sample drew its end token.
"""

GATE = ("gate", "gate_agreement", "quality_weighted")
"""Settings of an objective that `make_measure` takes."""


def make_measure(
    form: str,
    *,
    encode=None,
    verifier=None,
    gate: bool = True,
    gate_agreement: float = 0.0,
    quality_weighted: bool = False,
    n: int = 2,
) -> Measure:
    """The diversity measure of this form.

    Args:
        form: "semantic" (1 - cosine of sentence embeddings), "self_bleu" (1 - self-BLEU), "distinct_n", "behaviour"
            (two programs differ in the values that they return on probe inputs), "answer" (normalised answers
            differ), or one that a plugin declares.
        encode: for "semantic": texts -> [n, d] unit vectors, such as `embedding.Encoder().encode`.
        verifier: for "behaviour" and "answer" it must give `.labels(texts, record)` (None: does not run, no answer);
            for a gate, `.well_formed(texts, record)`. Without one, a gate asks only that a sample ended and is not
            empty.
        gate: whether only valid samples count.
        gate_agreement: a sample counts only if it agrees that far with the row's own answers, in [0, 1]: for programs
            the share of probe inputs on which it returns what the target does, for short answers token F1, for open
            text the cosine with the nearest reference. It asks for `verifier.agreement`.
        quality_weighted: multiply the distance of two samples by the agreement of both (as DARLING multiplies, Li et
            al. 2025, arXiv 2509.02534), which asks for it too.
        n: for "distinct_n".

    Raises:
        StudyError: unknown form, or one whose encoder or verifier is missing.
    """
    from polychromic.method.diversity.groups import gated

    choice = DIVERSITY[form]
    if choice.needs == "encoder" and encode is None:
        raise StudyError(f'diversity "{form}" needs an encoder: pass encode=polychromic.embedding.Encoder().encode.')
    if choice.needs in ("labels", "behaviour") and not hasattr(verifier, "labels"):
        raise StudyError(
            f'diversity "{form}" needs a verifier that tells {form}s apart: use it in a domain whose verifier does '
            '("code" for behaviour, "answer" for answer), or take another form, such as "semantic".'
        )
    if (gate_agreement > 0 or quality_weighted) and not hasattr(verifier, "agreement"):
        raise StudyError(
            "gate_agreement and quality_weighted need a verifier that tells how far an answer agrees with the row's "
            'own: take "code", "answer" or "similarity", or leave them out.'
        )
    return gated(
        choice(encode=encode, verifier=verifier, n=n),
        verifier=verifier,
        gate=gate,
        gate_agreement=gate_agreement,
        quality_weighted=quality_weighted,
    )


def own_measure(function: Callable, *, verifier=None, gate: bool = True) -> Measure:
    """A measure D of your own.

        measure = own_measure(lambda texts: len(set(texts)) / len(texts))

    Args:
        function: function(texts) or function(texts, record), for the samples of one prompt. It returns either D, a
            number (credits are then by leave-one-out: N + 2 calls a prompt, and five for every four samples), or the
            distances of all pairs, [N, N], symmetric, as a tensor, an array or lists (D is then their mean).
        verifier, gate: as for `make_measure`.
    """
    from polychromic.method.diversity.groups import Own, gated

    return gated(Own(function), verifier=verifier, gate=gate)
