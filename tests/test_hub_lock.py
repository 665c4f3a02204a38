"""What came from the hub is held to its revision and checksums, and neither pickles nor code are ever loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx2
import huggingface_hub
import huggingface_hub.constants as hub
import pytest
import torch
from datasets.exceptions import DatasetGenerationError
from huggingface_hub.utils._http import default_client_factory
from project import REPOSITORY
from test_splitting import run_script

from polychromic import hub_lock
from polychromic.data.filters import FILTERS, make_filter
from polychromic.data.sources import SOURCES
from polychromic.embedding import Encoder
from polychromic.errors import StudyError
from polychromic.hub_lock import hold_to_checksums, hub_rows, locked_model, locked_revision

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path, tiny_model_dir, monkeypatch) -> Path:
    """The hub's cache as `hf download them/tiny` leaves it, on a machine without a network; the snapshot's folder."""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub/models--them--tiny"
    snapshot = shutil.copytree(tiny_model_dir, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    return snapshot


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_model_is_locked_at_first_use(cached, tmp_path):
    lock = tmp_path / "results/lock.json"
    assert locked_model(lock, "them/tiny") == cached
    entry = json.loads(lock.read_text())["model:them/tiny"]
    assert (entry["asked"], entry["revision"]) == (None, COMMIT)
    assert entry["sha256"]["model.safetensors"] == sha256(cached / "model.safetensors")
    assert {"config.json", "tokenizer.json"} <= set(entry["sha256"])
    before = lock.read_bytes()
    assert locked_model(lock, "them/tiny") == cached
    assert lock.read_bytes() == before


def test_weights_are_hashed_once_a_machine(cached, tmp_path, monkeypatch):
    lock, hashed = tmp_path / "lock.json", []
    monkeypatch.setattr(hub_lock, "file_digest", lambda path: hashed.append(path.name) or sha256(path))
    for _ in range(2):
        locked_model(lock, "them/tiny")
    assert hashed.count("model.safetensors") == 1


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_file_that_changed_since_is_refused(cached, tmp_path, file):
    lock = tmp_path / "lock.json"
    locked_model(lock, "them/tiny")
    with (cached / file).open("ab") as changed:
        changed.write(b" ")
    with pytest.raises(StudyError, match=f"{file} of them/tiny is not what it was"):
        locked_model(lock, "them/tiny")


def test_the_branch_may_move_on_but_not_the_study(cached, tmp_path):
    lock = tmp_path / "lock.json"
    locked_model(lock, "them/tiny")
    other = "f" * 40
    shutil.copytree(cached, cached.with_name(other))
    (cached.parent.parent / "refs/main").write_text(other)
    assert locked_model(lock, "them/tiny") == cached
    assert locked_model(tmp_path / "other.json", "them/tiny").name == other
    with pytest.raises(StudyError, match=f"locked at {COMMIT}"):
        locked_revision(lock, "them/tiny", other, kind="model")


def test_a_model_that_is_not_there_is_named(cached, tmp_path):
    with pytest.raises(StudyError, match="run `hf download them/other`"):
        locked_model(tmp_path / "lock.json", "them/other")


def test_the_rows_of_a_data_set_are_held_to_their_checksum(tmp_path):
    lock, data = tmp_path / "lock.json", tmp_path / "data/train.jsonl"
    data.parent.mkdir()
    data.write_text('{"question": "q"}\n')
    name = str(data.parent)
    lock.write_text(json.dumps({f"dataset:{name}": {"asked": None, "revision": None}}))
    for _ in range(2):
        assert [row for _, row in hub_rows(name, None, "train", None, lock)] == [{"question": "q"}]
    assert set(json.loads(lock.read_text())[f"dataset:{name}"]["sha256"]) == {"default/train"}
    data.write_text('{"question": "another"}\n')
    with pytest.raises(StudyError, match="default/train of .* is not what it was"):
        list(hub_rows(name, None, "train", None, lock))


def test_offline_a_data_set_comes_from_the_cache(tmp_path, monkeypatch):
    """As `hf download --repo-type dataset` leaves it on the login node."""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    repository, lock = tmp_path / "hub/datasets--them--data", tmp_path / "lock.json"
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    (repository / "snapshots" / COMMIT / "train.jsonl").write_text('{"question": "q"}\n')
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    assert [row for _, row in hub_rows("them/data", None, "train", None, lock)] == [{"question": "q"}]
    assert json.loads(lock.read_text())["dataset:them/data"]["revision"] == COMMIT
    with pytest.raises(StudyError, match="run `hf download them/other --repo-type dataset`"):
        list(hub_rows("them/other", None, "train", None, lock))


def test_a_lock_that_was_cut_short_is_named(tmp_path):
    lock = tmp_path / "lock.json"
    lock.write_text('{"model:them/tiny": {"asked": nu')
    with pytest.raises(StudyError, match=f"{lock}: not readable as JSON .*Restore it"):
        locked_revision(lock, "them/tiny", resolve=lambda *_: "c0ffee")
    assert lock.read_text().endswith("nu"), "left for the person to look at"


def test_a_hub_revision_is_resolved_once_and_held(tmp_path):
    asked = []

    def resolve(name, revision, kind):
        asked.append((name, revision, kind))
        return "c0ffee"

    lock = tmp_path / "lock.json"
    assert locked_revision(lock, "them/data", resolve=resolve) == "c0ffee"
    assert locked_revision(lock, "them/data", resolve=lambda *_: "moved") == "c0ffee"
    assert locked_revision(lock, "them/data", "c0ffee", resolve=resolve) == "c0ffee"
    assert locked_revision(lock, "them/data", kind="model", resolve=resolve) == "c0ffee"
    assert asked == [("them/data", None, "dataset"), ("them/data", None, "model")]
    with pytest.raises(StudyError, match="locked at c0ffee"):
        locked_revision(lock, "them/data", "v2", resolve=resolve)


def test_parts_are_locked_one_by_one(tmp_path):
    lock = tmp_path / "lock.json"
    locked_revision(lock, "them/data", resolve=lambda *_: "c0ffee")
    hold_to_checksums(lock, "them/data", "dataset", {"default/train": "a"})
    hold_to_checksums(lock, "them/data", "dataset", {"default/test": "b"})
    with pytest.raises(StudyError, match="default/test of them/data"):
        hold_to_checksums(lock, "them/data", "dataset", {"default/train": "a", "default/test": "c"})


@pytest.fixture
def unplugged(tmp_path, monkeypatch):
    """A machine that is asked to use the hub and has no network; its cache is empty."""

    def refuse(request):
        raise httpx2.ConnectError("[Errno -3] Temporary failure in name resolution", request=request)

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(refuse)))
    yield
    huggingface_hub.set_client_factory(default_client_factory)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("model", "run `hf download them/tiny` where there is a network"), ("dataset", "save its rows to a file")],
)
def test_without_a_network_the_message_says_what_to_do(unplugged, tmp_path, kind, remedy):
    message = f"the hub cannot be asked for {kind} 'them/tiny' .*name resolution.* Go online; or {remedy}"
    with pytest.raises(StudyError, match=message):
        locked_revision(tmp_path / "lock.json", "them/tiny", kind=kind)
    assert not (tmp_path / "lock.json").exists()


def test_what_was_locked_but_is_not_in_the_cache_needs_a_network_too(unplugged, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the libraries' own attempts
    lock = tmp_path / "lock.json"
    entry = {"asked": None, "revision": COMMIT}
    lock.write_text(json.dumps({"model:them/tiny": entry, "dataset:them/data": entry}))
    with pytest.raises(StudyError, match=f"Run `hf download them/tiny --revision {COMMIT}` where there is a network"):
        locked_model(lock, "them/tiny")
    with pytest.raises(StudyError, match="hub data set 'them/data' .* cannot be loaded.* go online"):
        list(hub_rows("them/data", None, "train", None, lock))


@pytest.mark.parametrize(
    "error", [httpx2.ReadError("reset"), httpx2.ReadTimeout(""), DatasetGenerationError("cut off")]
)
def test_a_download_that_breaks_off_is_no_traceback(monkeypatch, error):
    def load_dataset(*args, **kwargs):
        raise error

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(StudyError, match=f"cannot be loaded: {str(error) or type(error).__name__}"):
        list(hub_rows("them/data", None, "train", None, None))


@pytest.mark.parametrize("offline", [True, False])
def test_a_folder_that_is_not_there_is_no_name_on_the_hub(unplugged, tmp_path, monkeypatch, offline):
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", offline)
    with pytest.raises(StudyError, match="'./models/none' is neither a folder nor the name of a model on the hub"):
        locked_model(tmp_path / "lock.json", "./models/none")


@pytest.fixture
def load(cached, tmp_path, monkeypatch):
    """Loads the base model as a job does."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "workflow_scripts"))
    from _model import load_base_model

    settings = {"name": "them/tiny", "revision": None, "precision": "fp32", "attention": "eager"}
    job = SimpleNamespace(
        threads=1, input=SimpleNamespace(base=[]), params=SimpleNamespace(results=str(tmp_path / "results"))
    )
    yield lambda: load_base_model(job, settings)
    sys.modules.pop("_model")


