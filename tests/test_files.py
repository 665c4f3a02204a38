"""What is written appears whole or not at all."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

from polychromic.errors import StudyError
from polychromic.files import appearing, file_digest, read_json, write_atomic, write_json
from polychromic.parquet import read_parquet, write_parquet


def test_a_file_appears_at_the_end(tmp_path):
    target = tmp_path / "page.html"
    with appearing(target) as page:
        page.write_text("half")
        assert not target.exists()
        page.write_text("whole")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_the_place_of_an_old_one_and_of_half_a_one(tmp_path):
    for folder in (tmp_path / "figures", tmp_path / "figures.partial"):
        folder.mkdir()
        (folder / "old").touch()
    with appearing(tmp_path / "figures") as figures:
        figures.mkdir()
        (figures / "new").touch()
        assert (tmp_path / "figures/old").exists()
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["new"]
    assert not figures.exists()


def fail(path):
    with appearing(path) as partial:
        partial.write_text("half")
        raise KeyError


def test_nothing_appears_after_a_failure(tmp_path):
    with pytest.raises(KeyError):
        fail(tmp_path / "x")
    assert not list(tmp_path.iterdir()), "nor does half of it stay"


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "x.json", "{}")
    assert not list(tmp_path.iterdir())


def test_what_json_lacks_is_written_as_null(tmp_path):
    nan, inf = float("nan"), float("inf")
    write_json(tmp_path / "x.json", {"rate": nan, "rows": [(1.5, inf), {"low": -inf}], "n": 3, "ok": True})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert read == {"rate": None, "rows": [[1.5, None], {"low": None}], "n": 3, "ok": True}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe"])
def test_an_unreadable_file_is_named_with_the_remedy(tmp_path, content):
    for name, read in (("x.json", read_json), ("x.parquet", read_parquet)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StudyError, match=rf"{name}: .*Delete it"):
            read(tmp_path / name)
        with pytest.raises(StudyError, match=f"no-{name} is missing"):
            read(tmp_path / f"no-{name}")


def test_a_parquet_file_cut_short_or_of_other_columns_is_named(tmp_path):
    file = tmp_path / "passes.parquet"
    write_parquet(file, pd.DataFrame({"passed": [True] * 100}))
    with pytest.raises(StudyError, match=r"passes\.parquet: .*Delete it"):
        read_parquet(file, columns=["status"])
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StudyError, match=r"passes\.parquet: .*Delete it"):
        read_parquet(file)


def test_a_small_file_is_written_in_one_step(tmp_path):
    write_atomic(tmp_path / "deep/x.json", "{}\n")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.json"]
    assert len(file_digest(tmp_path / "deep/x.json")) == 64
    assert file_digest(tmp_path / "none") == "missing"
