"""Faulty samples are counted, and samples drawn twice raise an alarm."""

from __future__ import annotations

import pandas as pd
import pytest

from polychromic.audit import audit_samples, duplicate_streams, status_counts
from polychromic.errors import StudyError
from polychromic.records import Record

RECORDS = [Record(f"p{n}", f"please write about the number {n} now", "x", ("x",)) for n in range(6)]


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


def test_clean_samples():
    found = audit_samples(samples(), RECORDS)
    assert found["samples"] == 24
    assert {key: value for key, value in found.items() if value} == {"samples": 24}


def test_faults_are_counted():
    frame = samples()
    frame.loc[0, "text"] = "  "
    frame.loc[1, "text"] = RECORDS[0].prompt
    frame.loc[2, "text"] = "no no no no no"
    frame.loc[3:5, "finish"] = "length"
    passes = pd.DataFrame({"status": ["extraction", "passed", "extraction", "failed"]})
    found = audit_samples(frame, RECORDS, passes)
    counts = {key: found[key] for key in ("empty", "copied", "repetitive", "truncated", "extraction_failures")}
    assert counts == {"empty": 1, "copied": 1, "repetitive": 1, "truncated": 3, "extraction_failures": 2}
    assert status_counts(passes) == {"extraction": 2, "passed": 1, "failed": 1}


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


def test_streams_repeated_between_arms():
    frame = samples()
    shuffled = frame.sample(frac=1.0, random_state=0)
    assert len(duplicate_streams({"lora": frame, "polychromic": shuffled})) == 4
    assert duplicate_streams({"lora": frame, "polychromic": frame.assign(text=frame["text"] + "!")}) == []
    few = frame[frame["prompt_id"].isin(["p0", "p1"])]
    assert duplicate_streams({"lora": few, "polychromic": few}) == []


def test_shared_draw_seeds():
    frame = samples()
    frame.loc[5, "draw_seed"] = frame.loc[4, "draw_seed"]
    found = audit_samples(frame, RECORDS)
    assert found["shared_draw_seeds"] == 1
    assert "1 draws used a random seed" in found["warnings"][0]


def test_lone_surrogates_and_unknown_prompts():
    frame = samples().astype({"text": object})
    frame.loc[0, "text"] = "\ud800"
    assert audit_samples(frame, RECORDS)["duplicate_streams"] == 0
    with pytest.raises(StudyError, match="'p5'"):
        audit_samples(frame, RECORDS[:5])
