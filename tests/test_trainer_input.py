"""What the trainer takes as TRL and PEFT do, and what it refuses, with the data set's own row."""

from __future__ import annotations

import ast
import copy
import re
from pathlib import Path

import pytest
import torch
from datasets import Dataset, IterableDataset
from peft import LoraConfig, get_peft_model
from transformers import Trainer, TrainingArguments

from polychromic.errors import StudyError
from polychromic.method.diversity import make_measure, own_measure
from polychromic.method.models import load_base
from polychromic.method.rows import Collator, encode_rows
from polychromic.method.trainer import PolychromicConfig, PolychromicTrainer

ROOT = Path(__file__).resolve().parent.parent
ROWS = [{"prompt": f"what is the answer to {i}?", "completion": f"{i * 7 % 10}{'ab' * (i % 3)}"} for i in range(24)]
LORA = LoraConfig(r=4, lora_alpha=4, lora_dropout=0.0, target_modules="all-linear")
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if m.role == 'assistant' %}<|end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
DISTINCT = own_measure(lambda texts: len(set(texts)) / len(texts), gate=False)


@pytest.fixture
def chat_tokenizer(tiny_tokenizer):
    tokenizer = copy.deepcopy(tiny_tokenizer)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture
def make(tiny_model_dir, tiny_tokenizer, tmp_path):
    """A trainer of a tiny model with the given rows and settings."""

    def build(rows=ROWS, *, measure=DISTINCT, tokenizer=tiny_tokenizer, model=None, peft=LORA, more=None, **settings):
        torch.manual_seed(3)
        common = {
            "per_device_train_batch_size": 4, "max_steps": 2, "learning_rate": 5e-3, "logging_steps": 1, "every": 1,
            "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "use_cpu": True, "samples": 3,
            "prompts": 2, "max_new_tokens": 4, "temperature": 1.0, "dataloader_pin_memory": False,
        }  # fmt: skip
        if model is None:
            model = load_base(tiny_model_dir, attention="eager", device="cpu")[0]
        args = PolychromicConfig(str(tmp_path / "run"), **common | settings)
        return PolychromicTrainer(
            model, args, rows, processing_class=tokenizer, measure=measure, peft_config=peft, **more or {}
        )

    return build


def adapter(trainer):
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("quality", ["ce", "gem", "gem_logsigmoid", "dco", "entropy"])
def test_every_quality_term_is_the_same_on_targets_only(make, quality):
    """Against the whole head on every token, cut to the targets afterwards."""
    trainer = make(quality=quality)
    batch = trainer.data_collator(trainer.train_dataset[:4])
    trainer.model.train()
    ours = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=7)
    logits = trainer.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    keep = batch["labels"][:, 1:] != -100
    whole = trainer.quality(logits[keep].float(), batch["labels"][:, 1:][keep], keep.nonzero()[:, 0]) / 7
    torch.testing.assert_close(ours, whole, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["dataset", "iterable", "generator"])
def test_datasets_train_as_lists_do(make, kind):
    def some():
        yield from ROWS[:8]

    rows = {
        "dataset": lambda: Dataset.from_list(ROWS[:8]),
        "iterable": lambda: IterableDataset.from_generator(some),
        "generator": some,
    }[kind]()
    expected, trainer = make(ROWS[:8]), make(rows)
    expected.train(), trainer.train()
    assert all(torch.equal(adapter(expected)[name], value) for name, value in adapter(trainer).items())


def test_a_stream_is_read_as_far_as_the_steps_go(make):
    def endless():
        while True:
            yield from ROWS

    assert len(make(endless()).train_dataset) == 8
    with pytest.raises(StudyError, match="max_steps"):
        make(endless(), max_steps=-1)


def test_chat_rows_are_those_of_their_template(make, chat_tokenizer):
    text = {"prompt": "<user>hi<assistant>", "completion": "yo"}
    user, answer = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}
    for row in ({"prompt": [user], "completion": [answer]}, {"messages": [user, answer]}):
        assert encode_rows([row], chat_tokenizer, 99) == encode_rows([text], chat_tokenizer, 99)
    with pytest.raises(StudyError, match=r"row 1 .*assistant"):
        encode_rows([{"messages": [user, answer]}, {"messages": [user, user]}], chat_tokenizer, 99)
    make([{"messages": [user, answer]}] * 4, tokenizer=chat_tokenizer).train()


