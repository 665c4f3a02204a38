"""Faulty samples are counted, and samples drawn twice raise an alarm."""

from __future__ import annotations

import json
import random

import pandas as pd
import pytest

from polychromic.errors import StudyError
from polychromic.metrics.audit import audit_samples, chance_of_equality, repeated_between
from polychromic.records import Record

RECORDS = [Record(f"p{n}", f"please write about the number {n} now", "x", ("x",)) for n in range(40)]


def samples(seeds=(42, 123), repeat=None) -> pd.DataFrame:
    """Two samples a prompt and seed; `repeat` is a pair of streams, the second made equal to the first."""
    rows = [
        {
            "seed": seed,
            "prompt_id": record.id,
            "temperature": 0.7,
            "sample": sample,
            "draw_seed": hash((seed, record.id, sample)),
            "text": f"text {seed} {record.id} {sample}",
            "finish": "stop",
        }
        for seed in seeds
        for record in RECORDS
        for sample in range(2)
    ]
    frame = pd.DataFrame(rows)
    if repeat:
        (seed, sample), (to_seed, to_sample) = repeat
        source = frame[(frame["seed"] == seed) & (frame["sample"] == sample)]["text"].tolist()
        frame.loc[(frame["seed"] == to_seed) & (frame["sample"] == to_sample), "text"] = source
    return frame


def test_clean_samples_raise_no_alarm():
    found = audit_samples(samples(), RECORDS)
    assert found["samples"] == 160
    assert {key: value for key, value in found.items() if value and key != "streams"} == {"samples": 160}
    assert audit_samples(samples().iloc[:8], RECORDS)["streams"] == {}  # too few prompts to say anything


def test_faults_are_counted():
    frame = samples()
    frame.loc[0, "text"] = "  "
    frame.loc[1, "text"] = RECORDS[0].prompt
    frame.loc[2, "text"] = "no no no no no"
    frame.loc[3:5, "finish"] = "length"
    passes = pd.DataFrame({"status": ["extraction", "passed", "extraction", "unjudged"]})
    found = audit_samples(frame, RECORDS, passes)
    counts = {key: found[key] for key in ("empty", "copied", "repetitive", "truncated", "extraction_failures")}
    assert counts == {"empty": 1, "copied": 1, "repetitive": 1, "truncated": 3, "extraction_failures": 2}
    assert found["statuses"] == {"extraction": 2, "passed": 1, "unjudged": 1}
    assert found["unjudged"] == 1


@pytest.mark.parametrize("repeat", [((42, 0), (42, 1)), ((42, 1), (123, 0))])
def test_repeated_streams_raise_an_alarm(repeat):
    found = audit_samples(samples(repeat=repeat), RECORDS)
    assert found["duplicate_streams"] == 1
    (seed, sample), (to_seed, to_sample) = repeat
    assert found["warnings"] == [
        f"The samples of seed {to_seed}, temperature 0.7, sample {to_sample} repeat those of "
        f"seed {seed}, temperature 0.7, sample {sample} on every prompt."
    ]


def test_one_differing_prompt_is_no_repetition():
    frame = samples(repeat=((42, 0), (42, 1)))
    frame.loc[1, "text"] = "another"
    assert audit_samples(frame, RECORDS)["duplicate_streams"] == 0


def drawn(answers, *, prompts=60, n=10, arm="a", seed=42) -> pd.DataFrame:
    """An arm's samples, each one of so many equally likely answers to its prompt."""
    rng = random.Random(f"{arm} {seed}")
    rows = [
        {"seed": seed, "prompt_id": f"p{p}", "temperature": 0.7, "sample": i, "draw_seed": rng.getrandbits(63),
         "text": f"answer {rng.randrange(answers)}", "finish": "stop"}
        for p in range(prompts) for i in range(n)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def audited(frame):
    records = [Record(name, f"the prompt {name}", "x", ("x",)) for name in frame["prompt_id"].unique()]
    return json.loads(json.dumps(audit_samples(frame, records)))["streams"]


def test_streams_repeated_between_arms_raise_an_alarm():
    lora, other = drawn(8, arm="lora"), drawn(8, arm="other")
    assert repeated_between({"lora": audited(lora), "other": audited(other)}) == {}
    copied = lora.sample(frac=1.0, random_state=0).assign(draw_seed=other["draw_seed"], seed=123)
    found = repeated_between({"lora": audited(lora), "other": audited(other), "copied": audited(copied)})
    assert list(found) == [("lora", "copied")]
    assert len(found["lora", "copied"]) == 10
    assert found["lora", "copied"][0] == tuple(f"seed {s}, temperature 0.7, sample 0" for s in (42, 123))
    one = other.copy()  # a single stream is enough, a single differing prompt too much
    one.loc[one["sample"] == 3, "text"] = lora.loc[lora["sample"] == 0, "text"].tolist()
    assert len(repeated_between({"lora": audited(lora), "one": audited(one)})["lora", "one"]) == 1
    one.loc[one.index[one["sample"] == 3][0], "text"] = "another"
    assert repeated_between({"lora": audited(lora), "one": audited(one)}) == {}


def test_certain_or_few_answers_repeat_without_an_alarm():
    """Two honest arms may agree where hardly anything is left to chance, and say so on few prompts."""
    sure = drawn(1)
    assert repeated_between({"lora": audited(sure), "other": audited(sure)}) == {}
    assert audit_samples(sure, [Record(f"p{p}", "a prompt", "x") for p in range(60)])["duplicate_streams"] == 9
    nearly = sure.copy()  # one answer in hundreds differs: the other streams are equal by chance
    nearly.loc[nearly.index[0], "text"] = "another"
    assert audit_samples(nearly, [Record(f"p{p}", "a prompt", "x") for p in range(60)])["duplicate_streams"] == 0
    few = drawn(2, prompts=8)
    assert repeated_between({"lora": audited(few), "other": audited(few)}) == {}
    # Each seed is certain of answers of its own: between seeds they differ, within one nothing is left to chance.
    seeds = pd.concat([sure, sure.assign(seed=1, text=sure["text"] + "!")])
    assert repeated_between({"lora": audited(seeds), "other": audited(sure)}) == {}
    assert chance_of_equality(drawn(1, n=1)) == {(42, 0.7): 1.0}


def test_draws_that_share_a_seed_raise_an_alarm():
    frame = samples()
    frame.loc[5, "draw_seed"] = frame.loc[4, "draw_seed"]
    found = audit_samples(frame, RECORDS)
    assert found["shared_draw_seeds"] == 1
    assert "1 draws used a random seed" in found["warnings"][0]


def test_a_lone_surrogate_is_audited_and_an_unknown_prompt_is_named():
    frame = samples().astype({"text": object})
    frame.loc[0, "text"] = "\ud800"
    assert audit_samples(frame, RECORDS)["duplicate_streams"] == 0
    with pytest.raises(StudyError, match="'p10'"):
        audit_samples(frame, RECORDS[:5])
