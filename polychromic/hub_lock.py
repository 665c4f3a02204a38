"""What a study has from the hub: revision and checksums, taken at first use and held to ever after."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError
from polychromic.files import file_digest, write_atomic

# Weights as safetensors, settings, tokenizers: no pickles, and no code.
MODEL_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


def hub_errors() -> tuple[type[Exception], ...]:
    """What asking the hub may raise: its own errors and those of the system, and those of the HTTP client, of which a
    failed connection is one and no OSError.
    """
    from huggingface_hub.errors import HTTPError  # of the client that the hub uses: httpx2, once httpx

    return (HTTPError, OSError)


def _said(error: Exception) -> str:
    """An error's message; some of the client's errors have none."""
    return str(error) or type(error).__name__


def resolve_on_hub(name: str, revision: str | None, kind: str) -> str:
    """The commit hash that a hub repository's branch, tag or default branch is at now; offline, that of the copy
    in the local cache.

    Raises:
        StudyError: there is no such repository or revision, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        if constants.is_offline_mode():
            return _snapshot(name, revision, kind).name
        return HfApi().repo_info(name, revision=revision, repo_type=kind).sha
    except HFValidationError as error:
        raise StudyError(f"{name!r} is neither a folder nor the name of a {kind} on the hub. Correct it.") from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise StudyError(
            f"the hub has no {kind} {name!r} at revision {revision or 'main'!r}. Correct its name."
        ) from error
    except hub_errors() as error:
        remedy = {
            "model": f"run `hf download {name}` where there is a network, copy its cache here and set "
            "HF_HUB_OFFLINE=1; or use a local path",
            "dataset": "save its rows to a file where there is a network, and read that by `path` in place of `hub`",
        }
        raise StudyError(
            f"the hub cannot be asked for {kind} {name!r} ({_said(error)}). Go online; or {remedy[kind]}."
        ) from error


def _snapshot(name: str, revision: str | None, kind: str) -> Path:
    """The folder of a repository's copy in the local hub cache, .../snapshots/<commit>, without asking the hub.

    Raises:
        StudyError: there is none.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, repo_type=kind, local_files_only=True))
    except LocalEntryNotFoundError as error:
        options = f"{name}{' --repo-type dataset' if kind == 'dataset' else ''}"
        at = f" --revision {revision}" if revision else ""
        raise StudyError(
            f"{name!r} is not in the local hub cache: run `hf download {options}{at}` where there is a network."
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
    with _held(Path(lock)) as entries:
        key = f"{kind}:{name}"
        entry = entries.get(key)
        if entry is None:
            entry = entries[key] = {"asked": asked, "revision": resolve(name, asked, kind)}
        elif asked not in (entry["asked"], entry["revision"]):
            raise StudyError(
                f"{lock}: {name} was locked at {entry['revision']} (asked for {entry['asked']!r}), config now asks "
                f"for {asked!r}. Set that back, or delete the entry to take the new one."
            )
        return entry["revision"]


def hold_to_checksums(lock: str | Path, name: str, kind: str, sha256: dict[str, str]) -> None:
    """Remember the checksums of what was read from a locked hub repository; from then on, compare.

    Raises:
        StudyError: something is no longer what it was at first use.
    """
    with _held(Path(lock)) as entries:
        known = entries[f"{kind}:{name}"].setdefault("sha256", {})
        changed = sorted(part for part in sha256 if known.get(part, sha256[part]) != sha256[part])
        if changed:
            raise StudyError(
                f"{', '.join(changed)} of {name} is not what it was when the study first used it, by the checksums in "
                f"{lock}. Delete it from the hub cache (`hf cache rm`), so that it is downloaded again."
            )
        known.update(sha256)


def locked_model(lock: str | Path, name: str, asked: str | None = None) -> Path:
    """The folder with the files of hub model `name` at its locked revision, with the checksums of first use.

    Raises:
        StudyError: as `locked_revision` and `hold_to_checksums`; or it can neither be found nor downloaded.
    """
    from huggingface_hub import snapshot_download

    revision = locked_revision(lock, name, asked, kind="model")
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(MODEL_FILES)))
    except (*hub_errors(), ValueError) as error:
        raise StudyError(
            f"{name!r} at {revision} can neither be found in the local hub cache nor downloaded ({_said(error)}). Run "
            f"`hf download {name} --revision {revision}` where there is a network."
        ) from error
    files = sorted(path for pattern in MODEL_FILES for path in folder.rglob(pattern))
    sums = digests_once(files, Path(lock).parent / ".hashed" / f"{platform.node()}.json")
    hold_to_checksums(lock, name, "model", {str(path.relative_to(folder)): sum_ for path, sum_ in sums.items()})
    return folder


def digests_once(files: Sequence[Path], memo: Path) -> dict[Path, str]:
    """SHA-256 of each file, read once a machine: `memo` keeps it with the file's size and its times of change, of which
    programs can set one (mtime) but not the other (ctime). An unreadable memo is started again.

    Without it every job of a study would read the weights of an 8B model, 16 GB, to hash them.
    """
    with _held(memo, fresh=True) as known:
        found = {path: path.stat() for path in files}
        stats = {path: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for path, stat in found.items()}
        unknown = [path for path in files if known.get(str(path), [])[:-1] != stats[path]]
        with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter free: shards are read side by side
            for path, sum_ in zip(unknown, pool.map(file_digest, unknown), strict=True):
                known[str(path)] = [*stats[path], sum_]
        return {path: known[str(path)][-1] for path in files}


@contextmanager
def _held(lock: Path, fresh: bool = False) -> Iterator[dict[str, Any]]:
    """The lock file's entries, kept from other jobs for the time of the block; written back if changed.

    fresh: whether a file that is not readable counts as an empty one.
    """
    from filelock import FileLock

    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{lock}.held"):
        before = lock.read_text() if lock.is_file() else "{}"
        try:
            entries = json.loads(before)
        except ValueError as error:
            if not fresh:
                raise StudyError(
                    f"{lock}: not readable as JSON ({error}). Restore it from a copy of the results. Without one, "
                    "delete it: what the study has from the hub is then resolved again, maybe to other revisions."
                ) from error
            entries = {}
        yield entries
        after = json.dumps(entries, indent=2, sort_keys=True) + "\n"
        if after != before:
            write_atomic(lock, after)


def hub_rows(
    name: str, config: str | None, split: str, revision: str | None, lock: str | Path | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, columns) of every row of a hub data set at its locked revision. Needs the `datasets` package.

    Raises:
        StudyError: as `locked_revision` and `hold_to_checksums`; or the set cannot be loaded.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError
    from huggingface_hub import constants

    commit = locked_revision(lock, name, revision) if lock else revision
    try:
        if constants.is_offline_mode() and not Path(name).is_dir():
            rows = load_dataset(str(_snapshot(name, commit, "dataset")), config, split=split)
        else:
            rows = load_dataset(name, config, split=split, revision=commit)
    except (ValueError, DatasetsError, *hub_errors()) as error:  # unknown configuration or split; no network
        raise StudyError(
            f"hub data set {name!r} ({config=}, {split=}) cannot be loaded: {_said(error)}. Correct the source; where "
            "the network fails, go online or read a local file by `path`."
        ) from error
    content = hashlib.sha256()
    for number, row in enumerate(rows, start=1):
        content.update(json.dumps(row, sort_keys=True, default=repr).encode())
        yield f"{name} [{split}], row {number}", row
    if lock:
        hold_to_checksums(lock, name, "dataset", {f"{config or 'default'}/{split}": content.hexdigest()})