def test_a_job_loads_the_locked_model_under_its_name(load, cached, tmp_path):
    model, _ = load()
    assert model.config._name_or_path == "them/tiny", "an adapter's config points to it"
    assert (tmp_path / "results/lock.json").is_file()
    (cached / "config.json").write_text("{}")
    with pytest.raises(StudyError, match="config.json of them/tiny"):
        load()


def test_an_encoder_from_the_hub_is_locked_too(cached, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "workflow_scripts"))
    from _encoder import load_encoder

    job = SimpleNamespace(params=SimpleNamespace(results=str(tmp_path / "results")))
    assert load_encoder(job, "them/tiny").encode(["a cat", "a dog"]).shape == (2, 32)
    assert "model:them/tiny" in json.loads((tmp_path / "results/lock.json").read_text())
    (cached / "model.safetensors").write_bytes(b"")
    with pytest.raises(StudyError, match=r"model.safetensors of them/tiny"):
        load_encoder(job, "them/tiny")


def test_a_filter_without_a_model_of_the_hub_has_nothing_to_lock(tmp_path):
    listed = [
        {"filter": "fix_text"},
        {"filter": "toxicity"},
        {"filter": "semantic_duplicates"},
        {"filter": "toxicity", "model": str(tmp_path)},
        {"filter": "semantic_duplicates", "model": str(tmp_path)},
    ]
    steps = [make_filter(step) for step in listed]
    assert [step.locked(tmp_path / "lock.json") for step in steps] == steps
    assert not (tmp_path / "lock.json").exists()


