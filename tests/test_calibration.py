"""Thresholds and rates against cases worked out by hand, and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.records import Record
from polychromic.verifiers import make_verifier
from polychromic.verifiers.calibration import calibrate, headroom_warnings, measure

# Text -> direction. Cosines between two texts are those of the angles' differences.
ANGLES: dict[str, float] = {}


def encode(texts):
    angles = np.radians([ANGLES[text] for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def record(name: str, angles: list[float], mismatched: list[float] = ()) -> Record:
    def texts(kind, values):
        found = [f"the {name} {kind} number {value:g}" for value in values]
        ANGLES.update(zip(found, values, strict=True))
        return found

    references = texts("reference", angles)
    return Record(
        name,
        f"prompt of {name}",
        references[0],
        tuple(references),
        meta={"mismatched": texts("wrong", mismatched)},
    )


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_threshold_is_just_above_what_must_not_pass():
    # Right answers are 10 degrees from their prompt's other reference; another prompt's 50 at the nearest.
    found = calibrate([record("a", [0, 10]), record("b", [60, 70])], encode, max_false_pass=0.0)
    assert found["threshold"] == pytest.approx(cosine(50), abs=1e-6)
    assert found["threshold"] > np.float32(cosine(50)) - 1e-7
    assert (found["true_pass"], found["false_pass"]) == (1.0, 0.0)
    assert (found["n"], found["n_right"], found["n_mismatched"]) == (2, 4, {"other_prompt": 4})
    assert found["warnings"] == []


def test_hard_mismatches_are_not_drowned_by_easy_ones():
    easy = [record(f"p{n}", [n * 17, n * 17 + 8]) for n in range(10)]
    hard = [record(f"h{n}", [n * 17 + 170, n * 17 + 178], [n * 17 + 172]) for n in range(10)]
    without = calibrate([*easy, *[Record(r.id, r.prompt, r.target, r.references) for r in hard]], encode)
    with_hard = calibrate([*easy, *hard], encode)
    assert with_hard["threshold"] > without["threshold"]
    assert with_hard["false_pass_by_kind"]["same_prompt"] <= 0.05
    assert with_hard["true_pass"] == 0.0  # 2 degrees away and wrong, 8 away and right: similarity cannot separate them
    assert "Only 0%" in with_hard["warnings"][0]


@pytest.mark.parametrize("bound", [0.0, 0.05, 0.1, 0.3])
def test_threshold_is_the_lowest_that_keeps_the_bound(bound):
    rng = np.random.default_rng(3)
    records = [record(f"r{n}", list(rng.uniform(0, 180, 3)), list(rng.uniform(0, 180, 2))) for n in range(12)]
    found = calibrate(records, encode, max_false_pass=bound)
    assert found["false_pass"] <= bound
    assert all(rate <= bound for rate in found["false_pass_by_kind"].values())
    for point in found["curve"]:
        if point["threshold"] < found["threshold"] - 1e-6:
            assert point["false_pass"] >= found["false_pass"]
    # The verifier with this threshold passes exactly the share that is reported.
    verifier = make_verifier("similarity", encode=encode, threshold=found["threshold"])
    wrong = [o.passed for r in records for o in verifier.verify(r.meta["mismatched"], r)]
    assert np.mean(wrong) == pytest.approx(found["false_pass_by_kind"]["same_prompt"])


def test_order_of_records_does_not_matter():
    rng = np.random.default_rng(4)
    records = [record(f"o{n}", list(rng.uniform(0, 180, 3))) for n in range(15)]
    assert calibrate(records, encode) == calibrate(records[::-1], encode)


def test_single_references_leave_the_true_rate_unknown():
    found = calibrate([record("s", [0]), record("t", [90])], encode)
    assert math.isnan(found["true_pass"])
    assert "unknown" in found["warnings"][0]


def test_answers_that_fail_by_themselves_never_pass():
    short = Record("short", "a prompt", "Yes", ("Yes", "Yep"))
    ANGLES.update(Yes=0, Yep=0)
    found = calibrate([short, record("u", [0, 90])], encode, min_words=2)
    assert found["true_pass"] <= 0.5  # two of the four right answers are single words


def test_too_little_to_calibrate_on_is_named():
    with pytest.raises(StudyError, match="1 validation prompt"):
        calibrate([record("x", [0, 1])], encode)
    same = record("y", [0, 1])
    with pytest.raises(StudyError, match="accept the same answers"):
        calibrate([same, Record("z", "another prompt", same.target, same.references)], encode)
    with pytest.raises(StudyError, match="record 'w' has no reference"):
        calibrate([Record("w", "a prompt", ""), record("v", [0])], encode)
    with pytest.raises(StudyError, match="NaN"):
        calibrate([record("n", [0]), record("m", [9])], lambda texts: np.full((len(texts), 2), np.nan))


def test_a_verifier_without_a_threshold_has_its_rates_measured():
    qa = [Record(f"q{n}", "", f"answer {n}", (f"answer {n}",), meta={"mismatched": ["answer 9"]}) for n in range(4)]
    found = measure(qa, make_verifier("answer"))
    assert (found["true_pass"], found["false_pass"], found["n_mismatched"]) == (
        1.0,
        0.0,
        {"other_prompt": 4, "same_prompt": 4},
    )
    code = [
        Record(
            f"c{n}",
            "",
            f"def f(x):\n    return x + {n}",
            tests={"kind": "asserts", "code": f"assert f(1) == {1 + n}"},
        )
        for n in range(3)
    ]
    found = measure(code, make_verifier("code"))
    assert (found["true_pass"], found["false_pass"]) == (1.0, 0.0)


def test_a_judge_does_not_see_the_answer_that_it_grades_among_the_accepted_ones():
    seen = []

    def grades(answers):
        seen.extend(answers)
        return [1.0 if "right" in answer else 0.0 for _, answer, _ in answers]

    verifier = make_verifier("judge", grades=grades, min_words=1)
    records = [Record(f"j{n}", f"prompt {n}", f"a right {n}", (f"a right {n}", f"also {n}")) for n in range(3)]
    records.append(Record("single", "prompt", "the only right one", meta={"mismatched": ["a wrong one"]}))
    found = measure(records, verifier, hide=True)
    assert (found["true_pass"], found["n_right"]) == (1.0, 3)
    assert found["false_pass_by_kind"]["same_prompt"] == 0.0
    assert all(answer not in accepted for prompt, answer, accepted in seen)
    alone = measure(records[3:] * 2, verifier, hide=True)
    assert math.isnan(alone["true_pass"])
    assert "two references" in alone["warnings"][0]


def test_rates_near_the_floor_or_the_ceiling_are_warned_of():
    assert headroom_warnings("social/lora", 0.3, 0.6) == []
    assert "floor" in headroom_warnings("social/lora", 0.01, 0.05)[0]
    assert "ceiling" in headroom_warnings("social/lora", 0.7, 0.98)[0]
    assert headroom_warnings("social/lora", math.nan, math.nan) == []
