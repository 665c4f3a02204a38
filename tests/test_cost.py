"""The estimate of hours, dollars and memory that `python -m polychromic check` prints before a study starts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import REPOSITORY
from transformers import Qwen3Config

from polychromic.config.loading import load_study
from polychromic.errors import StudyError
from polychromic.workflow import cost
from polychromic.workflow.check import check_cost
from polychromic.workflow.cost import CARDS, QWEN3_8B, Shape, card_called, estimate


@pytest.fixture(scope="module")
def study():
    return load_study(str(REPOSITORY / "config.yaml"))


def with_objective(study, **changed):
    return study.model_copy(update={"objective": study.objective.model_copy(update=changed)})


def test_the_published_settings_take_half_as_long_again_as_lora_and_fit_into_24_gb(study):
    """polychromic takes at most 1.5 times as long as LoRA on an A100, fits into 24 GB, and the old settings did not."""
    assert estimate(study, QWEN3_8B, CARDS["A100"]).ratio <= 1.5
    assert estimate(study, QWEN3_8B, CARDS["4090"]).memory <= 24
    before = with_objective(study, every=5, prompts=16, score_tokens=400)
    assert estimate(before, QWEN3_8B, CARDS["A100"]).ratio > 1.9


def test_the_size_of_a_model_is_read_from_its_config():
    config = Qwen3Config(
        num_hidden_layers=36, hidden_size=4096, intermediate_size=12288, num_attention_heads=32, num_key_value_heads=8,
        head_dim=128, vocab_size=151_936, tie_word_embeddings=False,
    )  # fmt: skip
    assert Shape.of(config) == QWEN3_8B
    assert QWEN3_8B.in_layers + 2 * QWEN3_8B.head == pytest.approx(8.19e9, rel=0.01)  # 8.2 B, says its card
    assert QWEN3_8B.adapter(16) == pytest.approx(43.6e6, rel=0.01)


@settings(max_examples=20, deadline=None)
@given(every=st.integers(1, 12), prompts=st.integers(1, 32), samples=st.integers(2, 8), card=st.sampled_from([*CARDS]))
def test_more_work_costs_more(study, every, prompts, samples, card):
    of = {"every": every, "prompts": prompts, "samples": samples}

    def estimated(**changed):
        return estimate(with_objective(study, **of | changed), QWEN3_8B, CARDS[card])

    base = estimated()
    assert base.ratio > 1
    assert estimated(every=every + 1).ratio <= base.ratio
    assert estimated(prompts=prompts + 1).training_hours >= base.training_hours
    assert estimated(samples=samples + 1).ratio >= base.ratio
    assert estimated(score_tokens=4000).memory >= base.memory


def test_cards_go_by_the_name_of_the_device():
    assert card_called("NVIDIA H100 80GB HBM3") == ("H100", CARDS["H100"])
    assert card_called("NVIDIA L40S")[0] == "L40S"
    assert card_called("NVIDIA RTX A6000")[0] == "A6000"
    assert card_called("Voodoo 2") is None


def test_the_check_gives_hours_dollars_and_memory(study, monkeypatch):
    monkeypatch.setattr(cost, "shape_of", lambda name, revision: QWEN3_8B)
    line = check_cost(study, "4090")
    found = estimate(study, QWEN3_8B, CARDS["4090"])
    assert f"estimate for 4090: {found.training_hours:.0f} h of training" in line
    assert f"{found.dollars:.0f} dollars at 0.76 an hour, {found.memory:.0f} of 24 GB" in line
    assert "polychromic takes" in line
    with pytest.raises(StudyError, match="It does not fit: lower objective.score_tokens"):
        check_cost(with_objective(study, score_tokens=8000), "4090")
    assert "--card names one of L4, " in check_cost(study, "Voodoo 2")
