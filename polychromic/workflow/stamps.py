"""What makes an output stale, decided by us and kept beside the results.

Every job has a *stamp*: the part of the config that it uses, a hash of the code that it uses, the locked versions
of the libraries which that code imports, and the keys of the jobs whose outputs it reads. The job's key is the hash of
all that, so a change anywhere upstream changes every key downstream, and nothing else does. When a job has
succeeded its stamp is copied to a *done* file. A job is stale when the two differ. Both are small files under
results/<study>/.stamps/, so a copied results folder stays valid without Snakemake's own metadata, and no
modification time matters.

The code hash is taken from the abstract syntax tree: comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from polychromic.files import file_digest, write_atomic

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "polychromic"
# How a job starts, logs, done files, cards, processes, and what is written down about a run: none of it can change
# a result.
PLUMBING = {
    "workflow_scripts/_job.py",
    "workflow_scripts/_processes.py",
    "workflow_scripts/_fork.py",
    "polychromic/method/model_card.py",
    "polychromic/method/run_record.py",
    "polychromic/workflow/fork_server.py",
}
LONG_AGO = 1


def digest(value: Any) -> str:
    """SHA-256 of a JSON-able value; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _tree(path: Path) -> ast.Module:
    return _parsed(path.read_text(encoding="utf-8"))


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
    """The files that importing a module of ours runs: the packages above it too."""
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
    package = path.parent.relative_to(ROOT).parts
    local: set[Path] = set()
    foreign: set[str] = set()
    for node in ast.walk(_tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
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
    used = {file for file in local if str(file.relative_to(ROOT)) not in PLUMBING}
    return frozenset(used), frozenset(foreign)


@cache
def code_of(
    script: Path, unused: frozenset[str] = frozenset(), chosen: tuple[str, ...] = ()
) -> tuple[dict[str, str], frozenset[str]]:
    """The code that a script runs: {file: hash} over its transitive imports of ours, and the libraries used.

    Args:
        unused: modules that it imports only for settings other than the job's.
        chosen: modules that it loads by name.
    """
    left_out = {_module_files(module)[-1] for module in unused}
    seen: set[Path] = set()
    foreign: set[str] = set()
    waiting = [script, *(file for module in chosen for file in _module_files(module))]
    while waiting:
        path = waiting.pop()
        if path in seen or path in left_out:
            continue
        seen.add(path)
        ours, others = _imports(path)
        foreign |= others
        waiting.extend(ours - seen)
    return {
        str(path.relative_to(ROOT)): _code_digest(path.read_text(encoding="utf-8")) for path in sorted(seen)
    }, frozenset(foreign)


@cache
def locked_versions(lock: Path) -> dict[str, str]:
    """{normalised package name: version} of a pip lock file."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


# Modules whose package goes by another name.
_PACKAGE_OF = {"yaml": "pyyaml", "sklearn": "scikit-learn", "PIL": "pillow"}


@cache
def libraries_of(
    script: Path, lock: Path, unused: frozenset[str] = frozenset(), chosen: tuple[str, ...] = ()
) -> dict[str, str]:
    """Locked versions of the libraries that a script's code imports."""
    pins = locked_versions(lock)
    names = {
        re.sub(r"[-_.]+", "-", _PACKAGE_OF.get(module, module)).lower() for module in code_of(script, unused, chosen)[1]
    }
    return {name: pins[name] for name in sorted(names) if name in pins}


def make_stamp(
    rule: str,
    wildcards: dict[str, str],
    params: Any,
    script: Path,
    lock: Path,
    upstream: dict[str, str],
    *,
    aside: Any = None,
    unused: frozenset[str] = frozenset(),
    chosen: Sequence[str] = (),
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """The stamp of a job.

    Args:
        params: the config subset that the job uses; JSON-able.
        upstream: {name of an upstream job or raw file: its key or content hash}.
        aside: further settings that the job is given and that cannot change its outputs: no part of the key.
        unused: modules that the job's settings keep it from using.
        chosen: modules that its script loads by name, through a registry.
        texts: templates and the like that the code reads, by their path in the project.
    """
    stamp = {
        "rule": rule,
        "wildcards": wildcards,
        "params": params,
        "code": code_of(script, unused, tuple(chosen))[0] | {name: file_digest(ROOT / name) for name in texts},
        "libraries": libraries_of(script, lock, unused, tuple(chosen)),
        "upstream": upstream,
    }
    return {**stamp, "key": digest(stamp), "aside": aside or {}}


def read_stamp(path: Path) -> dict[str, Any] | None:
    """A stamp or done file, or None where it is missing or was cut short."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # not JSON, or not UTF-8
        return None


def refresh(stamp: dict[str, Any], stamp_file: Path, done_file: Path) -> bool:
    """Bring the stamp file up to date and set times so that Snakemake sees what we see. Returns staleness.

    Stamp and done files are the only inputs whose time counts (the others are `ancient`): both from 1970 when they
    have the same key; the stamp from now when the job must run.
    """
    done = read_stamp(done_file)
    stale = done is None or done.get("key") != stamp["key"]
    text = json.dumps(stamp, sort_keys=True, separators=(",\n", ": ")) + "\n"  # ten times as fast as with indent
    if not stamp_file.is_file() or stamp_file.read_text(encoding="utf-8") != text:
        write_atomic(stamp_file, text)
    if stale:
        os.utime(stamp_file)
    else:
        for file in (stamp_file, done_file):
            if file.stat().st_mtime != LONG_AGO:
                os.utime(file, (LONG_AGO, LONG_AGO))
    return stale


def explain(stamp: dict[str, Any], done: dict[str, Any] | None) -> list[str]:
    """What changed between a job's done file and its stamp, one line a change; empty when nothing did."""
    if done is None:
        return ["never finished here"]
    if done.get("key") == stamp["key"]:
        return []
    lines = []
    for part in ("params", "code", "libraries", "upstream"):
        lines += _differences(part, done.get(part, {}), stamp[part])
    return lines or ["the stamp's format changed"]


def _differences(where: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted(set(old) | set(new)):
            if key not in new:
                lines.append(f"{where}.{key}: no longer used")
            elif key not in old:
                lines.append(f"{where}.{key}: new")
            else:
                lines += _differences(f"{where}.{key}", old[key], new[key])
        return lines
    if old == new:
        return []
    if where.startswith(("code", "upstream")):
        return [f"{where}: changed"]
    return [f"{where}: {json.dumps(old)} -> {json.dumps(new)}"]
