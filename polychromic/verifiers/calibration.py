"""How often a verifier is right: the threshold for open text, true-pass and false-pass rates, warnings.

Right answers are the references themselves, each judged against the *other* references of its prompt.
Mismatched ones are of two kinds: another prompt's references ("other_prompt"), and answers that the data
marks as wrong for this very prompt (`meta["mismatched"]`, "same_prompt"), which are harder. Each kind must
stay under the bound by itself: pooled, the many easy ones would hide the hard ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.seeds import derive_seed
from polychromic.verifiers import Answers, Verifier, verify_all
from polychromic.verifiers.text import Encode, accepted, problem

MAX_FALSE_PASS = 0.05  # share of mismatched answers that may pass
OTHERS = 10  # other prompts whose references are tried on a prompt
FLOOR_PASS_1, CEILING_PASS_5 = 0.02, 0.95
_LOW_TRUE_PASS = 0.3


def calibrate_verifier(verifier: Verifier, records: Sequence[Record]) -> dict[str, Any]:
    """`calibrate` for a verifier that needs a threshold, `measure` for another, by its own settings."""
    bound = getattr(verifier.settings, "max_false_pass", MAX_FALSE_PASS)
    if "calibration" in verifier.needs:
        return calibrate(records, verifier.encode, bound, verifier.settings.min_words, verifier.settings.max_words)
    return measure(records, verifier, bound, hide=verifier.hide_target)


def calibrate(
    records: Sequence[Record],
    encode: Encode,
    max_false_pass: float = MAX_FALSE_PASS,
    min_words: int = 2,
    max_words: int = 400,
) -> dict[str, Any]:
    """The lowest similarity threshold at which mismatched answers of each kind pass at most `max_false_pass`.

    Args:
        records: validation prompts, two at least.
        encode: texts -> float32 [texts, dimension], rows of length 1.

    Returns:
        {"threshold", "true_pass", "false_pass" (the worse kind's), "false_pass_by_kind", "n" (prompts),
        "n_right", "n_mismatched" (by kind), "curve": [{"threshold", "true_pass", "false_pass"}],
        "warnings": [...]}. true_pass is NaN where no prompt has two references.

    Raises:
        StudyError: fewer than two prompts, a prompt without a reference, an encoder that gives NaN.
    """
    if len(records) < 2:
        raise StudyError(f"{len(records)} validation prompt(s): a threshold needs two. Raise the validation share.")
    answers = [accepted(record) for record in records]
    wrong = [tuple(record.meta.get("mismatched") or ()) for record in records]
    texts = list(dict.fromkeys(text for group in (*answers, *wrong) for text in group))
    vectors = encode(texts)
    if not np.isfinite(vectors).all():
        raise StudyError("the encoder gave NaN or infinity on validation texts. Check the encoder model.")
    vector = dict(zip(texts, vectors, strict=True))

    def scores(candidates: Sequence[str], references: Sequence[str], record: Record) -> list[float]:
        """Similarities as the verifier sees them; -1 for a text that fails by itself."""
        near = np.stack([vector[text] for text in candidates]) @ np.stack([vector[text] for text in references]).T
        sound = [problem(text, record, min_words, max_words) is None for text in candidates]
        return [max(float(value), 0.0) if ok else -1.0 for value, ok in zip(near.max(axis=1), sound, strict=True)]

    right: list[float] = []
    mismatched: dict[str, list[float]] = {"other_prompt": [], "same_prompt": []}
    for index, record in enumerate(records):
        own = answers[index]
        for place, text in enumerate(own if len(own) > 1 else ()):
            right += scores([text], own[:place] + own[place + 1 :], record)
        for other in _others(index, records):
            # Two prompts may accept the same answer; it is not mismatched then.
            foreign = [text for text in answers[other] if text not in own]
            mismatched["other_prompt"] += scores(foreign, own, record) if foreign else []
        mismatched["same_prompt"] += scores(wrong[index], own, record) if wrong[index] else []
    mismatched = {kind: values for kind, values in mismatched.items() if values}
    if not mismatched:
        raise StudyError("all validation prompts accept the same answers: no mismatched answer to calibrate on.")

    threshold = max(_threshold(values, max_false_pass) for values in mismatched.values())

    def rates(at: float) -> tuple[float, dict[str, float]]:
        return _share(right, at), {kind: _share(values, at) for kind, values in mismatched.items()}

    true_pass, by_kind = rates(threshold)
    curve = [
        {"threshold": at / 50, "true_pass": rates(at / 50)[0], "false_pass": max(rates(at / 50)[1].values())}
        for at in range(51)
    ]
    return {
        "threshold": threshold,
        "true_pass": true_pass,
        "false_pass": max(by_kind.values()),
        "false_pass_by_kind": by_kind,
        "n": len(records),
        "n_right": len(right),
        "n_mismatched": {kind: len(values) for kind, values in mismatched.items()},
        "curve": curve,
        "warnings": _warnings(true_pass, max(by_kind.values()), max_false_pass),
    }


def measure(
    records: Sequence[Record], verifier: Verifier, max_false_pass: float = MAX_FALSE_PASS, *, hide: bool = False
) -> dict[str, Any]:
    """True-pass and false-pass rates of a verifier without a threshold to find (code, answers, a judge).

    Right answers are the targets; mismatched ones are another prompt's target and `meta["mismatched"]`.

    Args:
        hide: take a target from the references while it is judged, and judge none that is the only one: a
            judge that is shown it as accepted has nothing to decide.

    Returns:
        `calibrate`'s result without "threshold" and "curve".
    """
    if len(records) < 2:
        raise StudyError(f"{len(records)} validation prompt(s): rates need two. Raise the validation share.")
    asked: list[tuple[str, Answers]] = []
    for index, record in enumerate(records):
        rest = tuple(text for text in record.references if text != record.target)
        if rest or not hide:
            asked.append(("right", ([record.target], replace(record, references=rest) if hide else record, None)))
        foreign = records[_others(index, records)[0]].target
        if foreign != record.target:
            asked.append(("other_prompt", ([foreign], record, None)))
        if wrong := record.meta.get("mismatched"):
            asked.append(("same_prompt", (list(wrong), record, None)))
    passed: dict[str, list[bool]] = {"right": [], "other_prompt": [], "same_prompt": []}
    outcomes = verify_all(verifier, [answers for _, answers in asked])
    for (kind, _), of_record in zip(asked, outcomes, strict=True):
        passed[kind] += [outcome.passed for outcome in of_record]
    right = passed.pop("right")
    by_kind = {kind: float(np.mean(values)) for kind, values in passed.items() if values}
    true_pass, false_pass = _mean(right), max(by_kind.values(), default=math.nan)
    return {
        "true_pass": true_pass,
        "false_pass": false_pass,
        "false_pass_by_kind": by_kind,
        "n": len(records),
        "n_right": len(right),
        "n_mismatched": {kind: len(passed[kind]) for kind in by_kind},
        "warnings": _warnings(true_pass, false_pass, max_false_pass),
    }


def headroom_warnings(where: str, pass_at_1: float, pass_at_5: float) -> list[str]:
    """A warning where a verifier leaves no room to see a difference: Pass@1 under 2 %, Pass@5 over 95 %.
    NaN warns of nothing.
    """
    warnings = []
    if pass_at_1 < FLOOR_PASS_1:
        warnings.append(f"{where}: floor. Pass@1 is {pass_at_1:.1%}: hardly any passes, so arms cannot be compared.")
    if pass_at_5 > CEILING_PASS_5:
        warnings.append(f"{where}: ceiling. Pass@5 is {pass_at_5:.1%}: nearly all passes, so arms cannot be compared.")
    return warnings


def _others(index: int, records: Sequence[Record]) -> list[int]:
    """OTHERS other prompts, the same ones whatever the order of the records."""
    rest = [other for other in range(len(records)) if other != index]
    return sorted(rest, key=lambda other: derive_seed("mismatched", records[index].id, records[other].id))[:OTHERS]


def _threshold(values: list[float], share: float) -> float:
    """The lowest threshold that at most this share of the values reaches."""
    spare = int(share * len(values) + 1e-9)  # how many may pass
    ranked = sorted(values, reverse=True)
    return 0.0 if spare >= len(ranked) else float(np.nextafter(max(ranked[spare], 0.0), 2.0))


def _share(values: list[float], threshold: float) -> float:
    return _mean([value >= threshold for value in values])


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan


def _warnings(true_pass: float, false_pass: float, max_false_pass: float) -> list[str]:
    warnings = []
    if math.isnan(true_pass):
        warnings.append("No prompt has two references, so how often right answers pass is unknown.")
    elif true_pass < _LOW_TRUE_PASS:
        warnings.append(f"Only {true_pass:.0%} of right answers pass: they look like mismatched ones.")
    if false_pass > max_false_pass:
        warnings.append(f"{false_pass:.1%} of mismatched answers pass, more than the {max_false_pass:.0%} allowed.")
    return warnings
