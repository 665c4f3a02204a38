"""Stamps: what counts as a change and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

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
