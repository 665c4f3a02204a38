"""A domain whose answers are graded by a paid judge, here and through the workflow, against a local server."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from judge_server import KEY
from project import copy_curated, environment, run

from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.metrics.judge import ModelJudge
from polychromic.metrics.judge_clients import Client
from polychromic.records import Record
from polychromic.verifiers import make_verifier
from polychromic.workflow import graph
from polychromic.workflow.staleness import Stamps

JUDGED = """
domains:
  qa:
    verifier: {{kind: judge, threshold: 0.6, min_words: 1}}
    diversity: {{form: semantic}}
    quality_metric: rouge_l
judge: {{provider: anthropic, model: model-x, base_url: "{url}", budget: 5}}
"""


def grade(prompt: str) -> str:
    """8 of 10 for an answer that names a mat, 3 for others; nonsense where the answer asks for it."""
    answer = prompt.split("<answer>")[1].split("</answer>")[0]
    return "nonsense" if "odd" in answer else json.dumps({"reason": "so", "grade": 8 if "the mat" in answer else 3})


@pytest.fixture
def server(server):
    server.reply = grade
    return server


def fabricate_samples(project: Path, overlay: str) -> None:
    """The lora arm's samples, and the done files of the jobs that would have trained it and drawn them."""
    folder = project / "results/tiny/qa/lora/seed-42"
    folder.mkdir(parents=True)
    for part, name in (("test", "samples"), ("val", "samples_val")):
        lines = (project / f"results/tiny/qa/data/{part}.jsonl").read_text().splitlines()
        rows = [
            {"prompt_id": json.loads(line)["id"], "temperature": 0.7, "sample": i, "seed": 3 * n + i, "text": text,
             "tokens": 2, "finish": "stop"}
            for n, line in enumerate(lines)
            for i, text in enumerate(("the mat", "the roof", f"odd no. {n}", ""))
        ]  # fmt: skip
        pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    (folder / "reference_nll.parquet").touch()
    study = load_study(*(project / file for file in ("config.yaml", "tiny.yaml", overlay)))
    for rule in ("train", "generate"):
        job = (rule, {"domain": "qa", "arm": "lora", "seed": "42"})
        (project / graph.done_file(study, job)).write_text((project / graph.stamp_file(study, job)).read_text())


def test_a_judge_calibrates_and_verifies(server, curated, tmp_path):
    project = copy_curated(curated, tmp_path / "project")
    (project / "judged.yaml").write_text(JUDGED.format(url=server.url("anthropic")))
    how = {
        "overlays": ("judged.yaml",),
        "options": ("--cores", "1"),
        "env": environment(project, ANTHROPIC_API_KEY=KEY),
    }
    calibration = "results/tiny/qa/calibration.json"
    done = run(project, calibration, **how)
    assert done.returncode == 0, done.stdout
    found = json.loads((project / calibration).read_text())
    assert found["kind"] == "judge"
    assert found["n_right"] == 0, "the only reference is hidden while it is graded"
    asked = len(server.answered)
    assert 0 < asked <= found["n"]

    fabricate_samples(project, "judged.yaml")
    passes = "results/tiny/qa/lora/passes.parquet"
    done = run(project, passes, **how)
    assert done.returncode == 0, done.stdout
    frame = pd.read_parquet(project / passes)
    statuses = {"the mat": "passed", "the roof": "failed", "odd": "unjudged", "": "empty"}
    for sample, status in enumerate(statuses.values()):
        assert set(frame.loc[frame["sample"] == sample, "status"]) == {status}
    assert frame["passed"].sum() == (frame["sample"] == 0).sum()
    audit = json.loads((project / "results/tiny/qa/lora/audit.json").read_text())
    assert audit["unjudged"] == len(frame) / 4 > 0
    readable = [prompt for prompt in server.answered if grade(prompt) != "nonsense"]  # the others were asked for twice
    assert len(readable) == len(set(readable))
    assert len(server.answered) > asked

    written = [path for path in project.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert written == []
    assert KEY not in done.stdout


def test_the_whole_cost_is_known_before_the_first_request_and_paid_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    records = [Record(f"r{n}", f"prompt {n}", "the mat", ("the mat",)) for n in range(4)]
    answers = [(["the mat", "the roof"], record, None) for record in records]

    def verifier(budget):
        prices = {"budget": budget, "input_price": 3.0, "output_price": 15.0}
        client = Client("anthropic", "model-x", folder=tmp_path, base_url=server.url("anthropic"), **prices)
        return make_verifier("judge", grades=ModelJudge(client).grades, threshold=0.6, min_words=1)

    with pytest.raises(StudyError, match="is left of the budget"):
        verifier(0.03).verify_all(answers)  # enough for the first prompts, not for all
    assert server.requests == []
    first = verifier(1.0).verify_all(answers)
    assert [[outcome.passed for outcome in found] for found in first] == [[True, False]] * 4
    assert verifier(0.03).verify_all(answers) == first
    assert len(server.requests) == 8


def test_the_judge_is_part_of_what_makes_verdicts_stale(tmp_path):
    def keys(text):
        (tmp_path / "study.yaml").write_text(text)
        root = Path(__file__).parent.parent
        study = load_study(root / "config.yaml", tmp_path / "study.yaml")
        stamps = Stamps(study, root / "workflow_scripts", root / "requirements.lock")
        return {graph.job_name(job): stamps.of(job) for job in graph.all_jobs(study)}

    judged = JUDGED.format(url="http://localhost")
    before = keys(judged)
    assert "polychromic/metrics/judge.py" in before["verify.qa.lora"]["code"]
    assert "polychromic/metrics/judge.py" not in before["verify.social.lora"]["code"]
    assert "polychromic/metrics/judge.py" not in before["train.qa.polychromic.42"]["code"]
    richer = keys(judged.replace("budget: 5", "budget: 50"))
    assert {name for name in before if before[name]["key"] != richer[name]["key"]} == set()
    other = keys(judged.replace("model-x", "model-y"))
    stale = {name for name in before if before[name]["key"] != other[name]["key"]}
    assert {"calibrate.qa", "verify.qa.lora", "verify.qa.zero_shot"} <= stale
    assert not [name for name in stale if name.startswith(("train", "generate", "verify.social", "calibrate.code"))]
