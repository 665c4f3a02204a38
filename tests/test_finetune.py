from __future__ import annotations

import json

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file

from polychromic.config.study import Objective, Training
from polychromic.errors import StudyError
from polychromic.method.diversity import make_measure
from polychromic.method.finetune import finetune, last_complete_checkpoint, trainer_settings
from polychromic.method.log_probs import completion_log_probs
from polychromic.method.models import load_adapter, load_base
from polychromic.method.sampling import sample_groups
from polychromic.method.trainer import PolychromicConfig

ROWS = [{"prompt": f"answer {i}?", "completion": f"{i * 7 % 10} and {i % 3}"} for i in range(20)]


@pytest.fixture
def run(tiny_model_dir, tmp_path):
    """finetune(...) in tmp_path/name; returns its account."""

    def finetune_(name="run", rows=ROWS, settings=None, base=tiny_model_dir, precision="fp32", **more):
        model, tokenizer = load_base(base, precision=precision, attention="eager", device="cpu")
        common = {
            "output_dir": str(tmp_path / name / "work"),
            "per_device_train_batch_size": 4,
            "num_train_epochs": 2,
            "learning_rate": 5e-3,
            "logging_steps": 1,
            "save_steps": 3,
            "samples": 2,
            "every": 2,
            "prompts": 3,
            "max_new_tokens": 5,
            "report_to": "none",
            "disable_tqdm": True,
            "use_cpu": True,
            "dataloader_pin_memory": False,
        }
        return finetune(
            model,
            tokenizer,
            rows,
            PolychromicConfig(**common | (settings or {})),
            LoraConfig(r=4, lora_alpha=4, lora_dropout=0.1, target_modules="all-linear"),
            tmp_path / name / "adapter",
            measure=make_measure("distinct_n", n=1, gate=True),
            **more,
        )

    return finetune_


def adapter(folder):
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_a_run_leaves_its_account_and_an_adapter_that_loads(run, tiny_model_dir, tmp_path):
    account = run(early_dir=tmp_path / "run" / "early")
    json.dumps(account)
    assert account["steps"] == 10
    assert account["rows"] == 20
    assert 0 < account["trainable_parameters"] < account["parameters"]
    assert account["sampled_tokens"] > 0
    assert account["target_tokens"] == round(2 * 20 * account["mean_target_length"])
    assert account["seconds"]["total"] > account["seconds"]["sample"] > 0
    assert account["peak_memory_gib"] > 0
    assert len((tmp_path / "run" / "work" / "train_log.jsonl").read_text().splitlines()) == 10
    base, _ = load_base(tiny_model_dir, attention="eager", device="cpu")
    load_adapter(base, tmp_path / "run" / "adapter")
    early = load_file(tmp_path / "run" / "early" / "adapter_model.safetensors")
    late = adapter(tmp_path / "run")
    assert early.keys() == late.keys()
    assert any(not torch.equal(early[name], late[name]) for name in late)
    for folder in ("adapter", "early"):
        modules = json.loads((tmp_path / "run" / folder / "adapter_config.json").read_text())["target_modules"]
        assert len(modules) > 1
        assert modules == sorted(modules), "the order of a set would differ between two runs"


