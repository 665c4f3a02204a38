"""What the readers say about files that are broken, and that they lose no row in silence."""

from __future__ import annotations

import gzip
import json
import os

import pyarrow.parquet
import pytest
from project import REPOSITORY

from polychromic.config.loading import merge, parse_study, read_yaml
from polychromic.data.readers import files_of, read_rows
from polychromic.data.rows import MAX_ROW_BYTES, BadRow
from polychromic.errors import StudyError
from polychromic.workflow.stages import STAGES
from polychromic.workflow.staleness import Stamps

GOOD = b'{"prompt": "a", "target": "b"}\n'


def rows_of(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return list(read_rows(tmp_path / name, name))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a", \n', "broken JSON at column"),
        (b'"just a text"\n', "a text, not an object"),
        (b"[1, 2]\n", "a list, not an object"),
        (b"null\n", "null, not an object"),
        (b'{"prompt": "caf\xe9"}\n', "not UTF-8 at byte 15"),
        (b'{"prompt": "\\ud83d half an emoji"}\n', "surrogate"),
        (b'{"prompt": "a", "prompt": "b"}\n', "'prompt' is given twice"),
        (b'{"n": ' + b"9" * 5000 + b"}\n", "cannot be used"),
        (b"[" * 100_000 + b"\n", "cannot be used"),
    ],
)
def test_a_broken_line_is_named_and_its_neighbours_are_read(tmp_path, line, reason):
    rows = rows_of(tmp_path, "x.jsonl", GOOD + line + GOOD)
    assert [isinstance(row, BadRow) for row in rows] == [False, True, False]
    assert rows[1].where == "x.jsonl, line 2"
    assert reason in rows[1].reason
    assert rows[2][0] == "x.jsonl, line 3"


def test_a_line_of_ten_megabytes_is_skipped_whole(tmp_path):
    long = b'{"prompt": "' + b"x" * 10 * 2**20 + b'"}\n'
    assert len(long) > MAX_ROW_BYTES
    rows = rows_of(tmp_path, "x.jsonl", GOOD + long + GOOD)
    assert [type(row) for row in rows] == [tuple, BadRow, tuple]
    assert "10 MiB long" in rows[1].reason


def test_texts_in_any_script_come_through(tmp_path):
    text = "مرحبا 👩‍👩‍👧 שלום\u2028line\u0000"
    rows = rows_of(tmp_path, "x.jsonl", json.dumps({"prompt": text}, ensure_ascii=False).encode() + b"\n\n  \n")
    assert rows == [("x.jsonl, line 1", {"prompt": text})]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.jsonl", b"", "holds no rows"),
        ("x.jsonl", b"\n \n", "holds no rows"),
        ("x.json", b"", "holds no rows"),
        ("x.csv", b"", "holds no rows"),
        ("x.csv", b"prompt,target\n", "holds no rows"),
        ("x.json", b'[{"a": 1},\n {"a": }]', "line 2: broken JSON"),
        ("x.json", b"\xff\xfe{\x00", "cannot be read as UTF-8"),
        ("x.jsonl", GOOD.decode().encode("utf-16"), "UTF-16"),
        ("x.jsonl.gz", gzip.compress(GOOD * 500, mtime=0)[:-20], "ends early"),
        ("x.json", b'[{"a": 1}, {"b": "cu', "ends too early: fetch it again"),
        ("x.json", b'[{"a": 1},\n', "ends too early: fetch it again"),
        ("x.json", GOOD * 2, "One object a line is .jsonl"),
        ("x.csv", b"PAR1", "is Parquet: end its name in .parquet"),
        ("x.jsonl", b"PK\x03\x04", "save the sheet as CSV"),
        ("x.csv", b"a,a\n1,2\n", "occur twice"),
        ("x.csv", "a,b\n1,2\n".encode("utf-16-le"), "UTF-16"),
        ("x.csv", b'[{"a":1,"b":"c"}]', "JSON needs a name in .json"),
        ("x.csv", b"<!DOCTYPE html><html>", "a web page: fetch the data again"),
        ("x.jsonl", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("x.json", b'[{"a": 1, "a": 2}]', "'a' is given twice"),
        ("x.csv", b'a,b\n1,"never closed\n2,3\n', "never closed"),
        ("x.csv", b"a,b\r1,2\n3,4\n", "line 1: broken CSV .* End every line the same way"),
        ("x.parquet", b"no parquet", "not a readable Parquet file"),
        ("x.xlsx", b"PK", "unknown file ending '.xlsx'"),
        ("x.wp_source", b"a\n", "put x.wp_target next to it"),
    ],
)
def test_a_file_that_cannot_be_trusted_stops_the_run(tmp_path, name, data, message):
    with pytest.raises(StudyError, match=message) as caught:
        rows_of(tmp_path, name, data)
    assert name in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(StudyError, match=r"data/raw/x.jsonl: no such file. Put the data there"):
        list(read_rows(tmp_path / "x.jsonl", "data/raw/x.jsonl"))


