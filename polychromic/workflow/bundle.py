"""A study in one file, to publish or to keep: packed with checksums, and verified anywhere.

    python -m polychromic bundle pack study.tar.gz [overlay.yaml ...] [--samples] [--adapters]
    python -m polychromic bundle verify study.tar.gz

A bundle holds the settings, the plan's hash, metrics, statistics, tables, figures, report, paper, run records
and the done files that say what each was made from. The same results give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

import yaml

from polychromic.config.loading import load_study, parse_study
from polychromic.config.study import Study
from polychromic.errors import StudyError
from polychromic.files import appearing
from polychromic.workflow.code import ROOT
from polychromic.workflow.graph import packed_patterns, pattern_of
from polychromic.workflow.plan import plan_hash
from polychromic.workflow.stage import results_folder
from polychromic.workflow.staleness import Stamps, reasons

MANIFEST = "manifest.json"
SETTINGS = "study.yaml"

# Besides what the stages pack, under results/<study>/. Rows stay behind: they may be other people's words.
ALWAYS = (".stamps/*.done.json", ".stamps/plan.json", "lock.json")


def pack(study: Study, results: Path, bundle: Path, *, samples: bool = False, adapters: bool = False) -> int:
    """Write a bundle of a finished study; returns the number of files in it.

    Raises:
        StudyError: jobs of the study have not run, or not with these settings and this code.
    """
    stale = reasons(study, Stamps(study, ROOT / "workflow_scripts", ROOT / "requirements.lock"))
    if stale:
        first = next(iter(stale))
        raise StudyError(
            f"{len(stale)} jobs of {results} are still to run, {first} the first ({stale[first][0]}): "
            "finish the study, then pack it."
        )
    patterns = [*ALWAYS, *packed_patterns()]
    if samples:
        patterns += [pattern_of("generate", "samples"), pattern_of("generate", "samples_val")]
    if adapters:
        patterns += [pattern_of("train", "adapter")]
    found = {path for pattern in patterns for path in results.glob(pattern) if path.is_file()}
    contents = {str(path.relative_to(results)): path.read_bytes() for path in found}
    settings = study.model_dump(mode="json", exclude_none=True)
    contents[SETTINGS] = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode()
    manifest = {
        "study": study.study,
        "plan_sha256": plan_hash(study),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())},
    }
    contents[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
    # Names in order and times of zero, in the archive and in gzip's own header: the same bytes every time.
    with (
        appearing(bundle) as partial,
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, data in sorted(contents.items()):
            entry = tarfile.TarInfo(f"{study.study}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return len(contents)


def verify(bundle: Path) -> dict:
    """Check a bundle's every file; returns its manifest.

    Raises:
        StudyError: not a bundle; a file is missing, added or changed; or the plan is not the one hashed.
    """
    try:
        with tarfile.open(bundle) as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            contents = {member.name.partition("/")[2]: archive.extractfile(member).read() for member in members}
        manifest = json.loads(contents.pop(MANIFEST))
    except (OSError, EOFError, tarfile.TarError, KeyError, json.JSONDecodeError) as error:
        raise StudyError(f"{bundle}: no whole bundle of a study ({error}). Get it again.") from None
    wrong = sorted(
        name
        for name in contents.keys() | manifest["files"].keys()
        if name not in contents or hashlib.sha256(contents[name]).hexdigest() != manifest["files"].get(name)
    )
    if wrong:
        raise StudyError(f"{bundle}: {len(wrong)} files are not what the manifest says: {', '.join(wrong[:5])}.")
    study = parse_study(yaml.safe_load(contents[SETTINGS]), origin=f"{bundle}: {SETTINGS}")
    planned = plan_hash(study)
    decided = json.loads(contents["statistics/verdict.json"])["plan_sha256"]
    if not planned == manifest["plan_sha256"] == decided:
        raise StudyError(f"{bundle}: the verdict was reached under plan {decided}, its settings say {planned}.")
    return manifest


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m polychromic bundle", description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("bundle", type=Path)
    packing.add_argument("overlays", nargs="*", help="laid over config.yaml")
    packing.add_argument("--samples", action="store_true", help="with every generated text")
    packing.add_argument("--adapters", action="store_true", help="with the adapters")
    commands.add_parser("verify").add_argument("bundle", type=Path)
    given = parser.parse_args(arguments)
    try:
        if given.command == "pack":
            study = load_study("config.yaml", *given.overlays)
            count = pack(study, results_folder(study), given.bundle, samples=given.samples, adapters=given.adapters)
            print(f"{given.bundle}: {count} files, {given.bundle.stat().st_size / 1e6:.1f} MB")
        else:
            manifest = verify(given.bundle)
            count = len(manifest["files"])
            print(f"{given.bundle}: study {manifest['study']}, {count} files as they were packed")
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
