"""Power before training: against itself on planted data, and its sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.statistics.power import Planted, pass_table, power, power_of_plan, simulate

SIZE = {"prompts": 100, "samples": 10, "seeds": 3, "studies": 200}


@pytest.fixture(scope="module")
def published():
    return power(**SIZE, domains=4)


def test_planted_rates_are_the_simulated_ones():
    planted = Planted(pass_rate=0.25, prompt=2.0)
    control = simulate(np.random.default_rng(0), planted, studies=200, prompts=100, seeds=3, samples=10)[1]
    assert planted.expected(1) == pytest.approx(0.25)
    for k in (1, 10):
        assert pass_table(10, k)[control].mean() == pytest.approx(planted.expected(k), abs=0.01)
    assert planted.expected(10, planted.shift_for(10, 0.08)) - planted.expected(10) == pytest.approx(0.08)


def test_power_rises_with_the_effect_and_the_size(published):
    powers = [point["power"] for point in published["curve"]]
    assert powers[0] < 0.07  # no effect: false gains alone
    assert powers[-1] > 0.95
    assert published["smallest_effect"] < published["smallest_effect_holm"]
    larger = power(prompts=200, samples=10, seeds=5, studies=200, domains=4)
    assert larger["smallest_effect"] < published["smallest_effect"]
    assert larger["smallest_margin"] < published["smallest_margin"]
    assert larger["noninferiority_power"] > published["noninferiority_power"]


def test_at_the_smallest_margin_the_power_is_80_percent(published):
    again = power(**SIZE, domains=4, margin=published["smallest_margin"])
    assert again["noninferiority_power"] == pytest.approx(0.8, abs=0.01)


def test_it_is_reproducible_json(published):
    assert power(**SIZE, domains=4) == json.loads(json.dumps(published))


def test_a_study_too_small_to_see_anything_says_so():
    plan = {
        "seeds": [1, 2],
        "sampling": {"test_prompts": 4, "samples": 10},
        "domains": {"code": {}},
        "k": [1, 10],
        "plan": {"alpha": 0.05, "margin": 0.05, "seed": 0},
    }
    found = power_of_plan(plan)
    assert found["smallest_effect"] is None
    assert "no gain in Pass@10 that was tried" in found["sentence"]


def test_pass_at_k_needs_k_samples():
    with pytest.raises(StudyError, match="at least 10 samples"):
        power(prompts=10, samples=5, seeds=3)
    with pytest.raises(StudyError, match="cannot rise"):
        Planted(pass_rate=0.9).shift_for(10, 0.5)
