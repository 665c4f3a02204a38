"""Rows of one's own, by a field map: what becomes a record, and what is refused, by row and column."""

from __future__ import annotations

import json

import pytest
from test_sources import read

from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.errors import StudyError
from polychromic.records import Record, write_records

TABLE = {"format": "table", "fields": {"prompt": "p", "target": "t", "references": "r", "meta": ["m"]}}
GOOD_ROW = {"p": "a question", "t": "an answer", "r": None, "m": None}


@pytest.mark.parametrize("blank", ["\0", "\u200b\ufeff", " \u00a0\n\u2028", "\x1b\x07"])
@pytest.mark.parametrize("column", ["p", "t"])
def test_a_text_of_which_nothing_can_be_seen_is_empty(tmp_path, blank, column):
    bad, good = read(tmp_path, [GOOD_ROW | {column: blank}, GOOD_ROW], **TABLE)
    assert bad.reason == f"{column!r} is empty"
    assert isinstance(good, Record)


def test_what_is_nested_too_deeply_to_be_written_is_named(tmp_path):
    deep = json.loads("[" * 900 + "]" * 900)
    bad, good = read(tmp_path, [GOOD_ROW | {"m": deep}, GOOD_ROW], **TABLE)
    assert "deep" in bad.reason
    assert isinstance(good, Record)


@pytest.mark.parametrize("cell", [r'["\ud800"]', "[" * 100_000])
def test_json_in_a_cell_gives_nothing_that_cannot_be_written(tmp_path, cell):
    rows = read(tmp_path, [GOOD_ROW | {"r": cell}], **TABLE)
    assert write_records(tmp_path / "out.jsonl", rows) == 1
    turns = r'[{"role": "user", "content": "\ud800"}, {"role": "assistant", "content": "b"}]'
    for value in (turns, cell):
        [bad] = read(tmp_path, [{"messages": value}], format="chat")
        assert "messages" in bad.reason


def test_a_table_is_read_by_its_field_map(tmp_path):
    row = {
        "in": {"text": "Say hi"},
        "out": "Hi",
        "also": '["Hello", "Hey"]',
        "who": 7,
        "when": None,
        "cut": "validation",
    }
    fields = {
        "prompt": "in.text",
        "target": "out",
        "references": "also",
        "group": "who",
        "part": "cut",
        "meta": ["when"],
    }
    [record] = read(tmp_path, [row], format="table", fields=fields)
    assert (record.prompt, record.target, record.references) == ("Say hi", "Hi", ("Hi", "Hello", "Hey"))
    assert (record.group, record.part) == ("7", "val")
    assert record.meta == {"when": None, "origin": "x.jsonl, line 1"}
    [code] = read(
        tmp_path,
        [{"q": "Double", "a": "def f(x): return 2 * x", "t": "assert f(1) == 2"}],
        format="table",
        fields={"prompt": "q", "target": "a", "tests": "t"},
    )
    assert code.tests == {
        "kind": "asserts",
        "code": "assert f(1) == 2",
        "entry_point": None,
        "setup": "",
        "cases": [],
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target": None}, "'out' is null, not a text"),
        ({"target": 5}, "'out' is int, not a text"),
        ({"target": " "}, "'out' is empty"),
        ({"target": [{"role": "user", "content": "hi"}]}, "`format: chat`"),
        ({"drop": "out"}, "no column 'out'"),
        ({"also": [1]}, "'references' is not a list of texts"),
        ({"cut": "holdout"}, "'cut' is 'holdout', not one of train, val, test, evaluation"),
        ({"who": True}, "'who' is bool, not a text or a whole number"),
        ({"who": ["a"]}, "'who' is list, not a text or a whole number"),
        ({"who": 1.5}, "'who' is 1.5, not a text or a whole number"),
        ({"name": 1e18}, "'name' is 1e+18, not a text or a whole number"),  # 1e18 + 1 is the same float
        ({"name": {"id": 1}}, "'name' is dict, not a text or a whole number"),
    ],
)
def test_a_row_with_a_bad_column_says_which(tmp_path, change, reason):
    good = {"in": "p", "out": "t", "also": None, "cut": None, "who": None, "name": None}
    row = {**good, "out": change.get("target", "t"), **{key: change[key] for key in change if key in good}}
    if "drop" in change:
        del row[change["drop"]]
    fields = {"prompt": "in", "target": "out", "references": "also", "part": "cut", "group": "who", "id": "name"}
    record, bad = read(tmp_path, [good, row], format="table", fields=fields)
    assert isinstance(record, Record)
    assert reason in bad.reason
    assert bad.where == "x.jsonl, line 2"


@pytest.mark.parametrize("use", ["references", "tests", "entry_point", "id", "group", "part", "meta", "prompt"])
def test_a_column_that_no_row_has_stops_the_run(tmp_path, use):
    """Without it, rows of one group would be on both sides of a split."""
    rows = [{"question": "q", "answer": "a", "customer": "c"}, {"question": "p", "answer": "b"}]
    fields = {"prompt": "question", "target": "answer", use: ["custmer"] if use == "meta" else "custmer"}
    with pytest.raises(StudyError) as caught:
        read(tmp_path, rows, format="table", fields=fields)
    assert str(caught.value) == (
        f"x.jsonl: no row has a column 'custmer' (did you mean 'customer'?) for `{use}`. The columns are 'answer', "
        "'customer', 'question'. Correct `fields` of this source."
    )


def test_a_column_inside_an_object_may_be_missing_too(tmp_path):
    rows = [{"q": "a", "a": {"text": "b", "by": "ada"}}, {"q": "a", "a": None}, {"q": "a", "a": {"text": "b"}}]
    fields = {"prompt": "q", "target": "a.text", "group": "a.by"}
    first, null, lacking = read(tmp_path, rows, format="table", fields=fields)
    assert first.group == "ada"
    assert null.reason == "'a.text' is null, not a text"
    assert lacking.group not in ("", "ada"), "left out is as null: a group by prompt"
    with pytest.raises(StudyError, match=r"no row has a column 'a.who' for `group`. The columns are 'a', 'a.by', 'a."):
        read(tmp_path, rows, format="table", fields={**fields, "group": "a.who"})


def test_whole_numbers_that_pandas_made_floats_of_are_ids_and_groups(tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = {"p": ["a", "b", "c"], "t": ["d", "e", "f"], "who": [17.0, float("nan"), None], "no": [1.0, 2.0, 3.0]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    fields = {"prompt": "p", "target": "t", "group": "who", "id": "no"}
    source = make_source({"format": "table", "path": "x.parquet", "fields": fields})
    first, second, third = read_source(source, tmp_path)
    assert [row.id for row in (first, second, third)] == ["1", "2", "3"]
    assert first.group == "17"
    assert len({first.group, second.group, third.group}) == 3, "without a group, by prompt"
