"""Two gloo processes do what one process does with twice the batch, and never draw the same samples."""

from __future__ import annotations

import json
import os
import socket

import pytest
import torch
import torch.multiprocessing as mp
from peft import LoraConfig, get_peft_model

from polychromic.method.diversity import make_measure
from polychromic.method.models import load_base
from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer

ROWS = [{"prompt": f"answer {i}?", "completion": f"{i * 7 % 10}{'ab' * (i % 3)}"} for i in range(16)]


QUALITIES = ("ce", "gem")


def train_all(rank: int, world: int, port: int, base: str, out: str) -> None:
    torch.set_num_threads(1)
    if world > 1:
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for quality in QUALITIES:
        train(rank, world, base, out, quality)


def train(rank: int, world: int, base: str, out: str, quality: str) -> None:
    model, tokenizer = load_base(base, attention="eager", device="cpu")
    torch.manual_seed(3)
    model = get_peft_model(model, LoraConfig(r=4, lora_alpha=4, lora_dropout=0.0, target_modules="all-linear"))
    args = PolychromicConfig(
        output_dir=f"{out}/work",
        per_device_train_batch_size=8 // world,
        max_steps=2,
        every=1,
        prompts=5,
        samples=3,
        temperature=1.0,
        max_new_tokens=5,
        weight=1.0,
        quality=quality,
        learning_rate=1e-3,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        ddp_backend="gloo" if world > 1 else None,
        dataloader_pin_memory=False,
    )
    trainer = PolychromicTrainer(model, args, ROWS, tokenizer, measure=make_measure("distinct_n", n=1, gate=False))
    seeds: list[int] = []
    rollout = trainer.term._rollout

    def recording(*args):
        indices, groups = rollout(*args)
        seeds.extend(sample.seed for group in groups for sample in group)
        return indices, groups

    trainer.term._rollout = recording
    trainer.train()
    weights = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    torch.save(weights, f"{out}/{quality}-{rank}.pt")
    with open(f"{out}/{quality}-{rank}.json", "w") as file:
        json.dump({"seeds": seeds, "log": trainer.state.log_history}, file)


@pytest.fixture(scope="module")
def folders(tiny_model_dir, tmp_path_factory):
    """Where one process, and where two, left their weights and logs."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = mp.start_processes(
        train_all, (2, port, str(tiny_model_dir), str(two)), nprocs=2, join=False, start_method="spawn"
    )
    train_all(0, 1, 0, str(tiny_model_dir), str(one))
    while not workers.join():
        pass
    return one, two


@pytest.mark.slow
@pytest.mark.parametrize("quality", QUALITIES)
def test_training_in_two_processes_gives_the_weights_of_one(folders, quality):
    one, two = folders
    alone = torch.load(one / f"{quality}-0.pt")
    for rank in (0, 1):
        shared = torch.load(two / f"{quality}-{rank}.pt")
        for name, value in alone.items():
            torch.testing.assert_close(shared[name], value, atol=2e-5, rtol=1e-3)
    reports = [json.loads((two / f"{quality}-{rank}.json").read_text()) for rank in (0, 1)]
    single = json.loads((one / f"{quality}-0.json").read_text())
    assert not set(reports[0]["seeds"]) & set(reports[1]["seeds"])
    assert set(reports[0]["seeds"]) | set(reports[1]["seeds"]) == set(single["seeds"])
    assert len(single["seeds"]) == len(set(single["seeds"])) == 3 * 5 * 3  # audit and two steps
    for name in ("diversity", "credit_spread", "grad_ratio", "quality"):
        for line, other in zip(reports[0]["log"][:2], single["log"][:2], strict=True):
            assert line[name] == pytest.approx(other[name], rel=1e-3)
