"""A metric is declared once: its column, label, direction and signature follow, in the package and from a plugin."""

from __future__ import annotations

import re
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from study_fixture import DOMAINS, make_study, plan_of
from test_metric_tables import RECORDS, arm

from polychromic import labels, metrics
from polychromic.metric_registry import BUILT_IN, METRICS, column_of, columns_of, metrics_of
from polychromic.metrics.signed_tables import sign, signatures_in
from polychromic.paper.results import read_results
from polychromic.paper.tables import TABLES
from polychromic.paper.tables.main import best_arm
from polychromic.parquet import read_parquet, write_parquet
from polychromic.registry import load_plugins, plugin_module
from polychromic.statistics.analysis import analyse

READ = ("passing", "cut")
KINDS = ("passes", "passes_val", "diversity", "quality")
PLUGIN = '''
from polychromic.metrics import METRICS, DiversityMetric, QualityMetric


@METRICS.register("question_share")
class QuestionShare(DiversityMetric):
    """Share of the samples that end in a question mark."""

    label = "Questions"
    signature = "ends:?|numpy-{numpy}"
    lower_is_better = True
    readings = ("all", "passing")

    @staticmethod
    def value(samples):
        return sum(text.endswith("?") for text in samples.texts) / max(len(samples.texts), 1)


@METRICS.register("same_length")
class SameLength(QualityMetric):
    """Whether a text is as long as a reference."""

    label = "Same length"
    signature = "unit:characters"

    @staticmethod
    def value(text, references):
        return float(any(len(text) == len(other) for other in references))
'''


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "my_metrics.py"
    file.write_text(PLUGIN)
    load_plugins([str(file)])
    yield
    for name in ("question_share", "same_length"):  # a test leaves the registry as it found it
        METRICS._modules.pop(name)
        METRICS._found.pop(name)
    del sys.modules[plugin_module(str(file))]


@pytest.mark.usefixtures("plugin")
def test_a_metric_of_a_plugin_is_measured_labelled_and_signed(tmp_path):
    samples, passes = arm()
    stacked = metrics.stack_samples(samples)
    stacked.loc[stacked["sample"] == 0, "text"] = "is it?"
    joined = metrics.with_passes(stacked, passes)
    table = metrics.diversity_table(joined, RECORDS, None, labelled=True)
    assert set(table["question_share"]) == {1 / 3}
    assert set(table[table["prompt_id"] == "p2"]["question_share_passing"]) == {0}
    assert "same_length" in metrics.quality_table(stacked, RECORDS)
    write_parquet(tmp_path / "diversity.parquet", table)
    signatures = signatures_in(read_parquet(tmp_path / "diversity.parquet"))
    assert signatures["question_share_passing"] == f"question_share_passing|ends:?|numpy-{version('numpy')}|of:passing"
    assert labels.metric("question_share_passing") == "Questions (passing)"
    assert (labels.metric("same_length"), metrics.signature("same_length")) == (
        "Same length",
        "same_length|unit:characters",
    )


@pytest.mark.usefixtures("plugin")
def test_a_metric_of_a_plugin_reaches_the_summary_with_the_signature_of_its_file(tmp_path):
    study = make_study(tmp_path / "toy", arms=("lora", "polychromic"), prompts=6, judge=False)
    plan = plan_of("toy", DOMAINS, ("lora", "polychromic"))
    tables = {}
    for domain in DOMAINS:
        for name in plan["arms"]:
            found = {kind: pd.read_parquet(study / domain / name / f"{kind}.parquet") for kind in KINDS}
            grown = found["diversity"].assign(question_share=0.25)
            found["diversity"] = sign(grown, {"question_share": "question_share|numpy-1.0"})
            tables.setdefault(domain, {})[name] = found
    summary = analyse(tables, plan).summary.query("metric == 'question_share'")
    assert len(summary) == 5 * 2 * 4
    assert summary["value"].eq(0.25).all()
    assert summary["signature"].str.startswith("question_share|numpy-1.0|n:10|prompts:").all()
    rows = summary[summary["domain"] == "qa"].query("temperature == 0.7").assign(value=[0.9, 0.1])
    test = pd.DataFrame(
        [("qa", "question_share", *rows["arm"], 0.01)], columns=["domain", "metric", "arm", "control", "p_holm"]
    )
    assert best_arm(rows, test, "qa", "question_share", list(rows["arm"]), 0.05) == rows["arm"].iloc[1]


