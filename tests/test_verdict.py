"""The verdict on planted studies: gain, null, harm; the claims; and its schema."""

from __future__ import annotations

import json

import pytest
from test_analysis import make_plan, make_tables

from polychromic import labels
from polychromic.statistics.analysis import analyse
from polychromic.statistics.verdict import verdict

DOORS = {"superior", "noninferior", "above_frontier", "supported", "difference", "low", "high", "p_holm"}
GAINED = {"tuned_control", "placebos", "pooled", "replication", "peers"}
TRAINED = {"weight": 0.0, "samples": 4, "quality": "ce", "rank": 16}


def decide(
    skill,
    *,
    domains=("code",),
    arms=("lora", "polychromic", "polychromic_literal"),
    ablations=None,
    prompts=80,
    **options,
):
    plan = make_plan(domains=domains, arms=arms)
    return verdict(
        analyse(make_tables(plan, prompts=prompts, skill=skill), plan),
        plan | {"ablations": ablations},
        **options,
    )


@pytest.fixture(scope="module")
def gain():
    skill = {"lora": (-1.2, 3.0), "polychromic": (-0.2, 1.0), "polychromic_literal": (-1.2, 3.0)}
    return decide(skill, domains=("code", "qa"))


def test_the_verdict_has_its_schema(gain):
    assert set(gain["domains"]) == {"code", "qa"}
    assert all(set(domain) >= DOORS for domain in gain["domains"].values())
    assert gain["study"] == "planted"
    assert gain["primary_arm"] == "polychromic"
    assert gain["plan_sha256"] == make_plan()["plan_sha256"]
    assert set(gain["claims"]) == {"generality", "cost_in_use", "trade_off", "robustness"}
    assert set(gain) >= GAINED
    assert json.loads(json.dumps(gain)) == gain


def test_a_planted_gain_is_supported(gain):
    for domain in gain["domains"].values():
        assert domain["superior"]
        assert domain["noninferior"]
        assert domain["supported"]
        assert not domain["harmed"]
        assert domain["low"] > 0
        assert "the claim is supported" in domain["sentence"]
    assert gain["claims"]["generality"]["status"] == "not supported"  # the literal arm is plain LoRA here
    assert "in 2 of 2 domains (Code, Question answering)" in gain["claims"]["generality"]["sentence"]


def test_where_nothing_was_gained_nothing_is_supported():
    found = decide(dict.fromkeys(("lora", "polychromic", "polychromic_literal"), (-1.2, 2.0)))
    for domain in found["domains"].values():
        assert not domain["superior"]
        assert not domain["supported"]
        assert not domain["harmed"]
        assert "No difference is shown between" in domain["sentence"]


@pytest.mark.parametrize(("skill", "where"), [((-7.0, 0.1), "floor"), ((7.0, 0.1), "ceiling")])
def test_a_null_without_headroom_is_not_assessable(skill, where):
    domain = decide(dict.fromkeys(("lora", "polychromic", "polychromic_literal"), skill))["domains"]["code"]
    assert domain["no_room"] == where
    assert f"not assessable, as the domain is at its {where}" in domain["sentence"]


def test_a_harm_is_said():
    found = decide({"lora": (-0.5, 2.0), "polychromic": (-3.0, 2.0), "polychromic_literal": (-0.5, 2.0)})
    for domain in found["domains"].values():
        assert domain["harmed"]
        assert not domain["noninferior"]
        assert domain["high"] < 0
        assert "is significantly worse in Pass@1" in domain["sentence"]
        assert "is below LoRA's" in domain["sentence"]


def test_below_the_frontier_nothing_is_claimed_of_it():
    found = decide({"lora": (-1, 1), "polychromic": (-4, 1), "polychromic_literal": (-1, 1)})
    for domain in found["domains"].values():
        assert domain["above_frontier"] is None
        assert "is below LoRA's at any temperature" in domain["sentence"]


