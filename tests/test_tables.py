"""Tables: the CSV's schema, the rule for bold, and text that LaTeX and Markdown can read."""

from __future__ import annotations

import csv
from dataclasses import replace

import pandas as pd
import pytest

from polychromic import labels
from polychromic.errors import StudyError
from polychromic.paper import table_formats, wording
from polychromic.paper.checklist import checklist
from polychromic.paper.figures import FIGURES
from polychromic.paper.latex import latex
from polychromic.paper.results import Results, is_ablation
from polychromic.paper.tables import TABLES
from polychromic.paper.tables.main import best_arm


def test_main_csv_has_the_agreed_header_and_every_cell(results, tmp_path):
    path = table_formats.save(TABLES["main"](results), tmp_path / "main")[0]
    lines = path.read_text().splitlines()
    assert lines[0] == "domain,metric,arm,value,low,high,n,signature"
    rows = list(csv.DictReader(lines))
    assert len(rows) == 5 * 5 * 8, "domains and pooled x arms x metrics, no ablation arm among them"
    assert all(row["signature"] for row in rows)
    n = {(row["domain"] == "pooled", row["metric"]): int(row["n"]) for row in rows}
    assert (n[False, "pass_at_10"], n[True, "pass_at_10"]) == (36, 144), "prompts x seeds, pooled over four domains"
    assert n[False, "distinct_2"] == 30, "undefined for two prompts"
    assert "10 prompts" in TABLES["main"](results).caption


def test_every_row_of_every_csv_has_its_n_and_signature(results):
    for name, make in TABLES.items():
        if (made := make(results)) is None:
            continue
        data = made.data
        assert (data["n"] > 0).all(), name
        assert data["signature"].str.len().gt(5).all(), name


def test_the_frontier_is_tabulated(results):
    frontier = TABLES["frontier"](results)
    cells = frontier.cells.assign(domain=frontier.groups)
    assert set(cells[cells["Arm"] == "Zero-shot"]["T"]) == {"0.7"}, "prompt arms have one temperature"
    assert set(cells[cells["Arm"] == "LoRA"]["Above the frontier by"]) == {"–"}


def test_the_decision_is_tabulated_for_every_arm(results):
    decision = TABLES["decision"](results)
    row = results.hypotheses.query("hypothesis == 'superiority' and domain == 'code' and arm == 'polychromic'").iloc[0]
    cells = decision.cells.assign(domain=decision.groups)
    cell = cells[(cells["domain"] == "Code") & (cells["Arm"] == "Polychromic")].iloc[0]
    assert cell["T"] == f"{row['temperature']:g} / {row['control_temperature']:g}"
    assert cell["Δ best Pass@10"] == table_formats.with_interval(row["difference"], row["low"], row["high"], sign=True)
    assert "Pooled" in decision.groups


def test_placebos_and_peers_are_tabulated_and_replication_only_where_it_was_run(results):
    placebos = TABLES["placebos"](results)
    assert set(placebos.cells["Placebo"]) == {placebo["name"] for placebo in results.verdict["placebos"]}
    peers = TABLES["peers"](results)
    assert "●" in set(peers.cells["Front"])
    assert set(peers.data["role"]) >= {"primary", "control", "peer", "untrained"}
    assert TABLES["replication"](results) is None
    differences = {"toy": 0.1, "toy-2": 0.2, "toy-3": 0.15}
    row = {"differences": differences, "difference": 0.15, "low": 0.03, "high": 0.27}
    found = {"studies": list(differences), "missing": [], "rows": {"code": row, "pooled": row, "social": row}}
    again = replace(results, verdict=results.verdict | {"replication": found})
    table = TABLES["replication"](again)
    assert "2 degrees of freedom" in table.caption
    assert set(table.data["n"]) == {3}
    assert list(table.data["domain"]) == ["social", "code", "pooled"], "the order of every other table"


@pytest.mark.parametrize("judge", ["reference-similarity", None])
def test_without_a_model_that_judged_one_line_says_so(results, judge):
    judged = results.judge.assign(judge=judge) if judge else pd.DataFrame()
    found = replace(results, judge=judged)
    assert TABLES["judge"](found) is None
    assert FIGURES["judge"](found) is None
    assert dict(checklist(found))["Did a model judge?"].startswith("No")


