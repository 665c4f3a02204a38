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
    verdict = {"study": "x", "primary_arm": "polychromic", "domains": {"qa": {"sentence": "Supported."}}}
    (tmp_path / "statistics/verdict.json").write_text(json.dumps(verdict))
    return tmp_path


def test_time_by_stage_and_of_all_cores(results):
    assert stage_seconds(results) == {"train": (2, 20.0), "figures": (1, 6.0)}
    assert busy(results, cores=2) == (16.0, 26 / 32)


def test_it_says_where_to_look(results):
    text = summarize(results)
    assert "qa         Supported." in text
    assert str(results / "report.html") in text
    assert "16 s from first to last" in text


def test_a_study_without_a_verdict(tmp_path):
    with pytest.raises(StudyError, match="run the study to its end first"):
        summarize(tmp_path)
