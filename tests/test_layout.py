"""The layout of the package: imports go one way, modules are short, choices by name are made in registries."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from polychromic.data.filters import FILTERS
from polychromic.data.sources import SOURCES
from polychromic.method.diversity import DIVERSITY
from polychromic.method.quality import QUALITY_TERMS
from polychromic.verifiers import VERIFIERS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "polychromic"
# From the top. A module may import from its own room and from those further down; `demo` and modules of the package
# itself are the bottom. `data` and `method` are on one level.
ORDER = [{"workflow"}, {"config"}, {"paper"}, {"statistics"}, {"data", "method"}, {"verifiers"}, {"metrics"}]
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__main__.py")


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else "base"


def rank(name: str) -> int:
    return next((i for i, rooms in enumerate(ORDER) if name in rooms), len(ORDER))


def names_imported(path: Path, at_any_depth: bool = True) -> list[str]:
    """What a module imports, in its functions too or not; what is for type checkers alone left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names = []
    for node in ast.walk(tree) if at_any_depth else tree.body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def imported(path: Path, at_any_depth: bool = True) -> set[Path]:
    """Modules of ours among them."""
    found = set()
    for name in names_imported(path, at_any_depth):
        if name.split(".")[0] == "polychromic":
            base = ROOT.joinpath(*name.split("."))
            found |= {file for file in (base / "__init__.py", base.with_suffix(".py")) if file.is_file()}
    return found - {PACKAGE / "__init__.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own = room(path)
    up = [
        str(other.relative_to(ROOT))
        for other in imported(path)
        if room(other) != own and (rank(room(other)) < rank(own) or (rank(room(other)) == rank(own) and rank(own) < 7))
    ]
    assert not up, f"{path.relative_to(ROOT)} imports {up}, against the order of tests/test_layout.py"


def test_no_module_imports_itself_over_others():
    edges = {path: imported(path, at_any_depth=False) - {path} for path in MODULES}
    done: set[Path] = set()

    def visit(path: Path, way: tuple[Path, ...]) -> None:
        assert path not in way, " -> ".join(str(p.relative_to(PACKAGE)) for p in (*way[way.index(path) :], path))
        if path not in done:
            for other in edges.get(path, ()):
                visit(other, (*way, path))
            done.add(path)

    for path in MODULES:
        visit(path, ())


def loaded_with(modules: set[Path]) -> tuple[set[Path], set[str]]:
    """(modules of ours, libraries) that are loaded when these modules are."""
    loaded: set[Path] = set()
    waiting = set(modules)
    while waiting:
        path = waiting.pop()
        loaded.add(path)
        packages = {folder / "__init__.py" for folder in path.parents if folder.is_relative_to(PACKAGE)}
        waiting |= (imported(path, at_any_depth=False) | packages) - loaded
    return loaded, {name.split(".")[0] for path in loaded for name in names_imported(path, at_any_depth=False)}


def test_the_method_needs_neither_pydantic_nor_the_study():
    loaded, libraries = loaded_with({path for path in MODULES if room(path) == "method"})
    assert {room(path) for path in loaded} & {"config", "data", "workflow"} == set()
    assert {"torch", "transformers"} <= libraries
    assert {"pydantic", "snakemake"} & libraries == set()


def test_a_start_of_snakemake_loads_no_torch(tmp_path):
    """It would take half of a dry run's time, and of the start of every job on a cluster."""
    lines = (ROOT / "rules/common.smk").read_text().splitlines()
    start = tmp_path / "start.py"
    start.write_text("\n".join(line for line in lines if line.startswith("from polychromic")))
    loaded, libraries = loaded_with(imported(start))
    assert PACKAGE / "workflow/check.py" in loaded
    assert {"torch", "transformers", "peft", "sacrebleu"} & libraries == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_short(path):
    assert len(path.read_text().splitlines()) <= 400


def test_what_is_chosen_by_name_is_chosen_in_a_registry():
    """No `verifier.kind == "code"` and the like: a choice of a plugin would fall through."""
    registered = {name for each in (VERIFIERS, DIVERSITY, QUALITY_TERMS, FILTERS, SOURCES) for name in each}
    places = [*PACKAGE.rglob("*.py"), *(ROOT / "workflow_scripts").glob("*.py"), *(ROOT / "rules").glob("*.smk")]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in places
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for name in re.findall(r"""\b(?:kind|form|diversity|quality|filter|format)\b["\]]*\s*[!=]=\s*"(\w+)\"""", line)
        if name in registered
    ]
    assert not found
