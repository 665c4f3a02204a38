"""Filters and formats of sources: each declared once, loaded when asked for, and known to the documentation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args

import pytest
from test_curation import GOOD, changed

from polychromic.data.curation import curate
from polychromic.data.filters import FILTERS, make_filter
from polychromic.data.filters.base import Rejection, TextFilter
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource


def test_the_documentation_knows_every_format_and_filter():
    text = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    for registry, key in ((FILTERS, "filter"), (SOURCES, "format")):
        table = text.split(f"\n| `{key}` |")[1].split("\n\n")[0].splitlines()[2:]
        rows = {row.split("`")[1]: row for row in table}
        assert list(rows) == list(registry)
        for name, row in rows.items():
            settings = registry[name].model_fields.keys() - BaseSource.model_fields.keys() - {key, "fields"}
            if key == "filter":
                assert {setting for setting in settings if f"`{setting}`" not in row} == set(), name


def test_every_choice_is_declared_under_its_name_in_the_module_of_the_registry():
    for registry, key in ((FILTERS, "filter"), (SOURCES, "format")):
        for name, choice in registry.items():
            assert get_args(choice.model_fields[key].annotation) == (name,)
            assert choice.__module__ == registry.module_of(name)
            assert choice.__doc__


@pytest.mark.parametrize("filters", [["fix_text", "length"], ["exact_duplicates"]])
def test_a_filter_loads_no_other_filters_code(filters):
    """A job's stamp knows the code of the filters that it uses, and no more."""
    program = (
        "import sys; from polychromic.data.filters import make_filter; import polychromic.data.curation;"
        f"[make_filter({{'filter': name}}) for name in {filters}];"
        "print(*(name for name in sys.modules if name.startswith('polychromic')))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    others = {FILTERS.module_of(name) for name in FILTERS} - {FILTERS.module_of(name) for name in filters}
    assert not loaded & {*others, "polychromic.verifiers.code", "polychromic.embedding", "polychromic.config"}


def test_a_filter_from_outside_the_package_may_be_asked_for(monkeypatch):
    monkeypatch.setattr(FILTERS, "_modules", dict(FILTERS._modules))
    monkeypatch.setattr(FILTERS, "_found", dict(FILTERS._found))

    @FILTERS.register("no_vowels")
    class NoVowels(TextFilter):
        """Texts with a vowel."""

        filter: Literal["no_vowels"]

        def problem(self, text):
            return Rejection("a vowel", "none") if set(text.lower()) & set("aeiou") else None

    step = make_filter({"filter": "no_vowels"})
    assert len(curate([GOOD, changed(target="Hmm!")], [step], seed=0).rejected) == 1
