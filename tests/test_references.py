"""docs/references.bib holds what the docs cite, what the library names, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIB = (ROOT / "docs" / "references.bib").read_text(encoding="utf-8")
ENTRIES = {
    key: dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, flags=re.MULTILINE))
    for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", BIB, flags=re.MULTILINE | re.DOTALL)
}


def cited() -> dict[str, str]:
    """{key: file} of every [@key] or [@key; @key] in the docs and the README."""
    pages = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
    found = {}
    for page in (page for page in pages if page.is_file()):
        for group in re.findall(r"\[(@[^\]]+)\]", page.read_text(encoding="utf-8")):
            found |= {key.strip().removeprefix("@"): page.name for key in group.split(";")}
    return {key: page for key, page in found.items() if key != "key"}  # [@key] explains the convention


def test_every_cited_key_is_in_the_bibliography():
    assert {key: page for key, page in cited().items() if key not in ENTRIES} == {}


def test_every_entry_is_cited():
    assert set(ENTRIES) - set(cited()) == set()


def test_entries_are_whole_and_single():
    assert BIB.count("\n@") == len(ENTRIES)
    assert max(Counter(re.findall(r"^@\w+\{([^,]+),", BIB, flags=re.MULTILINE)).values()) == 1
    for key, fields in ENTRIES.items():
        assert {"author", "title", "year"} <= set(fields), key
        assert re.fullmatch(r"\d{4}", fields["year"]), key


def test_every_arxiv_paper_that_the_library_names_has_an_entry():
    known = {fields.get("eprint") for fields in ENTRIES.values()}
    missing = {}
    for module in sorted((ROOT / "polychromic").rglob("*.py")):
        for eprint in re.findall(r"arXiv[:\s]\s*(\d{4}\.\d{5})", module.read_text(encoding="utf-8")):
            if eprint not in known:
                missing[eprint] = module.name
    assert missing == {}, "add these to docs/references.bib and cite them in docs/method.md"


def test_the_paper_cites_every_entry():
    from polychromic.paper.caveats import CITED

    template = (ROOT / "polychromic/paper/templates/paper.tex.j2").read_text(encoding="utf-8")
    groups = re.findall(r"\\cite[tp]?\{([^}]*)\}", template)
    assert {key for group in groups for key in group.split(",")} | {key for _, key in CITED.values()} == set(ENTRIES)