def test_numbers_of_two_versions_show_both_and_are_remarked(toy_study):
    domains, arms = ("qa",), ("lora", "polychromic")
    plan = plan_of("toy", domains, arms)
    tables = {
        "qa": {
            name: {kind: pd.read_parquet(toy_study / "qa" / name / f"{kind}.parquet") for kind in KINDS}
            for name in arms
        }
    }
    for number, name in enumerate(arms):
        frame = tables["qa"][name]["diversity"]
        tables["qa"][name]["diversity"] = sign(frame, {"self_bleu": f"self_bleu|version:sacrebleu-{number}"})
    analysis = analyse(tables, plan)
    rows = analysis.summary.query("metric == 'self_bleu'")["signature"]
    assert rows.str.contains("sacrebleu-0").all()
    assert rows.str.contains("sacrebleu-1").all()
    assert any("Self-BLEU" in note and "different versions" in note for note in analysis.notes)
    unsigned = analysis.summary.query("metric == 'distinct_2'")["signature"]
    assert not unsigned.str.contains(version("sacrebleu")).any(), "no version is given where none was recorded"


def test_every_built_in_metric_declares_all_that_is_asked():
    for table, names in BUILT_IN.items():
        assert list(metrics_of(table)) == list(names)
        for name, metric in metrics_of(table).items():
            assert metric.table == table
            assert metric.label
            assert metric.signature
            assert metric.__doc__.splitlines()[0].endswith(".")
            assert metric.bounds[0] < metric.bounds[1]
            for column, reading in columns_of(name, metric).items():
                assert table == "passes" or column_of(column)[:2] == (metric, reading)


def test_a_column_that_no_metric_has_is_no_column():
    for name in ("rouge_l_passing", "distinct_2_long", "self_bleu_10", "bleurt", "pass_at_"):
        assert column_of(name) is None, name
    assert column_of("pass_at_10").label == "Pass@10"
    assert column_of("distinct_2_cut").label == "Distinct-2 (equal length)"


def test_the_docs_list_every_metric_with_its_direction():
    page = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text(encoding="utf-8")
    starred = {f"…_{reading}": next(line for line in page.splitlines() if f"`…_{reading}`" in line) for reading in READ}
    for table in ("passes", "diversity", "quality"):
        for name, metric in metrics_of(table).items():
            for reading in READ:
                assert (f"`{name}`" in starred[f"…_{reading}"]) == (reading in metric.readings), name
            [row] = [line for line in page.splitlines() if re.match(rf"\| [^|]*`{name}(_k)?`", line)]
            assert metric.__doc__.splitlines()[0].rstrip(".") in row, name
            assert f"{'lower' if metric.lower_is_better else 'higher'}" in row or name == "length", name


def test_a_table_and_a_figure_of_a_plugin_are_drawn_in_their_place(toy_study):
    from polychromic.paper.figures import FIGURES, figure
    from polychromic.paper.tables import table

    results = read_results(toy_study)

    @table("my_table", title="Mine")
    def mine(results):
        return TABLES["cost"](results)

    @figure("my_figure", section="Results", title="mine")
    def drawn(results):
        return FIGURES["passk_curves"](results)

    try:
        assert list(TABLES)[-1] == "my_table"
        assert TABLES["my_table"](results).caption
        assert FIGURES["my_figure"].section == "Results"
    finally:
        for registry, name in ((TABLES, "my_table"), (FIGURES, "my_figure")):
            registry._modules.pop(name)
            registry._found.pop(name)
