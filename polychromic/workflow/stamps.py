"""What makes an output stale, decided by us and kept with the results.

Every job has a *stamp*: the part of the config that it uses, a hash of the code that it uses, the locked versions
of the libraries which that code imports, and the keys of the jobs whose outputs it reads. The job's key is the hash of
all that, so a change anywhere upstream changes every key downstream, and nothing else does. When a job has
succeeded its stamp, with the size and SHA-256 of every file that it wrote, becomes a *done* file. Both are small files
under results/<study>/.stamps/, so a copied results folder stays valid without Snakemake's own metadata, and no
modification time matters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError
from polychromic.files import digest, file_digest
from polychromic.workflow.code import ROOT, code_of, libraries_of


def make_stamp(
    rule: str,
    wildcards: dict[str, str],
    params: Any,
    script: Path,
    lock: Path,
    upstream: dict[str, str],
    *,
    aside: Any = None,
    chosen: frozenset[str] = frozenset(),
    texts: Sequence[str] = (),
) -> dict[str, Any]:
    """The stamp of a job.

    Args:
        params: the config subset that the job uses; JSON-able.
        upstream: {name of an upstream job or raw file: its key or content hash}.
        aside: further settings that the job is given and that cannot change its outputs: no part of the key.
        chosen: modules that the job's settings choose by name.
        texts: other files that the code reads, such as templates, by their path in the project.
    """
    stamp = {
        "rule": rule,
        "wildcards": wildcards,
        "params": params,
        "code": code_of(script, chosen)[0] | {name: file_digest(ROOT / name) for name in texts},
        "libraries": libraries_of(script, lock, chosen),
        "upstream": upstream,
    }
    return {**stamp, "key": digest(stamp), "aside": aside or {}}


def read_stamp(path: Path) -> dict[str, Any] | None:
    """A stamp or done file, or None where it is missing or was cut short."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # not JSON, or not UTF-8
        return None


def stamp_text(stamp: dict[str, Any]) -> str:
    return json.dumps(stamp, sort_keys=True, separators=(",\n", ": ")) + "\n"  # ten times as fast as with indent


def outputs_of(paths: Iterable[Path], results: Path) -> dict[str, Any]:
    """What a job wrote: {path under the results folder: [size, SHA-256]}, of a folder {file in it: [size, SHA-256]}."""
    return {
        str(path.relative_to(results)): {
            str(file.relative_to(path)): _described(file) for file in sorted(path.rglob("*")) if file.is_file()
        }
        if path.is_dir()
        else _described(path)
        for path in paths
    }


def _described(file: Path) -> list[Any]:
    return [file.stat().st_size, file_digest(file)]


def damaged(done: dict[str, Any], results: Path) -> list[str]:
    """Outputs of a finished job that are not what it wrote, by size; in a folder, also those that are missing.

    An output that is missing as a whole is not damaged: people delete samples and models to save space.
    """
    found = []
    for name, described in done.get("outputs", {}).items():
        path = results / name
        if not path.exists():
            continue
        if isinstance(described, dict):
            found += [f"{path}/{file}" for file, (size, _) in described.items() if _size(path / file) != size]
        elif _size(path) != described[0]:
            found.append(str(path))
    return found


def _size(file: Path) -> int | None:
    return file.stat().st_size if file.is_file() else None


def verify_inputs(stamp: dict[str, Any], results: Path, inputs: Iterable[str]) -> None:
    """Check that the files which a job is about to read are what the jobs before it wrote.

    Raises:
        StudyError: naming a file that is not. The job that wrote it is then no longer done, and runs again.
    """
    wanted = {str(Path(path)) for path in inputs}
    for job in stamp["upstream"]:
        file = results / ".stamps" / f"{job}.done.json"
        done = read_stamp(file) or {}
        for name, described in done.get("outputs", {}).items():
            path = results / name
            if str(path) not in wanted:
                continue
            files = {path: described} if isinstance(described, list) else {path / n: d for n, d in described.items()}
            for part, (size, sha256) in files.items():
                if _size(part) != size or file_digest(part) != sha256:
                    file.unlink(missing_ok=True)
                    raise StudyError(
                        f"{part} is not what {job} wrote: it was changed or damaged. Give the same command again, and "
                        f"{job} makes it again."
                    )


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