def test_interrupted_run_ends_as_if_it_had_not_been(run, tmp_path):
    class Killed(Exception):
        pass

    class Rows(list):
        """Breaks when a row is fetched for the 30th time: in the midst of step 8."""

        fetched = 0

        def __getitem__(self, index):
            self.fetched += 1
            if self.fetched == 30:
                raise Killed
            return super().__getitem__(index)

    whole = run("whole", settings={"seed_scope": "s"})
    from polychromic.method import finetune

    real = finetune.PolychromicTrainer.__init__

    def breaking(self, *args, **kwargs):
        real(self, *args, **kwargs)
        self.train_dataset = Rows(self.train_dataset)

    finetune.PolychromicTrainer.__init__ = breaking
    try:
        with pytest.raises(Killed):
            run("cut", settings={"seed_scope": "s"})
    finally:
        finetune.PolychromicTrainer.__init__ = real
    half_written = tmp_path / "cut" / "work" / "checkpoint-7"
    half_written.mkdir()
    resumed = run("cut", settings={"seed_scope": "s"})
    assert resumed["resumed_from"] == "checkpoint-6"
    assert not half_written.exists()
    one, other = adapter(tmp_path / "whole"), adapter(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert resumed["sampled_tokens"] == whole["sampled_tokens"]


def test_early_stopping_uses_cross_entropy_whatever_the_quality(run):
    account = run(
        settings={"num_train_epochs": 40, "learning_rate": 5e-2, "quality": "dco", "save_steps": 2},
        eval_rows=[{"prompt": "answer 3?", "completion": "zzz qqq"}],
        patience=2,
    )
    assert account["steps"] < 40 * 5
    with pytest.raises(StudyError, match="eval_rows"):
        run("b", patience=2)


STOPPING = {"num_train_epochs": 40, "learning_rate": 5e-2, "save_steps": 2, "save_total_limit": 1}
"""With rows held out that are unlike the rest, a run of 200 steps is soon at its best."""
UNLIKE = [{"prompt": "answer 3?", "completion": "zzz qqq"}]


def test_a_run_that_stops_before_half_its_steps_leaves_an_early_adapter(run, tmp_path):
    """The one that it keeps: no other is the run's, and an average of the two is still defined."""
    (tmp_path / "run/work/early").mkdir(parents=True)
    (tmp_path / "run/work/early/of_another_attempt").touch()
    early = tmp_path / "early"
    account = run(settings=STOPPING, eval_rows=UNLIKE, patience=2, early_dir=early)
    assert account["steps"] < 100
    assert sorted(file.name for file in early.iterdir()) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    first, kept = load_file(early / "adapter_model.safetensors"), adapter(tmp_path / "run")
    assert all(torch.equal(first[name], kept[name]) for name in kept)
    assert account["target_tokens"] == round(account["steps"] / 5 * 20 * account["mean_target_length"])


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", ["the last step but one", "its end"])
def test_a_resumed_run_stops_where_it_would_have(run, tmp_path, monkeypatch, at):
    """Killed with one evaluation of two waited for, and after the second."""
    settings = {**STOPPING, "seed_scope": "s"}
    whole = run("whole", settings=settings, eval_rows=UNLIKE, patience=2)
    steps = whole["steps"]
    from polychromic.method import finetune

    def breaking(self, *args, **kwargs):
        if name == "_finalize_training" or self.state.global_step + 1 == steps - 1:
            raise Killed
        return real(self, *args, **kwargs)

    name, checkpoint = ("_finalize_training", steps - 4) if at == "its end" else ("training_step", steps - 2)
    real = getattr(finetune.PolychromicTrainer, name)
    with monkeypatch.context() as patch:
        patch.setattr(finetune.PolychromicTrainer, name, breaking)
        with pytest.raises(Killed):
            run("cut", settings=settings, eval_rows=UNLIKE, patience=2)
    resumed = run("cut", settings=settings, eval_rows=UNLIKE, patience=2)
    assert resumed["resumed_from"] == f"checkpoint-{checkpoint}"
    assert (resumed["steps"], resumed["sampled_tokens"]) == (steps, whole["sampled_tokens"])
    one, other = adapter(tmp_path / "whole"), adapter(tmp_path / "cut")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_seconds_of_an_interrupted_attempt_count(run, tmp_path):
    run(settings={"max_steps": 6})
    state = tmp_path / "run/work/checkpoint-6/diversity_state.json"
    saved = json.loads(state.read_text())
    assert saved["elapsed"] > sum(saved["seconds"].values()) > 0
    state.write_text(json.dumps({**saved, "elapsed": 1000.0}))
    seconds = run(settings={"max_steps": 10})["seconds"]
    assert seconds["total"] > seconds["train"] > 1000
    assert seconds["sample"] > saved["seconds"]["sample"]


def test_every_setting_of_an_objective_reaches_the_trainer(tmp_path):
    """Changed by any one, the trainer's settings are others."""

    def settings(training, objective):
        return trainer_settings(training, objective, output_dir=str(tmp_path), use_cpu=True, report_to="none").to_dict()

    training, objective = Training().model_dump(), Objective().model_dump()
    plain = settings(training, objective)
    elsewhere = {"diversity", "gate"}  # the measure's
    for key, value in objective.items():
        if key not in elsewhere:
            changed = "gem" if key == "quality" else value / 2 if key == "top_p" else value + (0.5 if value == 0 else 1)
            assert settings(training, {**objective, key: changed}) != plain, key
    assert settings(training, {**objective, "score_tokens": 3})["score_tokens"] == 3


@pytest.mark.parametrize("precision", ["bf16", "nf4"])
def test_other_precisions_train_and_reload(run, wide_model_dir, tmp_path, precision):
    """The base is loaded as it was trained on, and sampling agrees with scoring to its rounding."""
    settings = {"bf16": True, "gradient_checkpointing": True, "max_steps": 4, "top_p": 0.9}
    account = run(settings=settings, base=wide_model_dir, precision=precision)
    assert account["sampled_tokens"] > 0
    base, tokenizer = load_base(wide_model_dir, precision=precision, attention="eager", device="cpu")
    model = load_adapter(base, tmp_path / "run" / "adapter").eval()
    prompts = [tokenizer("answer 3?")["input_ids"], tokenizer("a")["input_ids"]]
    groups = sample_groups(model, tokenizer, prompts, [[1, 2], [3, 4]], temperature=1.0, max_new_tokens=4)
    scored = completion_log_probs(
        model.get_base_model(),
        prompts,
        [[sample.tokens for sample in group] for group in groups],
        temperature=1.0,
    )
    sampled = torch.tensor([sample.log_prob for group in groups for sample in group])
    torch.testing.assert_close(scored.detach(), sampled, atol=0.2, rtol=0.05)


def test_a_folder_without_checkpoints_has_none_to_resume(tmp_path):
    assert last_complete_checkpoint(tmp_path) is None
    assert last_complete_checkpoint(tmp_path / "missing") is None
