from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments

from polychromic.errors import StudyError
from polychromic.method.diversity import make_measure
from polychromic.method.models import load_base
from polychromic.method.rows import Collator, encode_rows
from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer
from polychromic.registry import Registry

ROWS = [{"prompt": f"what is the answer to {i}?", "completion": f"{i * 7 % 10}{'ab' * (i % 3)}"} for i in range(24)]


class FirstLetter:
    """Stands for a verifier: answers differ where their first letters do."""

    def labels(self, texts, record):
        return [text[:1] for text in texts]

    def well_formed(self, texts, record):
        return [bool(text) for text in texts]


def lora(folder, rank=4, **more):
    model, _ = load_base(folder, attention="eager", device="cpu")
    torch.manual_seed(3)
    settings = {"r": rank, "lora_alpha": rank, "lora_dropout": 0.1, "target_modules": "all-linear", **more}
    return get_peft_model(model, LoraConfig(**settings))


def arguments(folder, cls=PolychromicConfig, **changed):
    common = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 6,
        "learning_rate": 5e-3,
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "use_cpu": True,
        "dataloader_pin_memory": False,
    }
    if cls is PolychromicConfig:
        common |= {
            "samples": 3,
            "every": 2,
            "prompts": 4,
            "max_new_tokens": 6,
            "temperature": 1.0,
        }
    return cls(**common | changed)


@pytest.fixture
def trained(tiny_model_dir, tiny_tokenizer, tmp_path):
    """Train with the given settings; returns the trainer."""

    def train(name="run", resume=None, model=None, **changed):
        trainer = PolychromicTrainer(
            model or lora(tiny_model_dir),
            arguments(tmp_path / name, **changed),
            ROWS,
            tiny_tokenizer,
            measure=make_measure("answer", verifier=FirstLetter(), gate=False),
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    return train


def weights(trainer):
    return {name: p.detach() for name, p in trainer.model.named_parameters() if p.requires_grad}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_weight_zero_is_standard_lora(trained, tiny_model_dir, tiny_tokenizer, tmp_path):
    rows, _ = encode_rows(ROWS, tiny_tokenizer, 512)
    standard = Trainer(
        lora(tiny_model_dir),
        arguments(tmp_path / "standard", TrainingArguments, remove_unused_columns=False),
        train_dataset=rows,
        data_collator=Collator(tiny_tokenizer.pad_token_id),
    )
    standard.train()
    ours = trained(weight=0.0)
    assert ours.term is None
    for name, value in weights(standard).items():
        torch.testing.assert_close(weights(ours)[name], value, atol=1e-7, rtol=1e-6)
    first, other = ([line["loss"] for line in t.state.log_history if "loss" in line] for t in (standard, ours))
    assert first == pytest.approx(other, rel=1e-5)  # step by step: the same rows in the same order


def test_diversity_changes_the_weights_but_not_the_data_order(trained):
    plain, diverse = trained("a", weight=0.0), trained("b", weight=0.3)
    assert not same(weights(plain), weights(diverse))
    # The first diversity step is the second: the first one's loss and gradient are the same.
    first, other = (trainer.state.log_history[0] for trainer in (plain, diverse))
    assert (first["quality"], first["grad_norm"]) == (other["quality"], other["grad_norm"])


def test_runs_repeat_and_seeds_matter(trained):
    first = trained("a")
    assert same(weights(first), weights(trained("b")))
    assert not same(weights(first), weights(trained("c", seed_scope="other")))


def test_resumed_run_is_bit_identical(trained, tmp_path):
    whole = trained("whole", max_steps=8, save_strategy="steps", save_steps=5)
    checkpoint = tmp_path / "whole" / "checkpoint-5"
    log = (tmp_path / "whole" / "train_log.jsonl").read_text()
    shutil.copytree(checkpoint, tmp_path / "resumed" / "checkpoint-5")
    (tmp_path / "resumed" / "train_log.jsonl").write_text(log)  # step 8 was reached, not saved
    resumed = trained("resumed", max_steps=8, resume=str(tmp_path / "resumed" / "checkpoint-5"))
    assert same(weights(whole), weights(resumed))
    assert resumed.term.scale.mean_square == whole.term.scale.mean_square
    assert resumed.term.sampled_tokens == whole.term.sampled_tokens

    def timeless(text):
        lines = [json.loads(line) for line in text.splitlines()]
        return [{key: value for key, value in line.items() if "seconds" not in key} for line in lines]

    assert timeless((tmp_path / "resumed" / "train_log.jsonl").read_text()) == timeless(log)


@pytest.mark.parametrize("quality", ["ce", "gem", "dco"])
def test_gradient_accumulation_is_one_batch(trained, tiny_model_dir, quality):
    def train(name, size, accumulation):
        return trained(
            name,
            model=lora(tiny_model_dir, lora_dropout=0.0),
            quality=quality,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=2,
        )

    one, two = weights(train("one", 8, 1)), weights(train("two", 4, 2))
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=2e-5, rtol=1e-3)


