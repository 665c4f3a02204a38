"""The embedded study from raw rows to report, at the smallest size, as a user would run it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from project import SECRETS, copy_project, environment, times

from benchmarks.kills import checksums, differing
from polychromic.paper.figures import FIGURES

SMALL = """
study: small
world: {broad_rows: 1000, hidden: 32, layers: 1, vocabulary: 300}
plugins: [examples/study_plugin.py]
domains:
  creative: null
  qa: null
  social:
    verifier: {kind: shares_words, min_words: null, max_words: null}
    diversity: {form: first_word}
  code:
    curation:
      filters: [{filter: fix_text}, {filter: no_shouting}, {filter: canonical_passes}]
arms: {few_shot: null, polychromic_literal: null, lora_low_rate: null}
plan: {controls: [lora, scaled]}
sampling: {test_prompts: 8, validation_prompts: 4}
"""
PLUGIN = "examples/study_plugin.py"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """(project folder, how to run it, output of the first run)."""
    project = copy_project(tmp_path_factory.mktemp("study") / "project")
    (project / "small.yaml").write_text(SMALL)

    def run(*targets, options=()):
        overlays = ["profiles/demo/study.yaml", "profiles/demo/smoke.yaml", "small.yaml"]
        snakemake = [
            str(Path(sys.executable).with_name("snakemake")),
            "--cores",
            "2",
            "--profile",
            "profiles/demo",
            "--quiet",
            "reason",
            "--set-threads",
            "base=1",  # two would wait for each other while other tests run
        ]
        return subprocess.run(
            [*snakemake, "--configfile", *overlays, *options, "--", *targets],
            cwd=project, env=environment(project), capture_output=True, text=True, timeout=1500,
        )  # fmt: skip

    first = run("all")
    assert first.returncode == 0, (first.stdout + first.stderr)[-5000:]
    return project, run, first.stdout + first.stderr


def test_everything_a_reader_opens_is_there(study):
    results = study[0] / "results/small"
    for file in (
        "report.html",
        "tables/main.csv",
        "tables/main.tex",
        "tables/main.md",
        "tables/pairwise.csv",
        "figures/passk_curves.png",
        "figures/forest.pdf",
        "figures/frontier.svg",
        "figures/passk_curves.caption.md",
        "statistics/power.json",
    ):
        assert (results / file).stat().st_size > 0, file
    with (results / "tables/main.csv").open() as file:
        assert next(csv.reader(file)) == ["domain", "metric", "arm", "value", "low", "high", "n", "signature"]


def test_the_verdict_has_its_schema(study):
    verdict = json.loads((study[0] / "results/small/statistics/verdict.json").read_text())
    assert verdict["study"] == "small"
    assert verdict["primary_arm"] == "polychromic"
    assert len(verdict["plan_sha256"]) == 64
    assert verdict["plan_changed"] is False
    assert set(verdict["domains"]) == {"social", "code"}
    for domain in verdict["domains"].values():
        assert {
            "superior",
            "noninferior",
            "above_frontier",
            "supported",
            "difference",
            "low",
            "high",
            "p_holm",
        } <= set(domain)


def test_samples_are_what_the_config_asks_for(study):
    samples = pd.read_parquet(study[0] / "results/small/code/lora/seed-42/samples.parquet")
    assert {"prompt_id", "temperature", "sample", "text"} <= set(samples.columns)
    counts = samples.groupby(["prompt_id", "temperature"]).size()
    assert (counts == 10).all()
    assert len(counts) == 8 * 2
    assert samples["seed"].is_unique


def test_funnels_add_up(study):
    for domain in ("social", "code"):
        funnel = json.loads((study[0] / f"results/small/{domain}/data/funnel.json").read_text())
        assert funnel["kept"] + funnel["rejected"] == funnel["read"] >= 300
        assert funnel["steps"][-1]["filter"] == "split"
        rejected = [study[0] / f"results/small/{domain}/data/{name}.jsonl" for name in ("rejected", "split_rejected")]
        assert sum(len(file.read_text().splitlines()) for file in rejected) == funnel["rejected"]
        assert json.loads((study[0] / f"results/small/{domain}/data/leakage.json").read_text())["leaks"] == 0


def test_choices_of_a_plugin_run_through_the_study(study):
    """A verifier, a measure D, a filter and a metric from a file outside the package; stamps know where it is used."""
    results = study[0] / "results/small"
    funnel = json.loads((results / "code/data/funnel.json").read_text())
    assert "no_shouting" in [step["filter"].split()[0] for step in funnel["steps"]]
    assert json.loads((results / "social/calibration.json").read_text())["kind"] == "shares_words"
    assert "question_share" in pd.read_parquet(results / "code/lora/diversity.parquet").columns
    summary = pd.read_parquet(results / "statistics/summary.parquet").set_index("metric")
    assert summary.loc["question_share", "signature"].str.contains("ends:?", regex=False).all()
    log = (results / "social/polychromic/seed-42/train_log.jsonl").read_text().splitlines()
    assert any(json.loads(line).get("diversity", 0) > 0 for line in log)

    def uses(job):
        return PLUGIN in json.loads((results / f".stamps/{job}.done.json").read_text())["code"]

    used = ["curate.code", "calibrate.social", "train.social.polychromic.42", "verify.social.lora"]
    used += ["diversity.code.lora"]
    unused = ["curate.social", "train.code.polychromic.42", "train.social.lora.42", "verify.code.lora"]
    unused += ["encode.code.lora"]
    assert [job for job in [*used, *unused] if uses(job)] == used


def test_it_says_that_it_is_synthetic(study):
    assert "synthetic" in (study[0] / "results/small/report.html").read_text().lower()


def test_no_token_is_written_down(study):
    project, _, output = study
    assert not [secret for secret in SECRETS.values() if secret in output]
    for path in project.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [name for name, secret in SECRETS.items() if secret.encode() in content], path


def test_snakemakes_own_report_shows_each_figure_in_its_section_with_its_caption(study):
    project, run, _ = study
    archive = "results/small/snakemake-report.zip"
    done = run("all", options=["--report", archive])
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    with zipfile.ZipFile(project / archive) as opened:
        page = opened.read("snakemake-report/report.html").decode()
        files = {name.rpartition("/")[2] for name in opened.namelist()}
    categories, shown = (
        json.JSONDecoder().raw_decode(page, page.index(f"var {name} = {{") + len(f"var {name} = "))[0]
        for name in ("categories", "results")
    )
    drawn = {file.stem for file in (project / "results/small/figures").glob("*.png")}
    sections = {section: {Path(file).stem for file in found} for section, found in categories["Figures"].items()}
    assert set.union(*sections.values()) == drawn >= {"passk_curves", "frontier"}
    for section, figures in sections.items():
        assert figures <= {name for name in FIGURES if FIGURES[name].section == section}
    assert {f"{name}.png" for name in drawn} | {"report.html"} <= files
    for name in drawn:
        caption = (project / f"results/small/figures/{name}.caption.md").read_text()
        assert shown[f"results/small/figures/{name}.png"]["caption"].split() == caption.split()


def test_a_second_run_does_nothing(study):
    project, run, _ = study
    before = times(project / "results/small")
    assert run("all").returncode == 0
    assert times(project / "results/small") == before


def test_the_same_jobs_again_give_the_same_bytes(study):
    """From an arm's samples to the figures, a second time: the same bytes, timings and what shows them aside."""
    project, run, _ = study
    before = checksums(project / "results/small")
    # In both domains: of so many jobs each is forked, which costs less than those of one domain alone.
    samples = [f"results/small/{domain}/polychromic/seed-42/samples.parquet" for domain in ("social", "code")]
    again = run("all", options=("--forcerun", *samples))
    assert again.returncode == 0, (again.stdout + again.stderr)[-5000:]
    assert "generate code, polychromic, seed 42" in again.stdout + again.stderr
    assert differing(before, checksums(project / "results/small")) == []
    assert {"figures/forest.pdf", "tables/main.tex", "statistics/verdict.json"} < set(before)


def test_a_bad_config_stops_before_any_job(study):
    project, run, _ = study
    (project / "small.yaml").write_text(SMALL + "sampelng: {samples: 3}\n")
    try:
        failed = run("all")
    finally:
        (project / "small.yaml").write_text(SMALL)
    output = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "sampelng" in output
    assert "'sampling'" in output
    assert "Traceback" not in output