def test_curation_holds_the_models_of_its_filters_to_the_lock(cached, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": ["a"]}\n{"question": "b", "answer": ["c"]}\n')
    filters = [
        {"filter": "toxicity", "model": "them/tiny", "label": "LABEL_1", "max": 1},
        {"filter": "semantic_duplicates", "model": "them/tiny", "threshold": 1},
    ]
    limits = {"min_rows": 1, "max_rows": 9, "allow_fewer": True}

    sources = [{"format": "nq_open", "path": "rows.jsonl"}]
    done = run_script(
        tmp_path,
        "curate",
        {
            "params": {"seed": 0, "sources": sources, "curation": {"filters": filters, **limits}},
            "upstream": {},
            "chosen": [SOURCES.module_of("nq_open"), *(FILTERS.module_of(step["filter"]) for step in filters)],
        },
        env={"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        output={name: f"{name}.jsonl" for name in ("curated", "rejected", "account")},
        params={"results": "results"},
    )
    assert done.returncode == 0, done.stderr
    lock = tmp_path / "results/lock.json"
    entry = json.loads(lock.read_text())["model:them/tiny"]
    assert (entry["revision"], "model.safetensors" in entry["sha256"]) == (COMMIT, True)
    with (cached / "model.safetensors").open("ab") as changed:
        changed.write(b" ")
    for step in filters:
        with pytest.raises(StudyError, match="model.safetensors of them/tiny is not what it was"):
            make_filter(step).locked(lock)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return os.mknod, (str(self.file),)


def test_pickled_weights_are_not_loaded(load, cached, tmp_path):
    (cached / "model.safetensors").unlink()
    torch.save({"weights": Evil(tmp_path / "ran")}, cached / "pytorch_model.bin")
    with pytest.raises(StudyError, match="cannot load the base model"):
        load()
    with pytest.raises(StudyError, match="neither 'minilm', a folder nor a model"):
        Encoder(cached).encode(["a cat"])
    assert not (tmp_path / "ran").exists()


def test_code_of_a_model_is_not_run(load, cached, tmp_path):
    config = json.loads((cached / "config.json").read_text())
    config |= {
        "model_type": "theirs",
        "auto_map": {"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"},
    }
    (cached / "config.json").write_text(json.dumps(config))
    (cached / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(StudyError, match="cannot load the base model"):
        load()
    assert not (tmp_path / "ran").exists()