def test_a_training_uses_the_code_of_its_own_quality_term_only(trained, monkeypatch):
    """A job's stamp has that of no other. Evaluation is by cross-entropy, whatever the term."""
    asked, get = set(), Registry.__getitem__

    def recorded(self, name):
        asked.add(name)
        return get(self, name)

    monkeypatch.setattr(Registry, "__getitem__", recorded)
    trainer = trained("dft", quality="dft", max_steps=2)
    assert trainer.evaluate(ROWS[:8])["eval_loss"] > 0
    assert "dft" in asked
    assert "ce" not in asked


def test_scoring_that_runs_out_of_memory_begins_again(trained, monkeypatch, caplog):
    """With half the tokens, and without the gradients of the passes before: the sum is that of a run with room."""
    from polychromic.method import term

    score, backward, passes, norms = term.completion_log_probs, term.DiversityTerm._backward, [], []

    def short(*args, **how):
        passes.append(1)
        if len(passes) == 3 and "out of memory" not in caplog.text:
            raise torch.OutOfMemoryError("out")
        return score(*args, **how)

    def recorded(self, model, *args):
        backward(self, model, *args)
        norms.append(float(sum((p.grad**2).sum() for p in model.parameters() if p.grad is not None)))
        passes.clear()

    monkeypatch.setattr(term.DiversityTerm, "_backward", recorded)
    trained("room", max_steps=2, score_tokens=20)
    with_room = norms[0]  # of the audit, where every sample has a credit
    monkeypatch.setattr(term, "completion_log_probs", short)
    passes.clear()
    count = len(norms)
    trained("short", max_steps=2, score_tokens=20)
    assert "scoring: out of memory" in caplog.text
    assert norms[count] == pytest.approx(with_room, rel=1e-3)


def test_how_many_tokens_are_scored_at_once_does_not_matter(trained):
    one, many = trained("one", score_tokens=1, max_steps=2), trained("many", max_steps=2)
    assert one.state.log_history[1]["grad_ratio"] == pytest.approx(many.state.log_history[1]["grad_ratio"], rel=1e-3)


def test_no_backward_pass_has_more_tokens_than_asked_for(trained, monkeypatch):
    """Not even where a prompt's samples have more together."""
    from polychromic.method import term as module

    real, passes = module.completion_log_probs, []

    def counting(model, prompts, completions, **settings):
        samples = [tokens for part in completions for tokens in part]
        passes.append(len(prompts) * max(map(len, prompts)) + len(samples) * max(map(len, samples)))
        return real(model, prompts, completions, **settings)

    monkeypatch.setattr(module, "completion_log_probs", counting)
    trained(score_tokens=24, max_steps=2)
    assert 18 < max(passes) <= 24


def test_gradient_checkpointing_trains_the_same(trained, tiny_model_dir):
    model = lora(tiny_model_dir)
    model.enable_input_require_grads()
    checkpointed = trained("a", model=model, gradient_checkpointing=True, max_steps=2)
    plain = trained("b", max_steps=2)
    for name, value in weights(plain).items():
        torch.testing.assert_close(weights(checkpointed)[name], value, atol=2e-5, rtol=1e-3)