def test_what_is_no_file_is_told_for_what_it_is(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (
        ("folder", "a folder"),
        ("loop", "symbolic link"),
        ("gone", "symbolic link"),
        ("pipe", "a pipe"),
    ):
        with pytest.raises(StudyError, match=said) as caught:
            list(read_rows(tmp_path / f"{name}.csv"))
        assert f"{name}.csv" in str(caught.value)


def test_gzip_is_known_by_its_content_not_by_its_name(tmp_path):
    for name, data in (("x.csv", gzip.compress(b"a,b\n1,2\n")), ("y.csv.gz", b"a,b\n1,2\n")):
        assert [row for _, row in rows_of(tmp_path, name, data)] == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_by_any_delimiter(tmp_path, delimiter):
    text = f'prompt{delimiter}target\n"one{delimiter}\n\nand ""two"""{delimiter}b\n\nc{delimiter}d\n'
    rows = rows_of(tmp_path, "x.csv", b"\xef\xbb\xbf" + text.encode())
    assert [row for _, row in rows] == [
        {"prompt": f'one{delimiter}\n\nand "two"', "target": "b"},
        {"prompt": "c", "target": "d"},
    ]
    assert [where for where, _ in rows] == ["x.csv, lines 2 to 4", "x.csv, line 6"]


def test_csv_rows_with_too_many_or_too_few_cells_are_named(tmp_path):
    rows = rows_of(tmp_path, "x.csv", b"a,b\n1\n2,3\n4,5,6\n7,\xff\n8,9\n")
    assert [row.where for row in rows if isinstance(row, BadRow)] == [f"x.csv, line {n}" for n in (2, 4, 5)]
    assert [row[1]["a"] for row in rows if not isinstance(row, BadRow)] == ["2", "8"]


def test_a_csv_whose_lines_end_with_a_carriage_return(tmp_path):
    data = b'\xef\xbb\xbfprompt;target\r"one\r\rand two";b\r\rc;d'
    expected = [{"prompt": "one\n\nand two", "target": "b"}, {"prompt": "c", "target": "d"}]
    for name, stored in (("x.csv", data), ("y.csv.gz", gzip.compress(data + b"\r"))):
        rows = rows_of(tmp_path, name, stored)
        assert [row for _, row in rows] == expected
        assert [where for where, _ in rows] == [f"{name}, lines 2 to 4", f"{name}, line 6"]


def test_a_parquet_file_with_a_damaged_page(tmp_path):
    path = tmp_path / "x.parquet"
    table = pyarrow.table({"prompt": [f"a prompt, no. {n}" for n in range(5000)]})
    pyarrow.parquet.write_table(table, path, compression="snappy", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[100:200] = b"\xff" * 100  # in the first page; the footer is whole
    for damaged in (bytes(data), path.read_bytes()[:4] + b"\xff" * 40 + path.read_bytes()[44:]):
        with pytest.raises(StudyError, match=r"x.parquet: not a readable Parquet file .* Fetch it again"):
            rows_of(tmp_path, "x.parquet", damaged)


def test_a_parquet_file_that_may_not_be_read_is_no_damaged_one(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(pyarrow.parquet, "ParquetFile", refuse)
    with pytest.raises(StudyError, match=r"x.parquet: the file may not be read. .*chmod"):
        rows_of(tmp_path, "x.parquet", b"PAR1")


def test_a_parquet_file_with_a_column_twice(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([["a"], ["b"]], names=["x", "x"]), tmp_path / "x.parquet")
    with pytest.raises(StudyError, match=r"\['x'\] occur twice"):
        list(read_rows(tmp_path / "x.parquet"))


def test_an_empty_file_is_an_error_unless_it_may_be_empty(tmp_path):
    (tmp_path / "x.csv").write_text("id,decision\n")
    assert list(read_rows(tmp_path / "x.csv", may_be_empty=True)) == []
    with pytest.raises(StudyError, match="holds no rows"):
        list(read_rows(tmp_path / "x.csv"))


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    import pyarrow

    rows = [{"prompt": "p1", "target": "t1"}, {"prompt": "p2", "target": "t2"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    files = {
        "x.jsonl": lines,
        "x.json": json.dumps(rows).encode(),
        "x.csv": b"prompt,target\np1,t1\np2,t2\n",
        "x.tsv": b"prompt\ttarget\r\np1\tt1\r\np2\tt2\r\n",
        "x.jsonl.gz": gzip.compress(lines),
        "x.parquet": (tmp_path / "x.parquet").read_bytes(),
    }
    for name, data in files.items():
        assert [row for _, row in rows_of(tmp_path, name, data)] == rows, name


def test_published_writingprompts_files_are_read_side_by_side(tmp_path):
    (tmp_path / "train.wp_target").write_text("story one\nstory two\n")
    rows = rows_of(tmp_path, "train.wp_source", b"[ WP ] one\n[ WP ] two\n")
    assert [row["story"].strip() for _, row in rows] == ["story one", "story two"]
    with pytest.raises(StudyError, match="differ in their number of lines"):
        rows_of(tmp_path, "train.wp_source", b"only one\n")


@pytest.mark.parametrize("name", ["train.wp_source", "train.wp_source.gz"])
def test_the_stories_of_writingprompts_count_as_raw_rows_too(name, tmp_path, monkeypatch):
    """Else other stories under the same prompts would leave everything as it was."""
    monkeypatch.chdir(tmp_path)
    target = name.replace("source", "target")
    sources = [{"format": "writingprompts", "path": name}, {"format": "nq_open", "path": "x.jsonl"}]
    study = parse_study(merge(read_yaml(REPOSITORY / "config.yaml"), {"domains": {"creative": {"sources": sources}}}))
    job = ("curate", {"domain": "creative"})
    assert [str(file) for file in STAGES["curate"].user_files(study, **job[1])] == [name, target, "x.jsonl"]
    assert files_of(tmp_path / "x.jsonl") == [tmp_path / "x.jsonl"]
    stamps = []
    for stories in ("one\n", "another\n"):
        (tmp_path / target).write_text(stories)
        stamps.append(Stamps(study, REPOSITORY / "workflow_scripts", REPOSITORY / "requirements.lock").of(job))
    assert stamps[0]["key"] != stamps[1]["key"]
