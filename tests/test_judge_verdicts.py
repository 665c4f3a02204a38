"""What is done with a judge's verdicts: both orders, ties, picks, and how replies are read."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from judge_server import VERDICT, client

from polychromic.errors import StudyError
from polychromic.metrics.judge import (
    ModelJudge,
    Pair,
    ReferenceSimilarity,
    judge_arm,
)
from polychromic.records import Record

pytestmark = pytest.mark.usefixtures("judge_keys")


class Scripted:
    """Prefers by a rule; records what it was asked."""

    name = "scripted"

    def __init__(self, rule) -> None:
        self.rule, self.pairs = rule, []

    def verdicts(self, pairs):
        self.pairs += pairs
        return [self.rule(pair) for pair in pairs]


RECORDS = [Record(id=f"p{i}", prompt=f"prompt {i}", target="good answer") for i in range(12)]


def samples(text: str, seeds=(1, 2)) -> pd.DataFrame:
    rows = [
        {"seed": s, "prompt_id": r.id, "temperature": t, "sample": i, "text": f"{text} {r.id} {i}"}
        for s in seeds for r in RECORDS for t in (0.7, 1.0) for i in range(3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_both_orders_are_asked_and_agreement_wins() -> None:
    judge = Scripted(lambda pair: "1" if "good" in pair.first else "2")
    table = judge_arm(samples("good"), samples("bad"), RECORDS, judge, seed=0)
    assert len(table) == 24
    assert len(judge.pairs) == 48
    assert (table[["winner", "first", "second"]] == "arm").all().all()
    assert (judge.pairs[0].first, judge.pairs[0].second) == (judge.pairs[1].second, judge.pairs[1].first)
    assert set(table.columns) == {
        "seed", "prompt_id", "winner", "first", "second", "length_arm", "length_control", "parse_failures", "judge",
    }  # fmt: skip
    assert set(table["parse_failures"]) == {0}


def test_a_judge_that_prefers_a_place_gives_ties() -> None:
    table = judge_arm(samples("good"), samples("bad"), RECORDS, Scripted(lambda _: "1"), seed=0)
    assert set(table["winner"]) == {"tie"}
    assert set(table["first"]) == {"arm"}
    assert set(table["second"]) == {"control"}


def test_nonsense_is_counted_and_never_a_tie() -> None:
    table = judge_arm(samples("good"), samples("bad"), RECORDS, Scripted(lambda _: None), seed=0)
    assert table["winner"].isna().all()
    assert set(table["parse_failures"]) == {2}


def test_equal_answers_are_a_tie_without_a_request() -> None:
    judge = Scripted(lambda _: "1")
    table = judge_arm(samples("same"), samples("same"), RECORDS, judge, seed=0)
    assert judge.pairs == []
    assert set(table["winner"]) == {"tie"}


def test_samples_are_picked_by_seed_whatever_the_order_of_the_rows() -> None:
    judge = Scripted(lambda _: "tie")
    arm, control = samples("a"), samples("b")
    judge_arm(arm, control, RECORDS, judge, seed=0)
    shuffled = Scripted(lambda _: "tie")
    judge_arm(arm.sample(frac=1, random_state=0), control.sample(frac=1), RECORDS[::-1], shuffled, seed=0)
    assert shuffled.pairs == judge.pairs
    other = Scripted(lambda _: "tie")
    judge_arm(arm, control, RECORDS, other, seed=1)
    assert other.pairs != judge.pairs
    few = judge_arm(arm, control, RECORDS, judge, seed=0, prompts=3)
    assert few["prompt_id"].nunique() == 3
    assert len(few) == 6


def test_arms_that_do_not_match_are_named() -> None:
    judge = Scripted(lambda _: "tie")
    with pytest.raises(StudyError, match="only one of the two arms has samples of seed 2"):
        judge_arm(samples("a"), samples("b", seeds=(1,)), RECORDS, judge, seed=0)
    with pytest.raises(StudyError, match="in no record, the first: 'p11'"):
        judge_arm(samples("a"), samples("b"), RECORDS[:-1], judge, seed=0)


def test_the_offline_judge_prefers_the_answer_nearer_to_a_reference() -> None:
    vectors = {
        "ref": (1.0, 0.0),
        "near": (0.8, 0.6),
        "far": (0.0, 1.0),
        "near too": (0.79, 0.61),
        "bad": (np.nan, 0),
    }
    judge = ReferenceSimilarity(lambda texts: np.array([vectors[text] for text in texts]))
    pairs = [Pair("?", ("ref",), a, b) for a, b in (("near", "far"), ("far", "near"), ("near", "near too"))]
    assert judge.verdicts(pairs) == ["1", "2", "tie"]
    with pytest.raises(StudyError, match="no reference"):
        judge.verdicts([Pair("?", (), "near", "far")])
    with pytest.raises(StudyError, match="NaN"):
        judge.verdicts([Pair("?", ("ref",), "bad", "far")])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (VERDICT, "1"),
        ('{"reason": "", "verdict": "tie"}', "tie"),
        ('```json\n{"reason": "", "verdict": "2"}\n```', "2"),
        ('Here it is: {"reason": "a {brace}", "verdict": "2"}. Done.', "2"),
        ('{"verdict": " TIE\\n"}', "tie"),
        ('{"verdict": 1}', "1"),
        ("2", "2"),
        ('"1"', "1"),
        ("Tie", "tie"),
        ('{"verdict": "1"} or {"verdict": "2"}', None),
        ('{"verdict": true}', None),
        ("[" * 5000 + "]" * 5000, None),
        ('{"verdict":' * 5000, None),
        ("Answer 1 is better", None),
        ('{"verdict": "3"}', None),
        ('{"verdict": ["1"]}', None),
        ('["1"]', None),
        ("", None),
    ],
)
def test_a_model_judge_reads_replies_or_says_that_it_cannot(server, tmp_path, reply: str, expected: str | None) -> None:
    server.reply = reply
    judge = ModelJudge(client(server, "openai", tmp_path))
    pairs = [Pair("task {x}", (), "one", "two")]
    assert judge.estimate(pairs) > 0
    assert judge.verdicts(pairs) == [expected]
    assert judge.verdicts(pairs) == [expected]  # kept, and not paid for twice
    assert len(server.requests) == (1 if expected else 2)  # once more for one that cannot be read
    assert judge.name == "openai:model-x"


def test_grades_are_in_0_to_1_or_nan(server, tmp_path) -> None:
    judge = ModelJudge(client(server, "anthropic", tmp_path))
    for reply, expected in (
        ('{"reason": "", "grade": 7}', 0.7),
        ('{"grade": "8"}', 0.8),
        ('```\n{"grade": 9.0}\n```', 0.9),
        ("10", 1.0),
        ('{"grade": 99}', math.nan),
        ('{"grade": -1}', math.nan),
        ('{"grade": true}', math.nan),
        ('{"grade": 7.5}', math.nan),
        ("no", math.nan),
    ):
        server.reply = reply
        assert judge.grades([("task", f"answer {reply}", ["accepted"])]) == [pytest.approx(expected, nan_ok=True)]
