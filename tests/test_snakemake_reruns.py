"""What Snakemake itself would run, held against the stamps that decide it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from project import copy_curated, copy_project, environment, run, times

from polychromic.__main__ import main
from polychromic.config.loading import load_study
from polychromic.workflow import graph
from polychromic.workflow.stages import STAGES

DEMO = "profiles/demo/study.yaml"


@cache
def planner() -> subprocess.Popen:
    """See planned.py. It ends with its input, when the tests do."""
    command = [sys.executable, str(Path(__file__).with_name("planned.py"))]
    env = {**environment(Path()), "PYTHONPATH": ""}
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def planned(project: Path, *overlays: str, study="tiny.yaml", targets="all,data") -> dict[str, dict]:
    """See planned.py."""
    out = project / "planned.log"
    request = {"folder": str(project), "targets": targets, "files": [study, *overlays], "out": str(out)}
    planner().stdin.write(json.dumps(request) + "\n")
    planner().stdin.flush()
    code = planner().stdout.readline().strip()
    text = out.read_text()
    out.unlink()
    assert code == "0", text[-3000:]
    return json.loads(text.splitlines()[-1])


def to_run(project: Path, *overlays: str) -> set[str]:
    return {name for name, job in planned(project, *overlays).items() if job["runs"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project whose tiny study is done: every output is there (empty), and every done file."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    plan = planned(project)
    assert all(job["runs"] for job in plan.values())
    for name, job in plan.items():
        for folder in job["folders"]:
            (project / folder).mkdir(parents=True, exist_ok=True)
        for file in map(project.joinpath, job["files"]):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        stamps = project / "results/tiny/.stamps"
        shutil.copyfile(stamps / f"{name}.json", stamps / f"{name}.done.json")
    return project


@pytest.fixture
def project(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "project", symlinks=True)


LAMBDA = {
    "train.qa.polychromic.42", "generate.qa.polychromic.42", "encode.qa.polychromic", "verify.qa.polychromic",
    "diversity.qa.polychromic", "quality.qa.polychromic", "judge.qa.polychromic", "analyse", "figures",
    "tables", "report",
}  # fmt: skip


@pytest.mark.parametrize("how", [{}, {"profile": None, "options": ("--cores", "1")}], ids=["demo", "no profile"])
def test_a_finished_study_runs_nothing(project, how):
    assert to_run(project) == set()
    before = times(project / "results/tiny")
    done = run(project, "all", "data", **how)
    assert done.returncode == 0, done.stdout
    assert times(project / "results/tiny") == before


CURATED = "results/tiny/qa/data/curated.jsonl"


def test_older_results_copied_back_are_stale(curated, tmp_path):
    """Though Snakemake has seen these very stamps before, and knows their checksums."""
    project = copy_curated(curated, tmp_path / "project")
    (project / "other.yaml").write_text("data_seed: 1\n")
    options = ("--cores", "1")
    shutil.copytree(project / "results", project / "kept")
    assert run(project, CURATED, overlays=("other.yaml",), options=options).returncode == 0
    shutil.rmtree(project / "results")
    (project / "kept").rename(project / "results")
    planned = run(project, CURATED, overlays=("other.yaml",), options=("-n", *options)).stdout
    assert re.search(r"curate +1", planned), planned[-3000:]
    done = project / "results/tiny/.stamps/curate.qa.done.json"
    for broken in (b"", b"\xff\xfe\x00"):
        done.write_bytes(broken)
        assert "curate.qa" in to_run(project)


def test_a_plan_does_not_change_a_run_under_way(project):
    """Jobs that have not started read their stamps when they do."""
    (project / "lambda.yaml").write_text("arms: {polychromic: {objective: {weight: 0.35}}}\n")
    locks = project / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    lock = locks / "0.output.lock"
    stamps = {file: file.read_bytes() for file in project.glob("results/tiny/.stamps/*")}
    lock.write_text("results/tiny/qa/lora/judge.parquet\nresults/tiny/report.html\n")
    assert to_run(project) == set(), "the same settings harm nothing"
    refused = run(project, "all", overlays=("lambda.yaml",), options=("-n",))
    assert refused.returncode != 0
    assert "a run of this study is under way" in refused.stdout
    assert "snakemake --unlock" in refused.stdout
    assert stamps == {file: file.read_bytes() for file in project.glob("results/tiny/.stamps/*")}
    assert run(project, "all", overlays=("lambda.yaml",), options=("--unlock",)).returncode == 0
    assert to_run(project, "lambda.yaml") == LAMBDA
    lock.write_text("results/another/report.html\n")
    assert to_run(project) == set(), "the lock is another study's"


def test_a_touch_of_every_file_runs_nothing(project):
    for number, path in enumerate(sorted(project.rglob("*"))):
        os.utime(path, (2e9 - number, 2e9 - number), follow_symlinks=False)
    assert to_run(project) == set()


def test_results_copied_into_a_fresh_clone_run_nothing_and_an_edit_is_seen(project, tmp_path):
    """No metadata of Snakemake's and new modification times everywhere; then an edit is still seen."""
    clone = tmp_path / "clone"
    shutil.copytree(
        project, clone, symlinks=True, ignore=shutil.ignore_patterns("results", ".snakemake", "__pycache__")
    )
    shutil.copytree(project / "results", clone / "results", copy_function=shutil.copy)
    assert not (clone / ".snakemake").exists()
    assert to_run(clone) == set()
    (clone / "lambda.yaml").write_text("arms: {polychromic: {objective: {weight: 0.35}}}\n")
    assert to_run(clone, "lambda.yaml") == LAMBDA
    assert to_run(clone) == set(), "the edit taken back"


