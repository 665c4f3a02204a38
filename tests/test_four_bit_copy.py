"""The 4-bit copy of a base model: the same numbers, made once, shared, never trusted when damaged."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from project import REPOSITORY

from polychromic.config.loading import load_study
from polychromic.method import four_bit_copy, models
from polychromic.method.four_bit_copy import copies, load_four_bit
from polychromic.method.models import load_base
from polychromic.workflow.check import check_model

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def quantised(monkeypatch, tmp_path):
    """Folders that were read as full weights, with the copies in a folder of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    real, read = models.load_base, []

    def counting(name, *, copy=None, **how):
        read.extend([] if copy else [name])
        return real(name, copy=copy, **how)

    monkeypatch.setattr(four_bit_copy, "load_base", counting)
    return read


def load(folder):
    return load_four_bit(folder, folder, attention="eager", device="cpu")[0]


def copy_of_weights():
    (file,) = copies().glob("*/*.safetensors")
    return file


def test_a_copy_gives_the_very_model(wide_model_dir, quantised):
    plain, _ = load_base(wide_model_dir, precision="nf4", attention="eager", device="cpu")
    models_ = [plain, load(wide_model_dir), load(wide_model_dir)]
    assert quantised == [wide_model_dir], "the second job reads the copy"
    states = [model.state_dict() for model in models_]
    assert all(torch.equal(states[0][name], state[name]) for state in states for name in states[0] | state)
    assert torch.equal(models_[0](IDS).logits, models_[2](IDS).logits)
    assert models_[0].generation_config.to_dict() == models_[2].generation_config.to_dict()
    assert models_[2].name_or_path == models_[0].name_or_path == str(wide_model_dir)
    assert {p.dtype for p in models_[0].parameters()} == {p.dtype for p in models_[2].parameters()}


def test_the_check_says_what_the_copies_take(wide_model_dir, quantised):
    load(wide_model_dir)
    study = load_study(REPOSITORY / "config.yaml")
    model = study.model.model_copy(update={"name": str(wide_model_dir)})
    line = check_model(study.model_copy(update={"model": model}))
    assert f"{four_bit_copy.size() / 1e9:.1f} GB of 4-bit copies are in {copies()}" in line


def test_copies_are_counted_while_a_job_renames_one(wide_model_dir, quantised, monkeypatch):
    load(wide_model_dir)
    real, file = Path.stat, copy_of_weights()

    def renamed(path, **how):
        if path == file:
            raise FileNotFoundError(path)
        return real(path, **how)

    whole = four_bit_copy.size()
    monkeypatch.setattr(Path, "stat", renamed)
    assert 0 < four_bit_copy.size() < whole


def test_gradients_through_a_copy_are_the_same(wide_model_dir, quantised):
    def gradients(base):
        torch.manual_seed(1)
        model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
        models.keep_differentiable(model)
        model(IDS, labels=IDS).loss.backward()
        return [parameter.grad for parameter in model.parameters() if parameter.requires_grad]

    first, second = gradients(load(wide_model_dir)), gradients(load(wide_model_dir))
    assert all(map(torch.equal, first, second))


@pytest.mark.parametrize("damage", ["cut", "changed", "no sums"])
def test_a_damaged_copy_is_made_again(wide_model_dir, quantised, damage, caplog):
    load(wide_model_dir)
    file = copy_of_weights()
    whole = file.read_bytes()
    if damage == "no sums":
        (file.parent / four_bit_copy.SUMS).write_text("{")
    else:
        file.write_bytes(whole[:-9] if damage == "cut" else whole[:-1] + bytes([whole[-1] ^ 1]))
    load(wide_model_dir)
    assert len(quantised) == 2
    assert "damaged" in caplog.text
    assert copy_of_weights().read_bytes() == whole


def test_damage_that_keeps_size_and_time_is_seen(wide_model_dir, quantised, caplog):
    load(wide_model_dir)
    load(wide_model_dir)  # the copy's sum is remembered
    file = copy_of_weights()
    before, whole = file.stat(), file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    load(wide_model_dir)
    assert "damaged" in caplog.text
    assert copy_of_weights().read_bytes() == whole


def test_a_broken_list_of_sums_is_begun_anew(wide_model_dir, quantised):
    load(wide_model_dir)
    (memo,) = copies().glob("*.json")
    memo.write_text("")  # as after a power cut
    load(wide_model_dir)
    assert len(quantised) == 1


def test_jobs_of_a_machine_that_start_together_quantise_once(wide_model_dir, quantised):
    with ThreadPoolExecutor(2) as jobs:
        first, second = jobs.map(load, [wide_model_dir] * 2)
    assert len(quantised) == 1
    assert torch.equal(first(IDS).logits, second(IDS).logits)


def test_other_weights_and_other_libraries_have_a_copy_of_their_own(wide_model_dir, quantised, tmp_path, monkeypatch):
    load(wide_model_dir)
    monkeypatch.setattr(four_bit_copy, "version", lambda library: "another")
    load(wide_model_dir)
    assert len(quantised) == 2
    other, _ = load_base(wide_model_dir, device="cpu")
    other.lm_head.weight.data += 1
    other.save_pretrained(tmp_path / "other")
    for file in wide_model_dir.glob("tokenizer*"):
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    load(tmp_path / "other")
    assert len(quantised) == 3


def test_without_room_the_model_is_quantised_as_always(wide_model_dir, quantised, monkeypatch, caplog):
    monkeypatch.setattr(four_bit_copy, "_weights", lambda folder: 10**18)
    load(wide_model_dir)
    assert "no 4-bit copy" in caplog.text
    assert not list(copies().glob("*/*.safetensors"))


def test_a_disk_that_fills_up_stops_no_job(wide_model_dir, quantised, monkeypatch, caplog):
    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(four_bit_copy, "write_json", full)
    load(wide_model_dir)
    assert "No space left" in caplog.text
    assert not list(copies().glob("*/*"))
    assert quantised == [wide_model_dir]


def test_a_cache_that_cannot_be_written_stops_no_job(wide_model_dir, quantised, monkeypatch, caplog):
    def refused(*args):
        raise PermissionError("read-only")

    monkeypatch.setattr(four_bit_copy, "digests_once", refused)
    load(wide_model_dir)
    assert "no 4-bit copy" in caplog.text
