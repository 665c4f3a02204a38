"""What is written appears whole or not at all."""

from __future__ import annotations

import pytest

from polychromic.files import appearing, file_digest, write_atomic


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
    assert not (tmp_path / "x").exists()


def test_a_small_file_is_written_in_one_step(tmp_path):
    write_atomic(tmp_path / "deep/x.json", "{}\n")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.json"]
    assert len(file_digest(tmp_path / "deep/x.json")) == 64
    assert file_digest(tmp_path / "none") == "missing"
