"""A bundle holds what it says, or says what it does not."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.workflow import bundle
from polychromic.workflow.plan import plan_hash


@pytest.fixture
def study():
    return load_study("config.yaml", "profiles/demo/study.yaml")


@pytest.fixture
def results(tmp_path, study):
    """A finished study's folder, in little."""
    folder = tmp_path / "demo"
    texts = {
        "statistics/verdict.json": json.dumps({"plan_sha256": plan_hash(study)}),
        "tables/main.csv": "domain,metric\n",
        "qa/lora/seed-42/run.json": "{}",
        "qa/lora/seed-42/samples.parquet": "a person's words",
        "qa/lora/seed-42/adapter/adapter_model.safetensors": "weights",
        "qa/data/train.jsonl": "a person's words",
        "logs/raw.log": "",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def finished(monkeypatch):
    monkeypatch.setattr(bundle, "reasons", lambda study, stamps: {})


def test_what_is_packed_is_verified(study, results, tmp_path, finished):
    file = tmp_path / "demo.tar.gz"
    bundle.pack(study, results, file)
    names = set(bundle.verify(file)["files"])
    assert names == {"study.yaml", "statistics/verdict.json", "tables/main.csv", "qa/lora/seed-42/run.json"}
    bundle.pack(study, results, file, samples=True, adapters=True)
    more = set(bundle.verify(file)["files"]) - names
    assert more == {"qa/lora/seed-42/samples.parquet", "qa/lora/seed-42/adapter/adapter_model.safetensors"}


def test_the_same_results_give_the_same_bytes(study, results, tmp_path, finished):
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    bundle.pack(study, results, first)
    (results / "tables/main.csv").touch()
    bundle.pack(study, results, second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("change", ["changed", "added", "missing"])
def test_a_bundle_that_was_tampered_with_is_refused(study, results, tmp_path, finished, change):
    file = tmp_path / "demo.tar.gz"
    bundle.pack(study, results, file)
    with tarfile.open(file) as archive:
        contents = {member.name: archive.extractfile(member).read() for member in archive.getmembers()}
    name = "demo/tables/main.csv"
    if change == "missing":
        del contents[name]
    else:
        contents[name if change == "changed" else "demo/extra.txt"] = b"other"
    with tarfile.open(file, "w:gz") as archive:
        for member, data in contents.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with pytest.raises(StudyError, match="manifest says: (tables/main.csv|extra.txt)"):
        bundle.verify(file)


def test_a_bundle_that_was_cut_short_is_refused(study, results, tmp_path, finished):
    file = tmp_path / "demo.tar.gz"
    bundle.pack(study, results, file)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(StudyError, match="no whole bundle"):
        bundle.verify(file)


def test_an_unfinished_study_is_not_packed(study, results, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match="jobs of .* are still to run, raw the first \\(never finished here\\)"):
        bundle.pack(study, results, tmp_path / "demo.tar.gz")
    assert not (tmp_path / "demo.tar.gz").exists()