def test_a_completion_has_one_end_token(tiny_tokenizer):
    plain, ended = (
        encode_rows([{"prompt": "a", "completion": c}], tiny_tokenizer, 99)[0][0] for c in ("b", "b<|end|>")
    )
    assert plain["input_ids"] == ended["input_ids"]
    assert plain["input_ids"].count(tiny_tokenizer.eos_token_id) == 1


def test_other_columns_reach_the_measure(make):
    seen = []
    measure = own_measure(lambda texts, record: seen.append(record) or 0.5, gate=False)
    make([{**row, "difficulty": i} for i, row in enumerate(ROWS)], measure=measure).train()
    assert {tuple(record) for record in seen} == {("difficulty",)}


def test_a_model_by_its_name_with_a_peft_config(make, tiny_model_dir):
    trainer = make(model=str(tiny_model_dir), tokenizer=None, model_init_kwargs={"dtype": "float32"})
    trainer.train()
    assert trainer.state.log_history[0]["diversity"] > 0
    with pytest.raises(StudyError, match="cannot load the model"):
        make(model="/no/such/model")


def test_raw_rows_are_evaluated_and_predicted_on(make):
    trainer = make(more={"eval_dataset": {"a": ROWS[:4], "b": ROWS[4:6]}})
    metrics = trainer.evaluate()
    assert {"eval_a_loss", "eval_b_loss"} <= set(metrics)
    assert trainer.evaluate(ROWS[:4])["eval_loss"] == pytest.approx(metrics["eval_a_loss"])
    prediction = trainer.predict(ROWS[:4])
    assert prediction.metrics["test_loss"] == pytest.approx(metrics["eval_a_loss"], abs=1e-5)
    assert prediction.predictions.shape[::2] == (4, len(trainer.tokenizer))


def test_a_checkpoint_of_a_plain_trainer_resumes_at_weight_zero(make, tiny_model_dir, tiny_tokenizer, tmp_path):
    rows = encode_rows(ROWS, tiny_tokenizer, 512)[0]
    torch.manual_seed(3)
    model = get_peft_model(load_base(tiny_model_dir, attention="eager", device="cpu")[0], LORA)
    args = TrainingArguments(
        str(tmp_path / "plain"), max_steps=4, save_steps=2, per_device_train_batch_size=4, learning_rate=5e-3,
        report_to="none", disable_tqdm=True, use_cpu=True, remove_unused_columns=False,
    )  # fmt: skip
    plain = Trainer(model, args, train_dataset=rows, data_collator=Collator(tiny_tokenizer.pad_token_id))
    plain.train()
    ours = make(weight=0.0, max_steps=4)
    ours.train(resume_from_checkpoint=str(tmp_path / "plain/checkpoint-2"))
    for name, value in adapter(plain).items():
        torch.testing.assert_close(adapter(ours)[name], value, atol=1e-6, rtol=1e-5)
    with pytest.raises(StudyError, match="diversity_state.json is missing"):
        make(max_steps=4).train(resume_from_checkpoint=str(tmp_path / "plain/checkpoint-2"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("packing", True),
        ("completion_only_loss", False),
        ("assistant_only_loss", True),
        ("label_smoothing_factor", 0.1),
    ],
)
def test_settings_of_trl_that_would_mean_something_else_are_refused(make, setting, value):
    with pytest.raises(StudyError, match=f"{setting}={value} is not supported"):
        make(**{setting: value})


def test_a_loss_function_of_ones_own_is_refused(make):
    with pytest.raises(StudyError, match="compute_loss_func is not supported"):
        make(more={"compute_loss_func": lambda outputs, labels, num_items_in_batch: outputs.logits.sum()})


def test_a_collator_of_ones_own_is_used(make):
    trainer = make()
    real, widths = trainer.data_collator, []

    def collate(rows):
        batch = real(rows)
        widths.append(batch["input_ids"].shape[1])
        return batch

    make(more={"data_collator": collate}).train()
    assert len(widths) >= 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "x", "completion": ""}, "row 24 .* empty completion"),
        ({"prompt": "x", "completion": "<|end|>"}, "row 24 .* empty completion"),
        ({"prompt": "x" * 254, "completion": "y"}, "row 24 .* max_new_tokens = 4 .* context of 256"),
        ({"prompt": "x" * 400, "completion": "y"}, "row 24 .* context is 256"),
        ({"prompt": "x", "completion": [{"role": "assistant", "content": "y"}]}, "row 24 .* both"),
    ],
)
def test_a_bad_row_is_named_at_construction(make, row, message):
    with pytest.raises(StudyError, match=message):
        make([*ROWS, row])