def test_the_term_raises_diversity(trained):
    """Pulling hard on D alone, nearly certain first letters spread out: the sign is right."""
    settings = {"max_steps": 16, "every": 1, "learning_rate": 1e-2, "temperature": 0.3, "samples": 6}

    def late(trainer):
        d = [line["diversity"] for line in trainer.state.log_history if "diversity" in line]
        return sum(d[-5:]) / 5

    assert late(trained("a", weight=5.0, **settings)) > 0.2 + late(trained("b", weight=1e-9, **settings))


def test_every_step_is_logged(trained, tmp_path):
    trained(max_steps=4)
    lines = [json.loads(line) for line in (tmp_path / "run" / "train_log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    wanted = {"loss", "quality", "diversity", "credit_spread", "grad_ratio", "entropy", "length", "valid"}
    wanted |= {"seconds_sample", "seconds_score", "seconds_backward", "seconds_measure"}
    assert wanted <= set(lines[1])
    assert all(line["loss"] == line["quality"] for line in lines)  # comparable from step to step
    assert "diversity" not in lines[0]


def test_the_audit_stops_a_run_whose_term_has_no_gradient(trained, tiny_model_dir, monkeypatch):
    from polychromic.method import term as module

    real = module.completion_log_probs
    monkeypatch.setattr(module, "completion_log_probs", lambda *a, **k: real(*a, **k).detach().requires_grad_())
    with pytest.raises(StudyError, match="gradient audit"):
        trained()


def test_long_zero_credits_warn(tiny_model_dir, tiny_tokenizer, tmp_path, caplog):
    class Alike(FirstLetter):
        def labels(self, texts, record):
            return ["same"] * len(texts)

    trainer = PolychromicTrainer(
        lora(tiny_model_dir),
        arguments(tmp_path, every=1, max_steps=10),
        ROWS,
        tiny_tokenizer,
        measure=make_measure("answer", verifier=Alike(), gate=False),
    )
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert "all credits were zero for 10 diversity steps" in caplog.text
    assert all(torch.isfinite(value).all() for value in weights(trainer).values())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("samples", 1),
        ("weight", -0.1),
        ("weight", float("nan")),
        ("every", 0),
        ("temperature", 0.0),
        ("top_p", 1.5),
        ("quality", "cross"),
        ("quality_beta", 0.0),
    ],
)
def test_bad_settings_are_named(tmp_path, setting, value):
    with pytest.raises(StudyError, match=setting.removeprefix("quality_")):
        arguments(tmp_path, **{setting: value})


def test_bad_rows_and_a_missing_measure_are_named(tiny_model_dir, tiny_tokenizer, tmp_path):
    args = arguments(tmp_path)
    measure = make_measure("distinct_n", gate=True)
    with pytest.raises(StudyError, match="needs a measure"):
        PolychromicTrainer(lora(tiny_model_dir), args, ROWS, tiny_tokenizer)
    for rows, message in [
        ([*ROWS, {"prompt": "x"}], 'row 24 .* "completion"'),
        ([{"prompt": "", "completion": "y"}], "row 0 .* empty prompt"),
        ([{"prompt": "x" * 600, "completion": "y"}], "none of the 1 rows fits"),
    ]:
        with pytest.raises(StudyError, match=message):
            PolychromicTrainer(lora(tiny_model_dir), args, rows, tiny_tokenizer, measure=measure)


def test_long_rows_are_left_out_and_counted(tiny_tokenizer):
    rows, dropped = encode_rows([*ROWS, {"prompt": "x" * 600, "completion": "y"}], tiny_tokenizer, 512)
    assert (len(rows), dropped) == (24, 1)


def test_loss_is_taken_on_the_completion_and_the_end_only(tiny_tokenizer):
    (row,), _ = encode_rows([{"prompt": "a cat\n", "completion": "  b"}], tiny_tokenizer, 512)
    n = row["prompt_length"]
    assert row["labels"][:n] == [-100] * n
    assert row["labels"][n:] == row["input_ids"][n:]
    assert row["input_ids"][-1] == tiny_tokenizer.eos_token_id
    assert tiny_tokenizer.decode(row["input_ids"][n:-1]) == "  b"
    assert row["input_ids"][:n] == tiny_tokenizer("a cat\n")["input_ids"]
