"""Hub revisions, resolved at first use and kept, so that a study reads the same data ever after."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError


def resolve_on_hub(name: str, revision: str | None, kind: str) -> str:
    """The commit hash that a hub repository's branch, tag or default branch stands at now."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        return HfApi().repo_info(name, revision=revision, repo_type=kind).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise StudyError(
            f"the hub has no {kind} {name!r} at revision {revision or 'main'!r}. Correct its name."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise StudyError(
            f"the hub cannot be asked for {kind} {name!r} ({error}). Go online, or use a local path."
        ) from error


def locked_revision(
    lock: str | Path,
    name: str,
    asked: str | None = None,
    kind: str = "dataset",
    resolve: Callable[[str, str | None, str], str] = resolve_on_hub,
) -> str:
    """The commit of hub repository `name` that this study uses: from `lock`, or resolved now and written
    there.

    Jobs that run at the same time may share the file.

    Raises:
        StudyError: config asks for another revision than the one that was locked, or the hub cannot be asked.
    """
    from filelock import FileLock

    lock = Path(lock)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{lock}.held"):
        entries: dict[str, Any] = json.loads(lock.read_text()) if lock.is_file() else {}
        key = f"{kind}:{name}"
        if key in entries and entries[key]["asked"] == asked:
            return entries[key]["revision"]
        if key in entries and asked != entries[key]["revision"]:
            raise StudyError(
                f"{lock}: {name} was locked at {entries[key]['revision']} "
                f"(asked for {entries[key]['asked']!r}), config now asks for {asked!r}. "
                "Set that back, or delete the entry to take the new one."
            )
        if key not in entries:
            entries[key] = {"asked": asked, "revision": resolve(name, asked, kind)}
            partial = lock.with_name(lock.name + ".partial")
            partial.write_text(json.dumps(entries, indent=2, sort_keys=True) + "\n")
            os.replace(partial, lock)
        return entries[key]["revision"]


def hub_rows(
    name: str, config: str | None, split: str, revision: str | None, lock: str | Path | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, columns) of every row of a hub data set at its locked revision. Needs the `datasets`
    package."""
    from datasets import load_dataset

    commit = locked_revision(lock, name, revision) if lock else revision
    try:
        rows = load_dataset(name, config, split=split, revision=commit)
    except (ValueError, OSError) as error:  # unknown configuration or split; no network
        raise StudyError(f"hub data set {name!r} ({config=}, {split=}) cannot be loaded: {error}") from error
    for number, row in enumerate(rows, start=1):
        yield f"{name} [{split}], row {number}", row