def test_a_run_without_a_diversity_step_is_refused(make):
    with pytest.raises(StudyError, match="every = 3 the 2 steps"):
        make(every=3)
    make(every=3, weight=0.0)


@pytest.mark.parametrize("at", ["audit", "step"])
def test_a_measure_that_is_not_finite_stops_the_run_and_names_row_and_sample(make, at, tmp_path):
    calls = []

    def measure(groups, records, finished):
        values = DISTINCT(groups, records, finished)
        calls.append(1)
        if at == "audit" or len(calls) > 1:
            values[1].credits[2] = float("nan")
        return values

    trainer = make(measure=measure)
    before = adapter(trainer)
    with pytest.raises(StudyError, match=r"nan for row \d+ of the training set, sample 2"):
        trainer.train()
    if at == "audit":
        assert all(torch.equal(before[name], value) for name, value in adapter(trainer).items())
    assert all(torch.isfinite(value).all() for value in adapter(trainer).values())


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_row(make):
    rows = [{"prompt": "zzz", "completion": "y"} if i == 5 else row for i, row in enumerate(ROWS)]
    trainer = make(rows, weight=0.0, max_steps=6)
    z = trainer.tokenizer("z")["input_ids"][0]
    trainer.model.get_input_embeddings().register_forward_hook(
        lambda module, ids, out: out.masked_fill((ids[0] == z).unsqueeze(-1), float("inf"))
    )
    with pytest.raises(StudyError, match=r"step \d: the loss is nan on rows \[5\]"):
        trainer.train()
    assert all(torch.isfinite(value).all() for value in adapter(trainer).values())


def test_samples_that_are_not_finite_stop_the_run_and_are_named(make):
    trainer = make()
    head = trainer.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, out: out if module.training else out * float("nan"))
    with pytest.raises(StudyError, match=r"log pi as sampled is nan for row \d+ of the training set, sample 0"):
        trainer.train()


def test_an_empty_dataset_is_refused(make):
    with pytest.raises(StudyError, match="no rows"):
        make([])


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_is_used(make):
    trainer = make(weight=0.0)
    parameter = next(p for p in trainer.model.parameters() if p.requires_grad)
    parameter.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(StudyError, match=r"step 1: the gradient of .*lora_A.* is not finite"):
        trainer.train()
    assert all(torch.isfinite(value).all() for value in adapter(trainer).values())


def test_nothing_is_saved_that_is_not_finite(make, tmp_path):
    trainer = make(weight=0.0)
    next(p for p in trainer.model.parameters() if p.requires_grad).data[0, 0] = float("nan")
    with pytest.raises(StudyError, match="nothing is saved"):
        trainer.save_model(str(tmp_path / "bad"))
    assert not (tmp_path / "bad/adapter_model.safetensors").exists()


def test_a_base_that_a_rollout_changes_stops_the_run(make, monkeypatch):
    from polychromic.method import term

    real = term.sample_groups

    def spoiling(model, *args, **settings):
        model.get_base_model().model.layers[0].mlp.down_proj.base_layer.weight.data += 0.01
        return real(model, *args, **settings)

    monkeypatch.setattr(term, "sample_groups", spoiling)
    with pytest.raises(StudyError, match="frozen weights, e.g. .*down_proj"):
        make().train()


def test_the_card_of_a_saved_adapter_names_lambda_d_and_n(make, tmp_path):
    trainer = make(measure=make_measure("self_bleu"))
    trainer.train()
    trainer.save_model(str(tmp_path / "adapter"))
    card = (tmp_path / "adapter/README.md").read_text(encoding="utf-8")
    assert "λ = 0.3, D = 1 - self-BLEU, N = 3" in card
    assert "Polychromic LoRA: Diversity-Aware" in card


def test_the_measures_of_the_docs_run():
    docs = (ROOT / "docs/trainer.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", docs, flags=re.DOTALL)
    load, *measures = map(ast.unparse, ast.parse(block).body)
    assert len(measures) == 3
    for code in measures[:2]:
        names = {}
        exec(f"{load}\n{code}", names)
        (value,) = names["measure"]([["ab", "cd", "ab"]], [None], [[True] * 3])
        assert value.diversity == pytest.approx(2 / 3)