def test_the_judge_table_counts_and_controls_for_length(results):
    results = replace(results, judge=results.judge.assign(judge="a-model"))
    assert dict(checklist(results))["Did a model judge?"] == "Yes: a-model."
    table = TABLES["judge"](results)
    rows = table.data.set_index(["domain", "arm", "metric"])["value"]
    judged = results.judge.query("domain == 'qa' and arm == 'polychromic'")
    assert rows["qa", "polychromic", "judge_ties"] == (judged["winner"] == "tie").mean()
    assert rows["qa", "polychromic", "judge_win_rate"] == pytest.approx(
        judged["winner"].map({"arm": 1, "tie": 0.5, "control": 0}).mean()
    )
    assert 0 < rows["qa", "polychromic", "judge_win_rate_length_controlled"] < 1
    unread = results.judge.assign(winner=None, parse_failures=2)
    all_unread = TABLES["judge"](replace(results, judge=unread)).cells
    assert (all_unread["Comparisons"] == "0").all()
    assert (all_unread["Unread replies"] == "100.0%").all()


def test_numbers_of_the_csv_are_those_of_the_summary(results):
    data = TABLES["main"](results).data.set_index(["domain", "metric", "arm"])
    summary = results.summary[results.summary["temperature"] == 0.7].set_index(["domain", "metric", "arm"])
    for column in ("value", "low", "high"):
        pd.testing.assert_series_equal(data[column], summary.loc[data.index, column])


def test_quality_is_one_column_and_not_pass_at_1_again(results):
    cells = TABLES["main"](results).cells.assign(domain=TABLES["main"](results).groups)
    assert not {"ROUGE-L", "Token F1"} & set(cells)
    assert set(cells["domain"]) >= {"Code (quality: ROUGE-L)", "Question answering (quality: Token F1)"}
    summary = results.summary
    exact = (summary["domain"] == "qa") & (summary["metric"] == "token_f1")
    ones = summary[(summary["domain"] == "qa") & (summary["metric"] == "pass_at_1")]
    values = summary[exact].merge(ones, on=["arm", "temperature"], how="left")["value_y"]
    summary = summary.assign(value=summary["value"].where(~exact, pd.Series(values.to_numpy(), summary[exact].index)))
    same = TABLES["main"](replace(results, summary=summary))
    assert set(same.cells["Quality"][[group == "Question answering" for group in same.groups]]) == {"as Pass@1"}


def test_distinct_classes_are_a_column_where_they_were_measured(results):
    classes = results.summary[results.summary["metric"] == "pass_at_10"].assign(metric="classes")
    measured = replace(results, summary=pd.concat([results.summary, classes], ignore_index=True))
    assert "Distinct classes" in TABLES["main"](measured).cells


def test_the_verdict_is_tabulated_pooled_first(results):
    table = TABLES["verdict"](results)
    assert list(table.cells["Domain"]) == ["Pooled", *map(labels.domain, results.domains())]
    found = results.verdict["domains"]["code"]
    row = table.cells.set_index("Domain").loc["Code"]
    assert row["Δ best Pass@10"] == wording.effect(found)
    assert row["Claim"] == wording.outcome(found)[0]


def test_rows_verifiers_and_settings_are_tabulated(results):
    rows = TABLES["data"](results)
    assert rows.cells["Train"].tolist() == [f"{results.funnels[d]['parts']['train']:,}" for d in results.domains()]
    calibrated = TABLES["calibration"](results).cells.set_index("Domain")
    assert calibrated.loc["Code", "Right answers pass"].startswith("100.0% [")
    assert calibrated.loc["Code", "Threshold"] == "–"
    setup = TABLES["setup"](results).cells.set_index("Setting")["Value"]
    assert (setup["Weight λ"], setup["Samples a prompt N"]) == ("0.3", "3")


def test_units_of_time_and_money_adapt():
    assert [wording.duration(hours) for hours in (0.01, 0.5, 12)] == ["36 s", "30 min", "12.0 h"]
    assert wording.spent(0.5, 0, 0) == "30 min"
    assert wording.spent(12, 12.3, 9.2) == "12.0 h, 12.3 GPU hours and 9.20 dollars"
    assert wording.dollars(0.0041) == "0.0041"


def two_arms(first: float, second: float, p_holm: float, metric: str = "pass_at_10"):
    summary = pd.DataFrame(
        [("code", metric, "polychromic", 0.7, first), ("code", metric, "lora", 0.7, second)],
        columns=["domain", "metric", "arm", "temperature", "value"],
    )
    pairwise = pd.DataFrame(
        [("code", metric, "polychromic", "lora", 0.7, p_holm)],
        columns=["domain", "metric", "arm", "control", "temperature", "p_holm"],
    )
    return best_arm(summary, pairwise, "code", metric, ["lora", "polychromic"], alpha=0.05)


@pytest.mark.parametrize(
    ("first", "second", "p_holm", "metric", "expected"),
    [
        (0.8, 0.6, 0.01, "pass_at_10", "polychromic"),
        (0.8, 0.6, 0.20, "pass_at_10", None),  # best, but no test says so
        (0.6, 0.8, 0.01, "pass_at_10", "lora"),  # the pair is the other way round
        (0.2, 0.5, 0.01, "self_bleu", "polychromic"),  # lower is better
        (0.2, float("nan"), 0.01, "pass_at_10", None),
    ],
)
def test_best_is_marked_only_where_the_test_supports_it(first, second, p_holm, metric, expected):
    assert two_arms(first, second, p_holm, metric) == expected


