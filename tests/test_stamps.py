"""Stamps: what counts as a change and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polychromic.errors import StudyError
from polychromic.workflow import code, stamps
from polychromic.workflow.stamps import explain, make_stamp


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project with a script, a library of two modules, and a lock file."""
    for module in (code, stamps):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    package = tmp_path / "polychromic"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "near.py").write_text("from polychromic import far\nimport numpy\n\ndef f():\n    return far.g()\n")
    (package / "far.py").write_text("def g():\n    return 1\n")
    (package / "other.py").write_text("import scipy\n")
    (tmp_path / "script.py").write_text("from polychromic.near import f\n\nf()\n")
    (tmp_path / "lock.txt").write_text("numpy==1.0\nscipy==2.0\n")
    return tmp_path


def stamp(project: Path, **changes):
    for function in (code._imports, code.code_of, code.libraries_of, code.locked_versions):
        function.cache_clear()
    arguments = {"params": {"a": 1, "b": {"c": 2}}, "upstream": {"split": "x"}, **changes}
    return make_stamp("train", {"seed": "1"}, script=project / "script.py", lock=project / "lock.txt", **arguments)


def test_only_the_code_that_is_used_counts(project):
    before = stamp(project)
    assert set(before["code"]) == {
        "script.py",
        "polychromic/__init__.py",
        "polychromic/near.py",
        "polychromic/far.py",
    }
    (project / "polychromic/other.py").write_text("import scipy\nx = 1\n")
    assert stamp(project)["key"] == before["key"]
    (project / "polychromic/far.py").write_text("def g():\n    return 2\n")
    after = stamp(project)
    assert explain(after, before) == ["code.polychromic/far.py: changed"]


def test_comments_docstrings_and_layout_do_not_count(project):
    (project / "polychromic/far.py").write_text(
        '"""About g."""\n\n\ndef g():\n    """One."""\n    # one\n    return (1)\n'
    )
    plain = stamp(project)
    (project / "polychromic/far.py").write_text('"""More."""\n\ndef g():\n    """Two."""\n    return 1  # two\n')
    assert stamp(project)["key"] == plain["key"]


def test_libraries_count_where_they_are_imported(project):
    before = stamp(project)
    assert before["libraries"] == {"numpy": "1.0"}
    (project / "lock.txt").write_text("numpy==1.0\nscipy==2.1\n")
    assert stamp(project)["key"] == before["key"]
    (project / "lock.txt").write_text("numpy==1.1\nscipy==2.1\n")
    assert explain(stamp(project), before) == ['libraries.numpy: "1.0" -> "1.1"']


def test_params_count_but_not_their_order(project):
    before = stamp(project)
    assert stamp(project, params={"b": {"c": 2}, "a": 1})["key"] == before["key"]
    assert explain(stamp(project, params={"a": 1, "b": {"c": 3}}), before) == ["params.b.c: 2 -> 3"]
    assert explain(stamp(project, upstream={"split": "y"}), before) == ["upstream.split: changed"]


def test_names_that_a_package_loads_lazily_bring_all_of_it(project):
    package = project / "polychromic/lazy"
    package.mkdir()
    (package / "__init__.py").write_text("def __getattr__(name):\n    raise AttributeError(name)\n")
    (package / "hidden.py").write_text("value = 1\n")
    (project / "script.py").write_text("from polychromic.lazy import value\n")
    assert "polychromic/lazy/hidden.py" in stamp(project)["code"]


@pytest.fixture
def done(tmp_path):
    """A results folder with a job's file and folder, and its done file's content."""
    results = tmp_path / "results"
    (results / "tables").mkdir(parents=True)
    (results / "main.json").write_text("{}")
    (results / "tables/main.csv").write_text("a,b\n")
    (results / "tables/cost.csv").write_text("c,d\n")
    outputs = stamps.outputs_of([results / "main.json", results / "tables"], results)
    content = {"key": "k", "outputs": outputs}
    (results / ".stamps").mkdir()
    (results / ".stamps/make.done.json").write_text(stamps.stamp_text(content))
    return results, content


def test_what_a_job_wrote_is_known_by_size(done):
    results, content = done
    assert stamps.damaged(content, results) == []
    (results / "tables/cost.csv").unlink()
    (results / "main.json").write_text("{} ")
    assert stamps.damaged(content, results) == [str(results / "main.json"), str(results / "tables/cost.csv")]


def test_outputs_that_are_gone_as_a_whole_are_not_damaged(done):
    """People delete samples and models to save space."""
    results, content = done
    (results / "main.json").unlink()
    shutil.rmtree(results / "tables")
    assert stamps.damaged(content, results) == []


@pytest.mark.parametrize("file", ["main.json", "tables/main.csv"])
def test_an_input_that_was_changed_is_named_and_its_job_no_longer_done(done, file):
    results, _ = done
    inputs = [str(results / "main.json"), str(results / "tables")]
    reader = {"upstream": {"make": "k"}}
    stamps.verify_inputs(reader, results, inputs)
    text = (results / file).read_text()
    (results / file).write_text(text[:-1] + "x")  # of the same size
    with pytest.raises(StudyError, match=f"{file} is not what make wrote"):
        stamps.verify_inputs(reader, results, inputs)
    assert not (results / ".stamps/make.done.json").exists()
