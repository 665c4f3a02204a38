"""What a job does about graphics cards, with fakes of nvidia-smi, of the environment and of PyTorch's CUDA."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml
from peft import LoraConfig
from project import REPOSITORY

from polychromic import cards
from polychromic.cards import check_capability, check_cuda, machine_cards, visible_cards
from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.method.clock import now
from polychromic.method.gradients import SeparateGradients
from polychromic.method.models import load_base, put_adapter
from polychromic.method.sampling import sample_groups
from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer
from polychromic.workflow.check import refuse_what_must_fail

TWO = "GPU-aa, NVIDIA A100, 570.1, 8.0, Disabled\nGPU-bb, Tesla T4, 570.1, 7.5, [N/A]\n"


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts an `nvidia-smi` that prints this on the path."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(query: str, listing: str = "") -> None:
        program = tmp_path / "nvidia-smi"
        (tmp_path / "query").write_text(query)
        (tmp_path / "listing").write_text(listing)
        program.write_text(f'#!/bin/sh\ncase "$1" in -L) cat {tmp_path}/listing;; *) cat {tmp_path}/query;; esac\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return put


@pytest.fixture
def cuda(monkeypatch):
    """Makes PyTorch say that it was built with this CUDA and sees this many cards."""
    monkeypatch.delenv(cards.PRETEND, raising=False)

    def make(version: str | None, count: int, capability: tuple[int, int] = (8, 0)) -> None:
        monkeypatch.setattr(torch.version, "cuda", version)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")

    return make


def test_cards_go_by_their_uuid(smi):
    smi(TWO)
    assert [card.uuid for card in machine_cards()] == visible_cards() == ["GPU-aa", "GPU-bb"]
    assert machine_cards()[1].capability == (7, 5)


def test_a_divided_card_is_its_parts(smi):
    parts = "  MIG 3g.20gb Device 0: (UUID: MIG-1)\n  MIG 3g.20gb Device 1: (UUID: MIG-2)\n"
    smi(TWO.replace("Disabled", "Enabled"), f"GPU 0: NVIDIA A100 (UUID: GPU-aa)\n{parts}GPU 1: T4 (UUID: GPU-bb)\n")
    assert visible_cards() == ["MIG-1", "MIG-2", "GPU-bb"]


def test_without_nvidia_smi_cuda_counts_from_zero(monkeypatch, tmp_path):
    """A container with /dev/nvidia3 alone: for CUDA its card is number 0."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", "")
    for name in ("nvidia3", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(cards, "Path", lambda folder: tmp_path)
    assert visible_cards() == ["0"]


def test_a_driver_too_old_is_named(smi, cuda):
    smi(TWO)
    cuda("13.0", 0)
    with pytest.raises(StudyError, match=r"CUDA 13.0 needs driver 580 or newer, this machine has 570.1"):
        check_cuda(1)


def test_cards_that_are_not_there_are_named(smi, cuda, monkeypatch):
    smi(TWO)
    cuda("12.8", 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(StudyError, match="CUDA_VISIBLE_DEVICES is '7'. Set it to one of these cards"):
        check_cuda(1)
    cuda(None, 0)
    with pytest.raises(StudyError, match="built for the CPU alone"):
        check_cuda(1)


def test_a_job_sees_as_many_cards_as_it_holds(cuda):
    cuda("12.8", 2)
    check_cuda(2)
    check_cuda(1, at_least=True)
    with pytest.raises(StudyError, match="holds 1 graphics card, but PyTorch sees 2"):
        check_cuda(1)
    with pytest.raises(StudyError, match="3 graphics cards asked for, but PyTorch sees 2"):
        check_cuda(3)


def test_a_card_too_old_for_bf16_is_refused(cuda):
    cuda("12.8", 1, (7, 5))
    check_capability(0, "fp32")
    for precision in ("bf16", "nf4"):
        with pytest.raises(StudyError, match="capability 7.5; precision .* needs 8.0"):
            check_capability(0, precision)


JOB = """
import os, sys
sys.path.insert(0, "workflow_scripts")
from _processes import IS_WORKER, RANK, WORLD, take_cards
from polychromic.errors import StudyError
try:
    take_cards({count})
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), IS_WORKER, RANK, WORLD, "RANK" in os.environ)
except StudyError as error:
    print(error)
"""


def job(count: int, folder, pretend: bool = True, **env: str) -> str:
    """What a job that asks for cards sees."""
    clean = {key: value for key, value in os.environ.items() if key not in ("CUDA_VISIBLE_DEVICES", cards.PRETEND)}
    done = subprocess.run(
        [sys.executable, "-c", JOB.format(count=count)],
        cwd=REPOSITORY,
        env={**clean, "TMPDIR": str(folder), **({cards.PRETEND: "1"} if pretend else {}), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_job_without_a_card_sees_none(tmp_path):
    """`calibrate` and its kin would else sit down on a card of somebody else's."""
    assert job(0, tmp_path, CUDA_VISIBLE_DEVICES="3").split()[:1] == ["False"]


def test_the_ranks_of_a_platform_are_not_ours(tmp_path):
    found = job(1, tmp_path, CUDA_VISIBLE_DEVICES="GPU-aa", RANK="3", WORLD_SIZE="8", LOCAL_RANK="3")
    assert found == "GPU-aa False 0 1 False"


def test_jobs_in_an_allocation_share_its_cards_out(tmp_path):
    """Inside `salloc` every job would see all cards, and train on all of them."""
    assert job(1, tmp_path, SLURM_JOB_ID="5", CUDA_VISIBLE_DEVICES="0,1").startswith("0 ")
    assert job(2, tmp_path, SLURM_JOB_ID="5", CUDA_VISIBLE_DEVICES="0,1").startswith("0,1 ")
    assert "gpus_per_job is 3" in job(3, tmp_path, SLURM_JOB_ID="5", CUDA_VISIBLE_DEVICES="0,1")


def test_a_job_that_holds_a_card_and_finds_no_cuda_does_not_start(tmp_path):
    found = job(1, tmp_path, pretend=False, CUDA_VISIBLE_DEVICES="GPU-aa")
    assert found.startswith("1 graphics card asked for, but")


def test_four_bits_without_a_card_are_not_trained_on_the_cpu(wide_model_dir):
    with pytest.raises(StudyError, match="precision nf4 and no graphics card"):
        load_base(wide_model_dir, precision="nf4")


def test_one_process_does_not_train_on_two_cards(tiny_model, tiny_tokenizer, tmp_path):
    args = PolychromicConfig(str(tmp_path), use_cpu=True, report_to="none", weight=0)
    args._n_gpu = 2
    with pytest.raises(StudyError, match="2 graphics cards are visible to one process"):
        PolychromicTrainer(tiny_model, args, [{"prompt": "a", "completion": "b"}], tiny_tokenizer)


def test_a_4bit_base_is_trained_as_it_is_sampled(wide_model_dir):
    """Head, norms and cache in bf16, in training as in generation: PEFT's preparation makes them float32."""
    base, tokenizer = load_base(wide_model_dir, precision="nf4", device="cpu")
    model = put_adapter(
        base, LoraConfig(r=4, target_modules="all-linear"), SimpleNamespace(gradient_checkpointing=True)
    )
    frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
    assert frozen == {torch.bfloat16, torch.uint8}
    kept = []
    hook = model.get_base_model().model.register_forward_hook(lambda m, i, out: kept.append(out.past_key_values))
    with torch.autocast("cpu", torch.bfloat16):
        sample_groups(model, tokenizer, [[5, 6]], [[1, 2]], temperature=1.0, max_new_tokens=2)
    hook.remove()
    assert {layer.room[0].dtype if hasattr(layer, "room") else layer.keys.dtype for layer in kept[-1].layers} == {
        torch.bfloat16
    }


def test_a_phase_is_charged_with_the_work_it_began(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    assert now(torch.device("cuda:0")) > 0
    assert now(torch.device("cpu")) > 0
    assert waited == [torch.device("cuda:0")]


@pytest.mark.parametrize("gradient", [torch.zeros(2), torch.full((2,), float("inf"))])
def test_a_ratio_that_is_no_number_is_left_out(gradient):
    """Of a step that fp16 skips: in the log it would spoil the mean of the steps beside it."""
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = gradient
    with SeparateGradients(SimpleNamespace(num_processes=1), [weight]) as norms:
        weight.grad = torch.ones(2)
    assert "ratio" not in norms or math.isfinite(norms["ratio"])


def test_the_cluster_profile_queues_again_what_was_pushed_aside():
    profile = yaml.safe_load((REPOSITORY / "profiles/gpu/config.yaml").read_text())
    assert profile["slurm-requeue"] is True


def test_a_kind_of_card_that_the_plugin_refuses_is_refused_before_the_first_job():
    study = load_study(str(REPOSITORY / "config.yaml"))
    with pytest.raises(StudyError, match="gpu_model: 'a100-sxm4-80gb'.* use `constraint`"):
        refuse_what_must_fail(study, ["derive"], here=False, card_kinds=["a100", "a100-sxm4-80gb"])
