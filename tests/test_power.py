"""Power before training: planted studies with the rates that were asked for, and the sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.statistics.planted import TEMPERATURES, Skill, pass_table, train, with_gain
from polychromic.statistics.power import power, power_of_plan

SIZE = {"prompts": 60, "samples": 10, "seeds": 3, "studies": 60}


@pytest.fixture(scope="module")
def small():
    return power(**SIZE, domains=4)


def test_planted_rates_are_the_simulated_ones():
    rng, skill = np.random.default_rng(0), Skill()
    ability = rng.standard_normal((300, 60))
    passing = train(rng, skill, 300, 3).passing(rng, ability, TEMPERATURES)
    for k in (1, 10):
        means = pass_table(10, k)[passing].mean((0, 1, 2))
        assert means == pytest.approx([skill.expected(k, t) for t in TEMPERATURES], abs=0.012)


def test_pass_at_10_of_the_planted_control_rises_and_falls_with_temperature():
    deep = [Skill().expected(10, t) for t in TEMPERATURES]
    best = int(np.argmax(deep))
    assert 0 < best < len(deep) - 1
    ones = [Skill().expected(1, t) for t in TEMPERATURES]
    assert ones == sorted(ones, reverse=True)


def test_a_planted_gain_is_in_the_best_temperatures():
    control = Skill()
    gained = with_gain(control, 0.065, 0.01)
    assert gained.best(10) - control.best(10) == pytest.approx(0.065, abs=1e-6)
    assert gained.best(1) - control.best(1) == pytest.approx(-0.01, abs=1e-6)
    with pytest.raises(StudyError, match="smaller gain"):
        with_gain(control, 0.5)


def test_power_rises_with_the_effect_and_the_size(small):
    powers = [point["power"] for point in small["curve"]]
    assert powers[0] < 0.07  # no effect: false gains alone
    assert powers[-1] > 0.8
    assert small["smallest_effect_pooled"] < small["smallest_effect"]
    larger = power(prompts=120, samples=10, seeds=5, studies=60, domains=4)
    assert larger["smallest_effect"] < small["smallest_effect"]
    assert larger["smallest_margin"] < small["smallest_margin"]
    assert larger["noninferiority_power"] > small["noninferiority_power"]


def test_how_many_seeds_find_the_reference_gain_is_printed(small):
    needed = small["seeds_for"]
    assert needed["gain"] == 0.065
    assert needed["pooled"] in (3, 5)
    assert needed["domain"] is None or needed["domain"] > needed["pooled"]


def test_it_is_reproducible_json():
    first, second = (power(**SIZE | {"prompts": 20, "studies": 20}, domains=4) for _ in "ab")
    assert first == json.loads(json.dumps(second))


PLAN = {
    "seeds": [1, 2],
    "sampling": {"test_prompts": 4, "samples": 10, "temperature": 0.7, "frontier": [1.0]},
    "domains": {"code": {}},
    "k": [1, 10],
    "plan": {"alpha": 0.05, "margin": 0.05, "seed": 0},
}


def test_of_one_domain_among_several_the_gain_that_the_rule_can_find_is_said(monkeypatch):
    found = power(**SIZE | {"prompts": 20, "studies": 20}, domains=4)
    found |= {"smallest_effect": 0.138, "smallest_effect_holm": 0.184}
    monkeypatch.setattr("polychromic.statistics.power.power", lambda **_: found)
    assert "in a domain, after Holm's adjustment, a gain of 0.184 is found" in power_of_plan(PLAN)["sentence"]


def test_a_study_too_small_to_see_anything_says_so():
    found = power_of_plan(PLAN)
    assert found["smallest_effect"] is None
    assert "no gain that was tried" in found["sentence"]


def test_pass_at_k_needs_k_samples():
    with pytest.raises(StudyError, match="at least 10 samples"):
        power(prompts=10, samples=5, seeds=3)
