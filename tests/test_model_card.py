"""An adapter's card says what a reader needs, and the same for the same run."""

from __future__ import annotations

import yaml

from polychromic.method.model_card import write_model_card

RECORD = {
    "study": "demo", "domain": "qa", "arm": "polychromic", "seed": "42", "rows": 80,
    "data_sha256": {"train.jsonl": "abc"},
    "seconds": {"total": 12.3},
    "config": {
        "model": {"name": "org/base", "revision": "0123", "precision": "nf4"},
        "training": {"rank": 16, "alpha": 16, "dropout": 0.1, "epochs": 2.0, "learning_rate": 2e-4},
        "objective": {"quality": "ce", "weight": 0.3, "diversity": "answer", "samples": 4},
    },
}  # fmt: skip


def test_the_card_names_base_settings_and_data(tmp_path):
    write_model_card(tmp_path, RECORD)
    card = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert (front["base_model"], front["library_name"]) == ("org/base", "peft")
    assert "| diversity term | λ = 0.3, D = answer, N = 4 samples a prompt |" in card
    assert "Polychromic LoRA: Diversity-Aware" in card
    assert "| base model | `org/base` at `0123`, nf4 |" in card
    assert "| SHA-256 of `train.jsonl` | `abc` |" in card


def test_timings_stay_out_of_it(tmp_path):
    write_model_card(tmp_path, RECORD)
    first = (tmp_path / "README.md").read_text()
    write_model_card(tmp_path, {**RECORD, "seconds": {"total": 45.6}})
    assert (tmp_path / "README.md").read_text() == first


def test_a_baseline_is_called_one(tmp_path):
    objective = {**RECORD["config"]["objective"], "weight": 0.0}
    write_model_card(tmp_path, {**RECORD, "config": {**RECORD["config"], "objective": objective}})
    card = (tmp_path / "README.md").read_text()
    assert "baseline" in card
    assert "| diversity term | none |" in card
