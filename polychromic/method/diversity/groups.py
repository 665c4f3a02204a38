"""What all measures share: the gate, D of a group from distances, from labels or from a number, and its check."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import compress

import torch

from polychromic.errors import StudyError
from polychromic.method.diversity import GroupDiversity, Measure
from polychromic.method.objective import (
    gate_distances,
    leave_one_out_credits,
    pairwise_credits,
    pairwise_diversity,
    square_of_four,
)


def gated(choice: Callable, *, verifier, gate: bool) -> Measure:
    """The measure that shows a choice of D which samples are valid."""

    def measure(groups, records, finished) -> list[GroupDiversity]:
        if gate and verifier is not None and getattr(choice, "needs", None) == "encoder":
            # In one batch: the gate, prompt by prompt, and D then find them with the encoder.
            choice.encode([text for pair in zip(groups, finished, strict=True) for text in compress(*pair)])
        valid = [_valid(*group) for group in zip(groups, records, finished, strict=True)]
        return choice(groups, records, valid)

    def _valid(texts: Sequence[str], record, finished: Sequence[bool]) -> list[bool]:
        if not gate:
            return [True] * len(texts)
        well_formed = [bool(text.strip()) for text in texts]
        if verifier is not None:
            well_formed = on_unique(lambda unique: verifier.well_formed(unique, record), texts)
        return [bool(ok and ended) for ok, ended in zip(well_formed, finished, strict=True)]

    measure.label = choice.label
    return measure


def on_unique(function: Callable[[list[str]], Sequence], texts: Sequence[str]) -> list:
    """function(texts), called on each distinct text once."""
    unique = list(dict.fromkeys(texts))
    by_text = dict(zip(unique, function(unique), strict=True))
    return [by_text[text] for text in texts]


def of_distances(distances: torch.Tensor, valid: Sequence[bool]) -> GroupDiversity:
    """D = the mean over all pairs of the distance, 0 if one of the two is not valid; distances: [N, N], symmetric."""
    kept = gate_distances(distances, torch.tensor(valid))
    return GroupDiversity(
        float(pairwise_diversity(kept)), pairwise_credits(kept), list(valid), float(square_of_four(kept))
    )


def of_set(value: Callable[[list[str]], float], texts: Sequence[str], valid: Sequence[bool]) -> GroupDiversity:
    """D = value(valid texts) times the share of pairs that are valid; credits by leave-one-out."""

    def measure(indices: Sequence[int]) -> float:
        kept = [i for i in indices if valid[i]]
        if len(kept) < 2:
            return 0.0
        pairs = len(kept) * (len(kept) - 1)
        return value([texts[i] for i in kept]) * pairs / (len(indices) * (len(indices) - 1))

    n = len(texts)
    fours = [range(start, start + 4) for start in range(0, n - 3, 4)]
    squares = [
        float((leave_one_out_credits(lambda some, four=four: measure([four[i] for i in some]), 4) ** 2).mean())
        for four in fours
    ]
    square = sum(squares) / len(squares) if squares else None
    return GroupDiversity(measure(range(n)), leave_one_out_credits(measure, n), list(valid), square)


class Own:
    """A user's function of the texts of a group, which gives a number or the distances of all pairs."""

    def __init__(self, function: Callable):
        self.function = function
        self.label = getattr(function, "__name__", type(function).__name__)
        parameters = inspect.signature(function).parameters.values()
        self.takes_record = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) > 1

    def __call__(self, groups, records, valid) -> list[GroupDiversity]:
        return [self._group(*group) for group in zip(groups, records, valid, strict=True)]

    def _group(self, texts: Sequence[str], record, valid: Sequence[bool]) -> GroupDiversity:
        def call(some: Sequence[str]):
            return self.function(list(some), record) if self.takes_record else self.function(list(some))

        found = torch.as_tensor(call(texts), dtype=torch.float64)
        if found.dim() == 0:
            return of_set(lambda some: float(call(some)), texts, valid)
        if found.shape != (len(texts), len(texts)):
            raise StudyError(
                f"your measure gives {tuple(found.shape)} for {len(texts)} texts: return one number, or distances "
                f"of shape ({len(texts)}, {len(texts)})."
            )
        return of_distances(found, valid)


def checked(values, rows: Sequence[int], groups: Sequence[Sequence[str]]) -> list[GroupDiversity]:
    """What a measure gave, as GroupDiversity with credits [N], float64.

    Args:
        rows: the data set's row of each group's prompt, for messages. groups: the texts.

    Raises:
        StudyError: another number of groups, something else than GroupDiversity, or a number that is not finite.
    """
    remedy = "wrap a function of the texts by polychromic.method.diversity.own_measure(function)."
    if not isinstance(values, Sequence) or len(values) != len(groups):
        raise StudyError(f"the measure must give one GroupDiversity for each of {len(groups)} groups: {remedy}")
    result = []
    for value, row, texts in zip(values, rows, groups, strict=True):
        if not isinstance(value, GroupDiversity):
            raise StudyError(f"the measure gives {type(value).__name__} in place of GroupDiversity: {remedy}")
        credits = torch.as_tensor(value.credits, dtype=torch.float64).detach().cpu()
        if credits.shape != (len(texts),) or len(value.valid) != len(texts):
            raise StudyError(
                f"the measure gives credits of shape {tuple(credits.shape)} and {len(value.valid)} gates for the "
                f"{len(texts)} samples of row {row}: one of each a sample."
            )
        bad = (~credits.isfinite()).nonzero().flatten().tolist()
        if bad or not torch.isfinite(torch.tensor(float(value.diversity))):
            sample = bad[0] if bad else 0
            number = float(credits[sample]) if bad else float(value.diversity)
            raise StudyError(
                f"the measure gives {number} for row {row} of the training set, sample {sample}: "
                f"{texts[sample][:80]!r}. A measure must be finite for every text, the empty one too."
            )
        result.append(GroupDiversity(float(value.diversity), credits, [bool(ok) for ok in value.valid], value.square))
    return result