def test_bold_reaches_both_renderings(results):
    table = TABLES["main"](results)
    marked = replace(table, best={(3, "Pass@10")})
    text = table.cells["Pass@10"].iloc[3]
    assert f"**{text}**" in table_formats.markdown(marked)
    assert rf"\textbf{{{latex(text.partition(' [')[0])}}}" in table_formats.latex(marked)


def test_every_row_of_the_tabular_has_its_columns(results):
    for make in TABLES.values():
        if (table := make(results)) is None:
            continue
        for line in table_formats.latex(table).splitlines():
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert line.count(" & ") == len(table.cells.columns) - 1
        assert table_formats.markdown(table).startswith(("| Domain | ", f"| {table.by} | "))


def test_undefined_is_said_and_no_zero(results):
    summary = results.summary.copy()
    first = (summary["metric"] == "pass_at_10") & (summary["arm"] == "lora") & (summary["domain"] == "code")
    summary.loc[first, ["value", "low", "high"]] = float("nan")
    cells = TABLES["main"](replace(results, summary=summary)).cells
    assert (cells["Pass@10"] == "undefined").sum() == 1


def test_ablations_change_one_setting_and_what_changes_more_comes_last(results):
    table = TABLES["ablations"](results)
    settings = [s for s, group in zip(table.cells["Setting"], table.groups, strict=True) if group == "Code"]
    levels = ["λ = 0.1", "λ = 0.3", "λ = 0.5", "N = 2", "N = 3", "m = 4", "m = 8", "rank = 8", "rank = 16"]
    assert settings == [*levels, "LoRA (r8)"]
    rows = results.against_control().set_index(["domain", "arm", "metric"])["difference"]
    for setting, arm in (("rank = 8", "polychromic_r8"), ("rank = 16", "polychromic"), ("LoRA (r8)", "lora_r8")):
        cell = table.cells["Δ Pass@10"][settings.index(setting) + table.groups.index("Code")]
        value = rows["code", arm, "pass_at_10"]
        assert cell.startswith(table_formats.number(value, sign=True)), setting


def test_cost_sums_every_training(results):
    table = TABLES["cost"](results)
    assert len(table.data) == len(results.runs)
    hours = sum(run["seconds"]["total"] for run in results.runs) / 3600
    assert f"of the study took {wording.duration(hours)}." in table.caption


def test_what_is_missing_is_said(results):
    with pytest.raises(StudyError, match=r"statistics/pairwise\.parquet"):
        TABLES["main"](Results(study="x", summary=results.summary))
    main_arms = results.pairwise[~results.pairwise["arm"].map(is_ablation)]
    assert TABLES["ablations"](replace(results, pairwise=main_arms)) is None
    assert TABLES["cost"](replace(results, runs=[])) is None


def test_latex_escapes_what_pdflatex_would_choke_on():
    assert latex("5 % of λ_x & −.02 {a}") == r"5~\% of $\lambda$\_x \& $-$.02 \{a\}"


@pytest.mark.parametrize(("sizes", "rows"), [([8] * 5, 24), ([3, 20, 1], 6), ([30], 24), ([1] * 9, 4), ([5], 5)])
def test_a_long_table_is_divided_at_its_groups_and_loses_nothing(sizes, rows):
    groups = [f"group {number}" for number, size in enumerate(sizes) for _ in range(size)]
    cells = pd.DataFrame({"Arm": [str(at) for at in range(len(groups))]})
    bold = {(row, "Arm") for row in range(0, len(groups), 3)}
    parts = table_formats.parts(table_formats.Table(cells, cells, groups, "c", bold), rows)
    assert pd.concat([part.cells for part in parts])["Arm"].tolist() == cells["Arm"].tolist()
    assert [group for part in parts for group in part.groups] == groups
    assert {(int(part.cells["Arm"].iloc[row]), name) for part in parts for row, name in part.best} == bold
    assert all(len(part.groups) <= rows for part in parts)
    for group in set(groups):
        shared = [part for part in parts if group in part.groups]
        assert len(shared) == 1 or groups.count(group) > rows, "a group that fits is not cut"


def test_a_long_name_of_a_column_of_numbers_takes_two_lines():
    cells = pd.DataFrame({"Arm": ["a"], "Semantic diversity": [".1"], "Pass@1": [".2"]})
    text = table_formats.latex(table_formats.Table(cells, cells, [""], "c"))
    assert r"Arm & \lines{Semantic}{diversity} & Pass@1 \\" in text