def test_without_a_frontier_it_says_so():
    plan = make_plan(domains=("code",), arms=("lora", "polychromic"))
    plan["sampling"] = plan["sampling"] | {"frontier": []}
    cold = make_tables(plan, skill={})
    for tables in cold["code"].values():
        for name in ("passes", "passes_val", "diversity", "quality"):
            tables[name] = tables[name][tables[name]["temperature"] == 0.7]
    found = verdict(analyse(cold, plan), plan)["domains"]["code"]
    assert found["above_frontier"] is None
    assert "temperature frontier was not drawn" in found["sentence"]
    assert "validation" not in found["sentence"]


def test_that_fine_tuning_itself_cost_pass_at_k_is_said():
    arms = ("zero_shot", "lora", "polychromic")
    wide, narrow = (0.0, 0.5), (-1.2, 3.0)
    found = decide({"zero_shot": wide, "lora": narrow, "polychromic": (-0.9, 2.0)}, arms=arms)["domains"]["code"]
    assert found["untrained_above"] == ["zero_shot"]
    assert "Zero-shot, untrained, has a higher Pass@10 than LoRA at T = 0.7: +0." in found["sentence"]
    assert "fine-tuning itself cost Pass@10 here; Polychromic is below Zero-shot: −0." in found["sentence"]
    # The order of the arms in the plan does not turn the sign.
    turned = decide({"zero_shot": wide, "lora": narrow, "polychromic": (-0.9, 2.0)}, arms=(*arms[1:], "zero_shot"))
    assert "Polychromic is below Zero-shot: −0." in turned["domains"]["code"]["sentence"]
    null = decide(dict.fromkeys(arms, narrow), arms=arms)["domains"]["code"]
    assert null["untrained_above"] == []
    assert "fine-tuning" not in null["sentence"]


def test_robustness_reads_the_ablation_over_lambda_only(gain):
    assert gain["claims"]["robustness"]["status"] == "not run"
    arms = ("lora", "polychromic", "polychromic_l010", "polychromic_l050", "polychromic_n2")
    skill = {"lora": (-1.2, 3.0)} | dict.fromkeys(arms[1:], (-0.2, 1.0))
    ablations = {
        "lora": TRAINED,
        "polychromic": TRAINED | {"weight": 0.3},
        "polychromic_l010": TRAINED | {"weight": 0.1},
        "polychromic_l050": TRAINED | {"weight": 0.5},
        "polychromic_n2": TRAINED | {"weight": 0.4, "samples": 2},
    }
    found = decide(skill, arms=arms, ablations=ablations)["claims"]
    assert found["robustness"]["status"] == "supported"
    assert found["robustness"]["sentence"].count("λ =") == 3
    assert found["generality"]["status"] == "not run"
    assert found["cost_in_use"]["status"] == "supported"


def test_a_larger_adapter_is_not_efficient():
    ablations = {"lora": TRAINED, "polychromic": TRAINED | {"rank": 32}}
    found = decide({}, arms=("lora", "polychromic"), ablations=ablations, prompts=10)
    assert found["claims"]["cost_in_use"]["status"] == "not supported"


def test_a_changed_plan_is_said():
    skill = {"lora": (-1, 1), "polychromic": (-1, 1)}
    for registered, changed in ((None, None), ("0" * 64, True)):
        assert decide(skill, arms=("lora", "polychromic"), prompts=20, registered=registered)["plan_changed"] is changed


def test_variety_is_of_classes_wherever_the_verifier_tells_answers_apart():
    plan = make_plan(domains=("countdown",), arms=("lora", "polychromic"))
    tables = make_tables(plan)
    for arm in tables["countdown"].values():
        arm["diversity"] = arm["diversity"].assign(classes=2.0)
    sentence = verdict(analyse(tables, plan), plan)["claims"]["trade_off"]["sentence"]
    assert labels.metric("classes") in sentence
