"""No row is lost between the raw files and the parts, a person's drops and the split's rejections included."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import copy_curated, run
from test_splitting import record, run_script

from polychromic.data import funnel
from polychromic.data.curation import curate
from polychromic.data.filters import FILTERS, make_filter
from polychromic.data.review import DECISIONS, Decision, apply_decisions
from polychromic.data.sources import SOURCES
from polychromic.data.splitting import Split, split

STEPS = [make_filter({"filter": "exact_duplicates"})]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "", *DECISIONS])), min_size=3, max_size=40),
    st.integers(0, 3),
)
def test_kept_and_rejected_are_what_was_read_through_every_step(drawn, seed):
    rows = [replace(record(text, part=("train", None)[n % 2]), id=f"r{n}") for n, (text, _) in enumerate(drawn)]
    rows += [record(1000 + n, part=part) for n, part in enumerate(("train", "val", "test"))]
    decisions = [
        Decision(f"r{n}", decision, prompt=f"edited prompt {n}", target=f"edited target {n}", line=f"line {n}")
        for n, (_, decision) in enumerate(drawn)
        if decision
    ]
    curated = curate(rows, STEPS, seed=seed)
    reviewed = apply_decisions(curated.kept, decisions)
    parted = split(reviewed.kept, Split(), seed=seed)
    steps = [
        funnel.step("review", len(curated.kept), len(reviewed.kept), changed=reviewed.counts["edit"]),
        funnel.step("split", len(reviewed.kept), len(reviewed.kept) - len(parted.rejected)),
    ]
    whole = funnel.extended(curated.funnel, steps, {part: len(kept) for part, kept in parted.parts.items()})
    rejected = [*curated.rejected, *reviewed.rejected, *parted.rejected]
    assert whole["read"] == len(rows) == whole["kept"] + whole["rejected"]
    assert whole["rejected"] == len(rejected) == sum(step["rejected"] for step in whole["steps"])
    kept = [row.id for part in parted.parts.values() for row in part]
    assert sorted([*kept, *(row["id"] for row in rejected)]) == sorted(row.id for row in rows)
    assert {(*row,) for row in rejected} <= {("id", "where", "filter", "value", "bound", "record")}


def test_a_row_that_is_lost_or_made_up_stops_the_run():
    counts = {"read": 9, "kept": 7, "rejected": 2, "steps": [funnel.step("length", 9, 7)], "parts": {"any": 7}}
    with pytest.raises(AssertionError, match="split took in 6 rows, but 7 came out"):
        funnel.extended(counts, [funnel.step("split", 6, 5)], {"train": 5})
    with pytest.raises(AssertionError, match="7 rows are left, but the parts hold 6"):
        funnel.extended(counts, [funnel.step("split", 7, 7)], {"train": 4, "val": 1, "test": 1})


def test_decisions_are_in_the_funnel_and_only_what_depends_on_them_runs_again(curated, tmp_path):
    project = copy_curated(curated, tmp_path / "project")
    funnel_file, data = "results/tiny/qa/data/funnel.json", project / "results/tiny/qa/data"
    before = json.loads((project / funnel_file).read_text())
    assert [step["filter"] for step in before["steps"]][-1] == "split"
    assert before["sources"] == [{"format": "squad", "from": "data/raw/questions.jsonl"}]
    assert before["read"] == before["kept"] + before["rejected"] == 80

    kept = [json.loads(line) for line in (data / "train.jsonl").read_text().splitlines()]
    (project / "data/review").mkdir()
    (project / "data/review/qa.csv").write_text(f"id,decision,note\n{kept[0]['id']},drop,dull\ngone,keep,\n")
    again = run(project, funnel_file, options=("--cores", "1"))
    assert again.returncode == 0, again.stdout
    assert "[curate.qa]" not in again.stdout
    assert "line 3: 'gone' is not among the curated rows" in again.stdout
    after = json.loads((project / funnel_file).read_text())
    assert [(step["filter"], step["rejected"]) for step in after["steps"]][-2:] == [("review", 1), ("split", 0)]
    assert (after["read"], after["kept"], after["rejected"]) == (80, before["kept"] - 1, before["rejected"] + 1)
    [dropped] = [json.loads(line) for line in (data / "split_rejected.jsonl").read_text().splitlines()]
    assert (dropped["id"], dropped["filter"], dropped["value"]) == (kept[0]["id"], "review", "dull")


def curate_job(folder, min_rows):
    sources = [{"format": "nq_open", "path": "rows.jsonl"}]
    limits = {"min_rows": min_rows, "max_rows": 99, "allow_fewer": False}
    curation = {"filters": [{"filter": "length", "text": "prompt", "min": 3}], **limits}
    return run_script(
        folder,
        "curate",
        {
            "params": {"seed": 0, "sources": sources, "curation": curation},
            "upstream": {},
            "chosen": [SOURCES.module_of("nq_open"), FILTERS.module_of("length")],
        },
        output={name: f"data/{name}.jsonl" for name in ("curated", "rejected", "account")},
        params={"results": "results"},
    )


def test_rejected_rows_outlive_a_curation_that_leaves_too_few(tmp_path):
    """Snakemake deletes the outputs of a job that failed."""
    rows = [{"question": "q" * n, "answer": ["a"]} for n in range(1, 9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "data").mkdir()
    failed = curate_job(tmp_path, min_rows=7)
    assert failed.returncode == 1
    [named] = re.findall(r"Read (\S+),", failed.stderr)
    assert len((tmp_path / named).read_text().splitlines()) == 2
    assert not (tmp_path / "data/rejected.jsonl").exists()
    done = curate_job(tmp_path, min_rows=6)
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "data/rejected.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / named).exists(), "it belongs to another curation"
    table = {line.split()[0]: line.split()[-1] for line in done.stderr.splitlines() if line.startswith("  ")}
    assert (table["read"], table["length"]) == ("8", "6"), "the console shows the funnel"
