"""The last words of a run: every stage's time, and how much of the machine's it was."""

from __future__ import annotations

import json
import os

import pytest

from polychromic.errors import StudyError
from polychromic.workflow.summary import busy, stage_seconds, summarize


@pytest.fixture
def results(tmp_path):
    """Two trainings side by side from second 100 to 110, then six seconds of figures on one core of two."""
    (tmp_path / "benchmarks").mkdir()
    for name, seconds, end in (("train.qa.lora.1", 10, 110), ("train.qa.lora.2", 10, 110), ("figures", 6, 116)):
        file = tmp_path / f"benchmarks/{name}.tsv"
        file.write_text(f"s\th:m:s\n{seconds}\t0:00:{seconds}\n")
        os.utime(file, (end, end))
    (tmp_path / "statistics").mkdir()
    gain = {"difference": 0.1, "low": 0.05, "high": 0.15}
    kept = {"difference": 0.0, "low": -0.01, "high": 0.01}
    pooled = {**gain, "supported": True, "p": 0.001, "losses": {"pass_at_1": kept}, "margins": {"pass_at_1": 0.02}}
    qa = {
        **gain,
        "supported": True,
        "p_holm": 0.002,
        "tuned_control": "scaled",
        "losses": {"pass_at_1": {**kept, "value": None}},
    }
    placebos = [{"name": "LoRA (other seeds)", "supported": False}, {"name": "LoRA at T = 1", "supported": True}]
    verdict = {
        "study": "x",
        "primary_arm": "polychromic",
        "pooled": pooled,
        "domains": {"qa": qa},
        "placebos": placebos,
    }
    (tmp_path / "statistics/verdict.json").write_text(json.dumps(verdict))
    return tmp_path


def test_time_is_summed_by_stage_and_over_all_cores(results):
    assert stage_seconds(results) == {"train": (2, 20.0), "figures": (1, 6.0)}
    assert busy(results, cores=2) == (16.0, 26 / 32)


def test_it_says_where_to_look(results):
    text = summarize(results)
    assert "pooled     supported: best Pass@k +0.100 [+0.050, +0.150], p = 0.001" in text
    assert "may lose 0.020" in text
    assert "qa         supported: best Pass@k +0.100 [+0.050, +0.150] over Scaled adapter, p = 0.002" in text
    assert "a loss cannot be assessed" in text
    assert "1 of 2 supported, and must not be: LoRA at T = 1" in text
    assert str(results / "report.html") in text
    assert "16 s from first to last" in text


@pytest.mark.parametrize("content", ["junk", '{"study": "x"}'])
def test_a_verdict_that_cannot_be_read_is_named(results, content):
    (results / "statistics/verdict.json").write_text(content)
    with pytest.raises(StudyError, match="verdict.json.*run the study again|verdict.json.*Run the study again"):
        summarize(results)


def test_a_study_without_a_verdict_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(StudyError, match="run the study to its end first"):
        summarize(tmp_path)