def test_an_intermediate_deleted_while_its_metrics_are_there_runs_nothing(project):
    shutil.rmtree(project / "results/tiny/qa/lora/seed-42")
    shutil.rmtree(project / "results/tiny/qa/data")
    assert to_run(project) == set()


def test_what_people_read_is_made_again_without_models_and_samples(project, tmp_path):
    """Results copied to a laptop: no adapters, base model, samples, raw or curated rows, nor Snakemake's metadata."""
    laptop = tmp_path / "laptop"
    large = ("adapter", "model", "samples*.parquet", "*.jsonl", "*.npz", "reference_nll.parquet", "raw", ".snakemake")
    shutil.copytree(project, laptop, symlinks=True, ignore=shutil.ignore_patterns(*large, "__pycache__"))
    for log in (project / "results").rglob("train_log.jsonl"):
        shutil.copyfile(log, laptop / log.relative_to(project))
    assert to_run(laptop) == set()
    with (laptop / "polychromic/paper/figures/style.py").open("a") as file:
        file.write("\n\nADDED = 1\n")
    assert to_run(laptop) == {"figures", "report"}


def test_the_page_has_its_texts_before_it_is_written(project):
    """What is still to be made is an input of the page, so that it is not written too early."""
    for file in project.glob("results/tiny/.stamps/*.done.json"):
        file.unlink()
    shutil.rmtree(project / "results/tiny/qa")
    needed = planned(project)["report"]["needs"]
    assert {"generate.qa.lora.42", "split.qa", "train.qa.lora.42", "judge.qa.polychromic"} <= set(needed)


@pytest.fixture
def said_stale(project, monkeypatch, capsys):
    """The jobs that `python -m polychromic stale tiny.yaml` names in the project's folder; its code is this one's."""
    monkeypatch.chdir(project)

    def said() -> set[str]:
        capsys.readouterr()
        assert main(["stale", "tiny.yaml"]) == 0
        return {line for line in capsys.readouterr().out.splitlines() if re.fullmatch(r"[a-z_]+(\.[\w.]+)?", line)}

    return said


def test_what_is_missing_is_made_again_and_stale_says_the_same(project, said_stale):
    results = project / "results/tiny"
    stamps = results / ".stamps"
    tables = json.loads((stamps / "tables.done.json").read_text())
    (results / "tables/main.csv").write_text("a,b\n")
    (results / "tables/cost.csv").write_text("c,d\n")
    outputs = {"tables": {name: [4, "0" * 64] for name in ("main.csv", "cost.csv")}}
    (stamps / "tables.done.json").write_text(json.dumps({**tables, "outputs": outputs}))
    assert to_run(project) == said_stale() == set()
    (results / "tables/cost.csv").unlink()
    assert said_stale() == to_run(project) == {"tables", "report"}, "one table of several"
    (results / "tables/cost.csv").write_text("c,d\n")
    shutil.rmtree(results / "figures")
    assert said_stale() == to_run(project) == {"figures", "report"}
    (results / "figures").mkdir()
    assert to_run(project) == set()
    (stamps / "analyse.done.json").write_text("{}")
    assert said_stale() == to_run(project) == {"analyse", "figures", "tables", "report"}, "without a key"


def test_an_output_that_was_deleted_is_made_again(project):
    (project / "results/tiny/report.html").unlink()
    assert to_run(project) == {"report"}


def test_the_plan_is_in_the_order_of_the_files(project):
    """Snakemake's merged config puts an overlay's arms first; who reads the same files has them last."""
    (project / "arms.yaml").write_text("arms: {lora_r8: {kind: train, training: {rank: 8}}}\n")
    planned(project, "arms.yaml")
    study = load_study(*(project / file for file in ("config.yaml", "tiny.yaml", "arms.yaml")))
    written = json.loads((project / "results/tiny/.stamps/power.json").read_text())
    assert written["params"] == json.loads(json.dumps(STAGES["power"].settings(study)))


def test_a_job_that_never_finished_runs_with_all_that_reads_it(project):
    """Its outputs are there, but not its done file: it and what reads it run."""
    (project / "results/tiny/.stamps/quality.qa.lora.done.json").unlink()
    assert to_run(project) == {"quality.qa.lora", "analyse", "figures", "tables", "report"}


def test_an_edit_of_a_stages_code_runs_it_and_what_follows(project):
    with (project / "polychromic/statistics/analysis.py").open("a") as file:
        file.write("\n\nADDED = 1\n")
    assert to_run(project) == {"analyse", "figures", "tables", "report"}


def closure(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """For every job all that lie above it."""
    found: dict[str, set[str]] = {}

    def above(job: str) -> set[str]:
        if job not in found:
            found[job] = set(edges[job]).union(*(above(up) for up in edges[job]))
        return found[job]

    return {job: above(job) for job in edges}


def test_stamps_know_the_dependencies_that_snakemake_has(tmp_path):
    """Keys travel along `graph.upstream`: were a rule to read more than that, a change could go unseen."""
    project = copy_project(tmp_path / "project")
    (project / "derived.yaml").write_text("arms: {half: {kind: derived, method: wise_ft, source: lora}}\n")
    plan = planned(project, "derived.yaml", study=DEMO, targets="all,data,paper,review")
    study = load_study(*(project / file for file in ("config.yaml", DEMO, "derived.yaml")))
    of_stamps = {
        graph.job_name(job): {graph.job_name(up) for up in graph.upstream(study, job)} for job in graph.all_jobs(study)
    }
    of_snakemake = {name: set(job["needs"]) for name, job in plan.items()}
    assert set(of_snakemake) == set(of_stamps)
    assert closure(of_snakemake) == closure(of_stamps)
