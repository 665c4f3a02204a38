"""The code that a job runs, hashed: its script, what that imports of ours, and the modules that its settings choose.

The hash is taken from the abstract syntax tree: comments, docstrings and layout do not count. Imports are found at
any depth of nesting. Modules that a registry imports by name are not found: a stage names those that it chooses.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path

from polychromic.registry import PLUGIN

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "polychromic"
# How a job starts, logs, ends and is recorded: none of it can change a result.
PLUMBING = {
    "workflow_scripts/_job.py",
    "workflow_scripts/_processes.py",
    "workflow_scripts/_fork.py",
    "polychromic/method/model_card.py",
    "polychromic/method/run_record.py",
    "polychromic/workflow/__init__.py",
    "polychromic/workflow/code.py",
    "polychromic/workflow/fork_server.py",
    "polychromic/workflow/progress.py",
    "polychromic/workflow/stamps.py",
}


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(encoding="utf-8"))


@cache
def _import_statements(text: str) -> list[ast.Import | ast.ImportFrom]:
    """Those of a file's code, at any depth of nesting."""
    return [node for node in ast.walk(_parsed(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


@cache
def _code_digest(text: str) -> str:
    """SHA-256 of a file's syntax tree without its docstrings."""

    class Strip(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
            is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            return None if is_text else node

    tree = Strip().visit(ast.parse(text))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _module_files(module: str) -> list[Path]:
    """The files that importing a module of ours, or of a plugin, runs: the packages above it too."""
    if module.startswith(PLUGIN):
        return [Path(sys.modules[module].__file__)]
    parts = module.split(".")
    files = []
    for depth in range(1, len(parts) + 1):
        base = ROOT.joinpath(*parts[:depth])
        for file in (base / "__init__.py", base.with_suffix(".py")):
            if file.is_file():
                files.append(file)
                break
    return files


def _behind_lazy_package(name: str) -> list[Path]:
    """All modules of a package, where a name is imported from it that it only loads when asked for.

    Not for the top package, from which our own code imports modules alone.
    """
    package, _, leaf = name.rpartition(".")
    folder = ROOT.joinpath(*package.split("."))
    init = folder / "__init__.py"
    if package in ("", PACKAGE) or not init.is_file() or any((folder / f"{leaf}{end}").exists() for end in ("", ".py")):
        return []
    lazy = any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in _tree(init).body)
    return sorted(folder.glob("*.py")) if lazy else []


@cache
def _imports(path: Path) -> tuple[frozenset[Path], frozenset[str]]:
    """(our files, third-party top-level modules) that a file imports, at any depth of nesting in its code."""
    package = path.parent.relative_to(ROOT).parts if path.is_relative_to(ROOT) else ()
    local: set[Path] = set()
    foreign: set[str] = set()
    for node in _import_statements(path.read_text(encoding="utf-8")):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == PACKAGE:
                local.update(_module_files(name))
                local.update(_behind_lazy_package(name))
            elif (beside := path.with_name(f"{name}.py")).is_file():
                local.add(beside)
            else:
                foreign.add(name.split(".")[0])
    used = {file for file in local if os.path.relpath(file, ROOT) not in PLUMBING}
    return frozenset(used), frozenset(foreign)


@cache
def code_of(script: Path, chosen: frozenset[str] = frozenset()) -> tuple[dict[str, str], frozenset[str]]:
    """The code that a script runs: {file: hash} over its transitive imports of ours, and the libraries used.

    Args:
        chosen: further modules, which the job's settings choose by name.
    """
    seen: set[Path] = set()
    foreign: set[str] = set()
    waiting = [script, *(file for module in sorted(chosen) for file in _module_files(module))]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        ours, others = _imports(path)
        foreign |= others
        waiting.extend(ours - seen)
    return {
        os.path.relpath(path, ROOT): _code_digest(path.read_text(encoding="utf-8")) for path in sorted(seen)
    }, frozenset(foreign)


@cache
def locked_versions(lock: Path) -> dict[str, str]:
    """{normalised package name: version} of a pip lock file."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


# Modules whose package goes by another name.
_PACKAGE_OF = {"yaml": "pyyaml", "sklearn": "scikit-learn", "PIL": "pillow"}


@cache
def libraries_of(script: Path, lock: Path, chosen: frozenset[str] = frozenset()) -> dict[str, str]:
    """Locked versions of the libraries that a script's code imports."""
    pins = locked_versions(lock)
    names = {re.sub(r"[-_.]+", "-", _PACKAGE_OF.get(module, module)).lower() for module in code_of(script, chosen)[1]}
    return {name: pins[name] for name in sorted(names) if name in pins}
