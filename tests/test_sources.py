"""Each data set's own shape, in rows written for these tests, becomes a record; what cannot says why."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from polychromic.data.rows import BadRow
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.data.sources.stories import cut
from polychromic.errors import StudyError
from polychromic.records import Record, read_records, write_jsonl, write_records


def read(tmp_path, rows, name="x.jsonl", **settings):
    """What a source gives for rows (dicts as JSON lines; anything else as one JSON file)."""
    if isinstance(rows, list):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        name = "x.json"
        (tmp_path / name).write_text(json.dumps(rows))
    source = make_source({"path": name, "max_bad_share": 1, **settings})
    return list(read_source(source, tmp_path))


HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'def twice(x):\n    """Return x doubled."""\n',
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 605,
    "text": "Write a function to add two numbers.",
    "code": "import math\r\ndef add(a, b):\r\n\treturn a + b",
    "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
    "test_setup_code": "",
}
CONTEST = {
    "name": "77_A. Sum",
    "description": "Print the sum of two numbers.",
    "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
    "private_tests": {"input": ["5 5\n"], "output": ["10\n"]},
    "generated_tests": {"input": [], "output": []},
    "solutions": {
        "language": [2, 3, 3],
        "solution": [
            "int main(){}",
            "a, b = map(int, input().split())\nprint(a + b)",
            "print(sum(map(int, input().split())))",
        ],
    },
}


def test_a_row_of_humaneval_becomes_a_record_with_its_tests(tmp_path):
    [record] = read(tmp_path, [HUMANEVAL], format="humaneval", part="test")
    assert (record.id, record.group, record.part) == ("HumanEval/900", "HumanEval/900", "test")
    assert record.target == 'def twice(x):\n    """Return x doubled."""\n    return 2 * x'
    assert record.tests == {
        "kind": "check",
        "code": HUMANEVAL["test"],
        "entry_point": "twice",
        "setup": "",
        "cases": [],
    }
    assert record.meta["origin"] == "x.jsonl, line 1"


def test_carriage_returns_of_mbpp_are_no_part_of_a_program(tmp_path):
    [record] = read(tmp_path, [MBPP], format="mbpp", part="own")
    assert record.prompt == "Write a function to add two numbers.\nassert add(1, 2) == 3"
    assert record.target == "import math\ndef add(a, b):\n\treturn a + b"
    assert record.tests["code"].splitlines() == MBPP["test_list"]
    assert record.tests["entry_point"] == "add"
    assert (record.id, record.part) == ("mbpp/605", "train")


@pytest.mark.parametrize(
    ("task", "part"),
    [(1, "train"), (11, "test"), (510, "test"), (600, "val"), (601, "train"), (974, "train")],
)
def test_mbpp_has_parts_of_its_own(tmp_path, task, part):
    assert read(tmp_path, [{**MBPP, "task_id": task}], format="mbpp", part="own")[0].part == part


def test_sanitized_mbpp_brings_its_imports_and_probes(tmp_path):
    row = {
        "prompt": "Add.",
        "code": MBPP["code"],
        "test_list": MBPP["test_list"],
        "test_imports": ["import math"],
        "task_id": 975,
    }
    [record] = read(tmp_path, [{**row, "probes": [[1, 2]]}], format="mbpp", show_test=False)
    assert record.prompt == "Add."
    assert record.tests["setup"] == "import math"
    assert record.tests["probes"] == [[1, 2]]
    [bad] = read(tmp_path, [row], format="mbpp", part="own")
    assert "none of the authors' parts" in bad.reason


def test_codecontests_takes_python_3_only(tmp_path):
    no_python = {**CONTEST, "solutions": {"language": [1], "solution": ["print 1"]}}
    record, left_out = read(tmp_path, [CONTEST, no_python], format="codecontests", max_cases=2)
    assert record.target == "print(sum(map(int, input().split())))"
    assert record.tests["kind"] == "stdio"
    assert record.tests["cases"] == [
        {"input": "1 2\n", "output": "3\n"},
        {"input": "5 5\n", "output": "10\n"},
    ]
    assert record.group == "contest/77"
    assert left_out == BadRow("x.jsonl, line 2", "no Python 3 solution", excluded=True)


def test_squad_nested_flat_and_of_the_hub_gives_the_same_records(tmp_path):
    context = "The mill was built in 1905 by Ada Moe."
    answers = [
        {"text": "1905", "answer_start": 22},
        {"text": "1905", "answer_start": 22},
        {"text": "in 1905", "answer_start": 19},
    ]
    question = {"id": "q1", "question": "When was it built?", "answers": answers, "is_impossible": False}
    none = {"id": "q2", "question": "Who burnt it?", "answers": [], "is_impossible": True}
    nested = {
        "version": "v2.0",
        "data": [{"title": "Mill", "paragraphs": [{"context": context, "qas": [question, none]}]}],
    }
    flat = {
        "id": "q1",
        "title": "Mill",
        "context": context,
        "question": "When was it built?",
        "answers": answers,
    }
    hub = {**flat, "answers": {"text": ["1905", "in 1905"], "answer_start": [22, 19]}}
    record, left_out = read(tmp_path, nested, format="squad")
    assert record.prompt == context + "\nWhen was it built?"
    assert record.target == "1905"
    assert record.references == ("1905", "in 1905")
    assert (record.group, record.meta["answerable"]) == ("Mill", True)
    assert left_out.excluded
    assert "question q2" in left_out.where
    for row in (flat, hub):
        [same] = read(tmp_path, [row], format="squad")
        assert (same.prompt, same.references, same.group) == (record.prompt, record.references, record.group)
    kept = read(tmp_path, nested, format="squad", unanswerable=True)[1]
    assert (kept.target, kept.meta["answerable"]) == ("unanswerable", False)
    assert read(tmp_path, [flat], format="squad", group_by="context")[0].group not in ("", "Mill")


def test_every_answer_of_nq_open_is_a_reference(tmp_path):
    row = {"question": "who wrote it", "answer": ["Ada Moe", "A. Moe"]}
    first, again = read(tmp_path, [row, row], format="nq_open")
    assert (first.prompt, first.target, first.references) == (
        "who wrote it",
        "Ada Moe",
        ("Ada Moe", "A. Moe"),
    )
    assert again.id == first.id + "-2"
    assert again.group == first.group


def test_writingprompts_is_freed_of_its_markup(tmp_path):
    row = {"prompt": "[ WP ] A door opens .", "story": "It creaked . <newline> <newline> Nobody came ."}
    [record] = read(tmp_path, [{**row, "references": ["Another."], "mismatched": ["Wrong."]}], format="writingprompts")
    assert (record.prompt, record.meta["tag"]) == ("A door opens .", "WP")
    assert record.target == "It creaked .\n\nNobody came ."
    assert record.references == (record.target, "Another.")
    assert record.meta["mismatched"] == ["Wrong."]


def test_rocstories_are_read_and_their_cloze_test_gives_wrong_endings(tmp_path):
    story = {"storyid": "s1", "storytitle": "Tea", **{f"sentence{n}": f"Sentence {n}." for n in range(1, 6)}}
    cloze = {
        "InputStoryid": "s2",
        **{f"InputSentence{n}": f"Line {n}." for n in range(1, 5)},
        "RandomFifthSentenceQuiz1": "Bad end.",
        "RandomFifthSentenceQuiz2": "Good end.",
        "AnswerRightEnding": "2",
    }
    first, second = read(tmp_path, [story, cloze], format="rocstories")
    assert (first.prompt, first.target) == ("Sentence 1.", "Sentence 2. Sentence 3. Sentence 4. Sentence 5.")
    assert second.target == "Line 2. Line 3. Line 4. Good end."
    assert second.meta["mismatched"] == ["Line 2. Line 3. Line 4. Bad end."]


def test_stories_are_cut_at_sentence_ends(tmp_path):
    tale = (
        "Once there was a very\nold mill. It stood by the river and\nnobody came.\n\n"
        + "The wheel went round and round. " * 10
    )
    [record, short] = read(
        tmp_path,
        [{"id": "t", "title": "The Mill", "text": tale}, {"text": "Too short."}],
        format="stories",
        opening_words=8,
        continuation_words=12,
    )
    assert record.prompt == "Once there was a very old mill. It stood by the river and nobody came."
    assert record.target == "The wheel went round and round. The wheel went round and round."
    assert short.excluded
    assert cut("No end here at all", 2) == "No end here at all"


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    def rows():
        yield {"id": 1}
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_jsonl(tmp_path / "out.jsonl", rows())
    assert list(tmp_path.iterdir()) == []


def test_a_missing_column_lists_what_is_there(tmp_path):
    [bad] = read(tmp_path, [{"Question": "q", "Answer": "a"}], format="nq_open")
    assert bad.reason == "no column 'question'; found 'Answer', 'Question'"


def test_too_many_bad_rows_stop_the_run(tmp_path):
    rows = [{"question": "q", "answer": ["a"]}] * 8 + [{"question": None, "answer": ["a"]}] * 2
    assert sum(isinstance(row, BadRow) for row in read(tmp_path, rows, format="nq_open", max_bad_share=0.2)) == 2
    with pytest.raises(
        StudyError,
        match=r"2 of 10 rows are unusable, more than max_bad_share 0.1(.|\n)*line 9: 'question' is null",
    ):
        read(tmp_path, rows, format="nq_open", max_bad_share=0.1)


def test_rows_left_out_on_purpose_are_no_fault(tmp_path):
    rows = [{"id": "a", "context": "c", "question": "q", "answers": []}] * 9
    assert all(row.excluded for row in read(tmp_path, rows, format="squad", max_bad_share=0))


@pytest.mark.parametrize(
    "settings",
    [
        {"format": "humanevil", "path": "x"},
        {"format": "mbpp"},
        {"format": "mbpp", "path": "x", "hub": "y"},
        {"format": "mbpp", "path": "x", "parts": "own"},
        {"format": "squad", "path": "x", "part": "own"},
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(settings):
    with pytest.raises((ValidationError, StudyError)):
        make_source(settings)


def test_records_of_parquet_values_can_be_written(tmp_path):
    import datetime

    import pyarrow
    import pyarrow.parquet

    rows = [{"p": "a", "t": "b", "day": datetime.date(2024, 1, 2), "score": float("nan")}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    settings = {
        "format": "table",
        "path": "x.parquet",
        "fields": {"prompt": "p", "target": "t", "meta": ["day", "score"]},
    }
    [record] = read_source(make_source(settings), tmp_path)
    assert isinstance(record, Record)
    write_records(tmp_path / "out.jsonl", [record])
    assert read_records(tmp_path / "out.jsonl") == [record]
    assert record.meta["day"] == "2024-01-02"
    assert record.meta["score"] is None


def test_a_hub_data_set_is_read_by_row(tmp_path):
    pytest.importorskip("datasets")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"question": "q", "answer": ["a"]}) + "\n")
    source = make_source({"format": "nq_open", "hub": str(folder)})
    [record] = read_source(source)
    assert (record.prompt, record.target) == ("q", "a")
    assert record.meta["origin"] == f"{folder} [train], row 1"
