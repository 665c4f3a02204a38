"""What diversity is measured on: from the texts of a group to D, its credits, and which samples count.

A gate g_i in {0, 1} says which samples are valid (ended, well-formed, on task): only pairs of valid samples
count, so that broken text does not pass for variety. For a pairwise mean that is g_i g_j d(i, j); for a set
measure (self-BLEU, distinct-n), D of the valid samples times the share of pairs that are valid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from polychromic.errors import StudyError
from polychromic.method.objective import gate_distances, leave_one_out_credits, pairwise_credits, pairwise_diversity

FORMS = ("semantic", "self_bleu", "distinct_n", "behaviour", "answer")


@dataclass(frozen=True)
class GroupDiversity:
    """D of one prompt's samples, the credit of each ([N], float64), and which of them are valid."""

    diversity: float
    credits: torch.Tensor
    valid: list[bool]


Measure = Callable[..., list[GroupDiversity]]
"""measure(groups, records, finished) -> one GroupDiversity a group.

groups: texts of each prompt's samples; records: each prompt's record (None where the rows have none);
finished: whether each sample drew its end token.
"""


def make_measure(form: str, *, encode=None, verifier=None, gate: bool = True, n: int = 2) -> Measure:
    """The diversity measure of this form.

    Args:
        form: "semantic" (1 - cosine of sentence embeddings), "self_bleu" (1 - self-BLEU), "distinct_n",
            "behaviour" (two programs differ in the values that they return on probe inputs) or "answer"
            (normalised answers differ).
        encode: for "semantic": texts -> [n, d] unit vectors, such as `embedding.Encoder().encode`.
        verifier: for "behaviour" and "answer" it must give `.labels(texts, record)` (None: does not run, no
            answer); for a gate, `.well_formed(texts, record)`. Without one, a gate asks only that a sample
            ended and is not empty.
        gate: whether only valid samples count. n: for "distinct_n".

    Raises:
        StudyError: unknown form, or one whose encoder or verifier is missing.
    """
    if form not in FORMS:
        raise StudyError(f"diversity {form!r} is unknown: use one of {', '.join(FORMS)}.")
    if form == "semantic" and encode is None:
        raise StudyError('diversity "semantic" needs an encoder: pass encode=polychromic.embedding.Encoder().encode.')
    if form in ("behaviour", "answer") and not hasattr(verifier, "labels"):
        kind = "code" if form == "behaviour" else "answer"
        raise StudyError(
            f'diversity "{form}" needs a verifier that tells {form}s apart: use it in a domain with verifier '
            f'"{kind}", or another form, such as "semantic".'
        )

    def measure(groups, records, finished) -> list[GroupDiversity]:
        valid = [_gates(*group) for group in zip(groups, records, finished, strict=True)]
        if form == "semantic":
            vectors = torch.as_tensor(encode([text for group in groups for text in group]), dtype=torch.float64)
            per_group = vectors.split([len(group) for group in groups])
            return [_pairwise(1 - v @ v.T, g) for v, g in zip(per_group, valid, strict=True)]
        if form in ("behaviour", "answer"):
            return [
                _by_label(_labels(verifier, texts, record), g)
                for texts, record, g in zip(groups, records, valid, strict=True)
            ]
        value = _self_bleu_diversity if form == "self_bleu" else lambda texts: _distinct(texts, n)
        return [_set(value, texts, g) for texts, g in zip(groups, valid, strict=True)]

    def _gates(texts: Sequence[str], record, finished: Sequence[bool]) -> list[bool]:
        if not gate:
            return [True] * len(texts)
        well_formed = [bool(text.strip()) for text in texts]
        if verifier is not None:
            well_formed = _on_unique(lambda unique: verifier.well_formed(unique, record), texts)
        return [bool(ok and ended) for ok, ended in zip(well_formed, finished, strict=True)]

    return measure


def _on_unique(function: Callable[[list[str]], Sequence], texts: Sequence[str]) -> list:
    """function(texts), called on each distinct text once."""
    unique = list(dict.fromkeys(texts))
    by_text = dict(zip(unique, function(unique), strict=True))
    return [by_text[text] for text in texts]


def _labels(verifier, texts: Sequence[str], record) -> list[str | None]:
    return _on_unique(lambda unique: verifier.labels(unique, record), texts)


def _by_label(labels: Sequence[str | None], valid: Sequence[bool]) -> GroupDiversity:
    """d = 1 where labels differ; what has no label (does not run) is of one kind with what has none."""
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    code = torch.tensor([codes[label] for label in labels])
    return _pairwise((code[:, None] != code[None, :]).double(), valid)


def _pairwise(distances: torch.Tensor, valid: Sequence[bool]) -> GroupDiversity:
    gated = gate_distances(distances, torch.tensor(valid))
    return GroupDiversity(float(pairwise_diversity(gated)), pairwise_credits(gated), list(valid))


def _set(value: Callable[[list[str]], float], texts: Sequence[str], valid: Sequence[bool]) -> GroupDiversity:
    def measure(indices: Sequence[int]) -> float:
        kept = [texts[i] for i in indices if valid[i]]
        if len(kept) < 2 or len(indices) < 2:
            return 0.0
        return value(kept) * len(kept) * (len(kept) - 1) / (len(indices) * (len(indices) - 1))

    return GroupDiversity(measure(range(len(texts))), leave_one_out_credits(measure, len(texts)), list(valid))


def _self_bleu_diversity(texts: list[str]) -> float:
    from polychromic.metrics.diversity import self_bleu

    return 1 - self_bleu(texts)


def _distinct(texts: list[str], n: int) -> float:
    from polychromic.metrics.diversity import distinct_n

    value = distinct_n(texts, n)
    return 0.0 if value != value else value  # NaN: no text is long enough to have an n-gram
