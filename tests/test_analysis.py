"""From tables to statistics: the shapes and columns, and every refusal by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from polychromic.errors import StudyError
from polychromic.metric_registry import column_of
from polychromic.metrics.signed_tables import sign
from polychromic.statistics.analysis import analyse
from polychromic.statistics.effect_sizes import mann_whitney_u
from polychromic.statistics.inference import two_way_t

SEEDS, TEMPERATURES, N = (42, 123, 456), (0.7, 1.0, 1.3), 10
ARMS = ("zero_shot", "lora", "polychromic", "polychromic_literal")
# (mean, spread) of ability on the logit scale by arm
SKILL = {
    "zero_shot": (-2, 1),
    "lora": (-1.2, 3),
    "polychromic": (-0.8, 0.8),
    "polychromic_literal": (-1.2, 2.8),
}


def make_plan(domains=("code", "qa"), arms=ARMS, seeds=SEEDS) -> dict:
    return {
        "study": "planted",
        "plan": {
            "primary": "polychromic", "control": "lora", "literal": "polychromic_literal",
            "alpha": 0.05, "margin": 0.05, "replicates": 200, "seed": 0, "prior_df": 4.0,
            "controls": [], "placebos": [],
        },
        "domains": {domain: {"quality_metric": "rouge_l", "verifier": "similarity"} for domain in domains},
        "arms": list(arms),
        "arm_kinds": {arm: "prompt" if arm.endswith("_shot") else "train" for arm in arms},
        "plan_sha256": "5a" * 32,
        "seeds": list(seeds),
        "sampling": {"samples": N, "temperature": 0.7, "frontier": [1.0, 1.3], "test_prompts": 40},
        "k": [1, 5, 10],
    }  # fmt: skip


def make_tables(plan, prompts=40, skill=SKILL, seed=0) -> dict:
    rng, tables = np.random.default_rng(seed), {}
    for domain in plan["domains"]:
        ability = rng.standard_normal(prompts)
        for arm in plan["arms"]:
            base, spread = skill.get(arm, (-1, 1))
            arm_tables = {}
            for kind, ts in (("passes", TEMPERATURES), ("passes_val", TEMPERATURES)):
                ts = ts[:1] if arm == "zero_shot" else ts
                cells = pd.MultiIndex.from_product(
                    [plan["seeds"], [f"p{i:02d}" for i in range(prompts)], ts],
                    names=["seed", "prompt_id", "temperature"],
                ).to_frame(index=False)
                level = (
                    base + spread * ability[cells["prompt_id"].str[1:].astype(int)] - 0.8 * (cells["temperature"] - 0.7)
                )
                chance = 1 / (1 + np.exp(-level))
                samples = cells.loc[cells.index.repeat(N)].assign(sample=list(range(N)) * len(cells))
                samples["passed"] = rng.random(len(samples)) < np.repeat(chance.to_numpy(), N)
                arm_tables[kind] = samples.assign(status="", score=0.0, label=None).sample(frac=1, random_state=1)
                if kind == "passes":
                    n = len(cells)
                    arm_tables["diversity"] = cells.assign(
                        samples=N,
                        passing=1,
                        distinct_2=rng.random(n),
                        semantic_diversity=0.1 * spread + rng.random(n),
                    )
                    arm_tables["quality"] = cells.assign(
                        rouge_l=rng.normal(0.3, 0.02, n),
                        bertscore=np.where(cells["temperature"] == 0.7, rng.random(n), np.nan),
                    )
            if arm == "polychromic":
                judged = cells[cells["temperature"] == 0.7].drop(columns="temperature")
                judged = judged[judged["prompt_id"] < "p10"]
                arm_tables["judge"] = judged.assign(
                    winner=rng.choice(["arm", "tie", "control"], len(judged)), length_arm=9, length_control=9
                )
            tables.setdefault(domain, {})[arm] = arm_tables
    return tables


@pytest.fixture(scope="module")
def plan():
    return make_plan()


@pytest.fixture(scope="module")
def tables(plan):
    return make_tables(plan)


@pytest.fixture(scope="module")
def analysis(plan, tables):
    return analyse(tables, plan)


def array_of(tables, domain, arm, temperature, reduce):
    rows = tables[domain][arm]["passes"].query("temperature == @temperature")
    return rows.groupby(["prompt_id", "seed"])["passed"].agg(reduce).unstack().to_numpy(float)


def row_of(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_every_table_has_its_agreed_columns(analysis):
    assert list(analysis.summary.columns) == [
        *("domain", "metric", "arm", "temperature", "value", "low", "high"),
        *("n_prompts", "n_seeds", "n_samples", "over", "signature"),
    ]
    assert list(analysis.pairwise.columns) == [
        *("domain", "metric", "temperature", "arm", "control", "difference", "low", "high", "p", "p_holm"),
        *("u", "p_mwu", "d_pooled", "d_pooled_low", "d_pooled_high"),
        *("d_paired", "d_paired_low", "d_paired_high", "n_prompts", "n_seeds", "over", "signature", "reading"),
    ]
    for frame in (analysis.summary, analysis.pairwise, analysis.hypotheses, analysis.frontier):
        sized = frame[["n_prompts", "n_seeds"]].itertuples(index=False)
        for signature, (prompts, seeds) in zip(frame["signature"], sized, strict=True):
            assert signature.endswith(f"|prompts:{prompts}|seeds:{seeds}")
    assert not analysis.summary.duplicated(["domain", "metric", "arm", "temperature"]).any()


def test_numbers_are_those_of_the_functions(analysis, tables):
    x, y = (array_of(tables, "qa", arm, 0.7, "mean") for arm in ("polychromic", "lora"))
    row = row_of(analysis.pairwise, domain="qa", metric="pass_at_1", temperature=0.7, arm="polychromic", control="lora")
    expected = two_way_t(x, y)
    assert (row["difference"], row["low"], row["p"]) == pytest.approx((expected.difference, expected.low, expected.p))
    assert row["u"] == mann_whitney_u(x, y).u
    mean = row_of(analysis.summary, domain="qa", metric="pass_at_1", temperature=0.7, arm="lora")
    assert mean["value"] == pytest.approx(y.mean())
    assert mean["low"] < mean["value"] < mean["high"]
    deep = row_of(analysis.summary, domain="qa", metric="pass_at_10", temperature=0.7, arm="lora")
    assert deep["value"] == pytest.approx(array_of(tables, "qa", "lora", 0.7, "max").mean())


def test_pooled_rows_average_the_domains(analysis):
    where = {"metric": "pass_at_10", "temperature": 0.7, "arm": "polychromic", "control": "lora"}
    one, two, both = (row_of(analysis.pairwise, domain=d, **where) for d in ("code", "qa", "pooled"))
    assert both["difference"] == pytest.approx((one["difference"] + two["difference"]) / 2)
    assert both["high"] - both["low"] < one["high"] - one["low"]
    assert both["n_prompts"] == 80
    assert both["p_holm"] == both["p"]


def test_holm_is_over_the_domains(analysis):
    where = {"metric": "pass_at_10", "temperature": 0.7, "arm": "polychromic_literal", "control": "lora"}
    rows = [row_of(analysis.pairwise, domain=d, **where) for d in ("code", "qa")]
    small, large = sorted(rows, key=lambda row: row["p"])
    assert small["p_holm"] == pytest.approx(min(1, 2 * small["p"]))
    assert large["p_holm"] == pytest.approx(max(large["p"], small["p_holm"]))


def test_all_pairs_at_the_primary_temperature_and_the_control_elsewhere(analysis):
    rows = analysis.pairwise.query("domain == 'code' and metric == 'pass_at_1'")
    assert len(rows[rows["temperature"] == 0.7]) == 6
    assert set(rows[rows["temperature"] == 1.3]["control"]) == {"lora"}
    assert set(rows[rows["temperature"] == 1.3]["arm"]) == {"polychromic", "polychromic_literal"}


def test_a_metric_of_one_temperature_has_rows_there_only(analysis):
    assert set(analysis.summary.query("metric == 'bertscore'")["temperature"]) == {0.7}


def test_the_front_has_every_temperature_of_an_arm_and_no_gain_of_the_control(analysis):
    frontier = analysis.frontier
    assert not frontier.query("arm == 'lora'")["defined"].any()
    assert len(frontier.query("arm == 'zero_shot'")) == 2
    assert {"pass_at_5_low", "gain_over_control_frontier", "gain_low", "gain_high"} <= set(frontier.columns)
    assert frontier["gain_low"].notna().equals(frontier["defined"])


def test_the_primary_arm_is_tested_for_superiority_noninferiority_and_the_front(analysis):
    rows = analysis.hypotheses.query("arm == 'polychromic' and domain == 'code'")
    assert (
        list(rows["hypothesis"]) == ["superiority", "noninferiority", "noninferiority", "frontier"] + ["published"] * 3
    )
    superiority = rows.iloc[0]
    assert superiority["low_simultaneous"] < superiority["low"]
    assert superiority["metric"] == "pass_at_10"
    assert superiority["holds"]


def test_judge_is_a_win_rate_against_one_half(analysis, tables):
    wins = tables["code"]["polychromic"]["judge"]["winner"].map({"arm": 1, "tie": 0.5, "control": 0})
    row = row_of(analysis.pairwise, domain="code", metric="judge_win_rate")
    assert row["difference"] == pytest.approx(wins.mean() - 0.5)
    assert np.isnan(row["d_pooled"])
    assert row_of(analysis.summary, domain="code", metric="judge_win_rate")["n_prompts"] == 10


def test_the_win_rate_at_equal_length_is_given_with_the_raw_one(plan, tables):
    judged = tables["code"]["polychromic"]["judge"]
    rng = np.random.default_rng(0)
    gap = rng.normal(0, 8, len(judged))
    longer_wins = judged.assign(
        winner=np.where(rng.random(len(judged)) < 1 / (1 + np.exp(-gap)), "arm", "control"),
        length_arm=50 + gap + 4,
        length_control=50,
    )
    summary = analyse(replaced(tables, "code", "polychromic", "judge", longer_wins), plan).summary
    row = row_of(summary, domain="code", metric="judge_win_rate_length_controlled")
    assert row["low"] < row["value"] < row["high"]
    assert row["over"] == "prompts only"
    assert (row["n_samples"], row["n_prompts"]) == (1, 10)


def test_undefined_diversity_is_left_out_in_pairs_and_said(plan, tables):
    frame = tables["code"]["lora"]["diversity"].copy()
    frame.loc[(frame["prompt_id"] == "p03") & (frame["seed"] == 42) & (frame["temperature"] == 0.7), "distinct_2"] = (
        np.nan
    )
    found = analyse(replaced(tables, "code", "lora", "diversity", frame), plan)
    row = row_of(found.pairwise, domain="code", metric="distinct_2", temperature=0.7, arm="polychromic", control="lora")
    assert row["n_prompts"] == 39
    assert found.notes[:1] == [
        "Measures of words are undefined where a prompt's samples have too few of them: Distinct-2. In Code, 1 of 40 "
        "prompts have no value (1 combination of arm, temperature and metric) and are left out of its means and "
        "comparisons."
    ]


def test_what_is_undefined_is_said_in_a_line_a_kind(plan, tables):
    changed = tables
    holes = {("code", "lora"): 3, ("qa", "polychromic"): 5}
    for domain in plan["domains"]:
        for arm in plan["arms"]:
            frame = changed[domain][arm]["diversity"].copy()
            undefined = frame["prompt_id"] < f"p{holes.get((domain, arm), 0):02d}"
            frame["distinct_2_passing"] = np.where(undefined, np.nan, 0.5)
            changed = replaced(changed, domain, arm, "diversity", frame)
    judged = tables["qa"]["polychromic"]["judge"]
    unread = judged.assign(winner=judged["winner"].where(judged["prompt_id"] != "p02", None))
    found = analyse(replaced(changed, "qa", "polychromic", "judge", unread), plan)
    passing, judge = sorted(found.notes[:2], key=lambda note: "judge" in note)
    assert "Distinct-2 (passing). In Code, Question answering, 3 to 5 of 40 prompts" in passing
    assert "judge's replies could be read: Win rate. In Question answering, 1 of 10 prompts" in judge
    assert row_of(found.summary, domain="qa", metric="judge_win_rate")["n_prompts"] == 9


def test_a_quality_metric_that_some_prompts_lack_is_compared_on_the_others(plan, tables):
    changed = tables
    plan = plan | {"domains": plan["domains"] | {"qa": plan["domains"]["qa"] | {"quality_metric": "rouge_2"}}}
    for domain in plan["domains"]:
        for arm in plan["arms"]:
            frame = changed[domain][arm]["quality"]
            frame = frame.assign(rouge_2=frame["rouge_l"].where(frame["prompt_id"] != "p03"))
            changed = replaced(changed, domain, arm, "quality", frame)
    asked = {"domain": "qa", "metric": "rouge_2", "arm": "polychromic", "hypothesis": "noninferiority"}
    found = row_of(analyse(changed, plan).hypotheses, **asked)
    assert found["n_prompts"] == 39
    assert found["low_simultaneous"] <= found["low"] <= found["high"] <= found["high_simultaneous"]


def replaced(tables, domain, arm, kind, frame):
    return tables | {domain: tables[domain] | {arm: tables[domain][arm] | {kind: frame}}}


def drop_arm(tables):
    return tables | {"qa": {a: t for a, t in tables["qa"].items() if a != "polychromic"}}


def edit(arm, kind, change):
    return lambda tables: replaced(tables, "qa", arm, kind, change(tables["qa"][arm][kind].copy()))


def hole(frame):
    frame.loc[frame.index[frame["temperature"] == 0.7][0], "rouge_l"] = np.nan
    return frame


LORA, POLYCHROMIC = "qa/lora", "qa/polychromic"


def test_a_plan_asks_for_a_metric_that_was_measured(plan, tables):
    domains = {domain: settings | {"quality_metric": "token_f1"} for domain, settings in plan["domains"].items()}
    with pytest.raises(StudyError, match="code/zero_shot: the plan's metric token_f1 was not measured"):
        analyse(tables, plan | {"domains": domains})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_arm, "qa: no tables of polychromic"),
        (
            edit("lora", "passes", lambda f: f[f["seed"] != 123]),
            f"{LORA}/passes.parquet: training seeds .* missing 123",
        ),
        (
            edit("polychromic", "passes", lambda f: f[f["prompt_id"] != "p07"]),
            f"{POLYCHROMIC}/passes.parquet: prompts differ .* missing p07",
        ),
        (
            edit("polychromic", "quality", lambda f: f[f["prompt_id"] != "p07"]),
            f"{POLYCHROMIC}/quality.parquet: prompts .* missing p07",
        ),
        (
            edit("polychromic", "quality", hole),
            f"{POLYCHROMIC}/quality.parquet, T = 0.7: rouge_l is NaN in 1 cells",
        ),
        (
            edit("lora", "passes", lambda f: f.rename(columns={"passed": "correct"})),
            f"{LORA}/passes.parquet has no column passed: another version",
        ),
        (edit("lora", "passes", lambda f: f.iloc[1:]), "9 samples of prompt .* the plan draws 10"),
        (
            edit("lora", "passes", lambda f: f[f["temperature"] != 0.7]),
            "no samples at T = 0.7, which the plan draws",
        ),
        (
            edit("polychromic", "passes", lambda f: f[f["temperature"] != 1.3]),
            f"{POLYCHROMIC}/passes.parquet: no samples at T = 1.3",
        ),
        (
            edit("lora", "passes", lambda f: f.assign(passed=f["passed"].astype(object).where(f.index != 7, None))),
            f"{LORA}/passes.parquet: `passed` is empty in prompt 'p",
        ),
        (
            edit("lora", "diversity", lambda f: f[(f["prompt_id"] != "p07") | (f["seed"] != 42)]),
            f"{LORA}/diversity.parquet: no row of prompt 'p07', seed 42",
        ),
        (
            edit("polychromic", "diversity", lambda f: f.drop(columns="semantic_diversity")),
            f"{POLYCHROMIC}: no semantic_diversity at T = 0.7, which lora has: another version",
        ),
        (
            lambda tables: tables | {"qa": tables["qa"] | {"lora": {"passes": tables["qa"]["lora"]["passes"]}}},
            f"{LORA}/diversity.parquet is missing",
        ),
        (
            edit("lora", "diversity", lambda f: pd.concat([f, f.head(1)])),
            "two rows of prompt 'p00', seed 42",
        ),
        (
            edit("lora", "quality", lambda f: f.drop(columns="rouge_l")),
            f"{LORA}: no rouge_l at T = 0.7, which zero_shot has",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(plan, tables, change, message):
    with pytest.raises(StudyError, match=message):
        analyse(change(tables), plan)


def test_every_arm_is_ruled_on_and_read_at_the_published_temperature(analysis):
    rows = analysis.hypotheses.query("domain == 'qa'")
    for hypothesis in ("superiority", "published"):
        assert set(rows[rows["hypothesis"] == hypothesis]["arm"]) == set(ARMS) - {"lora"}
    assert set(rows[rows["hypothesis"] == "published"]["temperature"]) == {0.7}


def test_intervals_of_rates_stay_in_range(plan):
    skill = dict.fromkeys(ARMS, (2.0, 1.0))
    summary = analyse(make_tables(plan, prompts=8, skill=skill), plan).summary
    for metric in ("pass_at_10", "rouge_l", "distinct_2", "semantic_diversity"):
        rates = summary[summary["metric"] == metric]
        least, most = column_of(metric).metric.bounds
        assert len(rates)
        assert rates["high"].max() <= most
        assert rates["low"].min() >= least


def test_one_seed_is_said():
    plan = make_plan(domains=("code",), arms=("lora", "polychromic"), seeds=(42,))
    found = analyse(make_tables(plan), plan)
    assert "One training seed" in found.notes[0]
    assert set(found.pairwise["over"]) == {"prompts only"}
    assert set(found.pairwise["domain"]) == {"code"}  # nothing to pool


def test_a_signature_names_the_verifier_of_its_domain_alone(plan):
    tables = make_tables(plan, prompts=6)
    verifiers = {"code": "verifier:code", "qa": "verifier:answer"}
    for domain, verifier in verifiers.items():
        for kinds in tables[domain].values():
            kinds["passes"] = sign(kinds["passes"], {"pass_at": verifier})
    found = analyse(tables, plan)
    for frame in (found.summary, found.pairwise, found.frontier, found.hypotheses):
        about = frame if "metric" not in frame else frame[frame["metric"].str.startswith("pass_at")]
        for domain, signature in zip(about["domain"], about["signature"], strict=True):
            for other, verifier in verifiers.items():
                assert (verifier in signature) == (domain in (other, "pooled")), (domain, signature)


def test_ties_everywhere_and_zero_variance():
    plan = make_plan(domains=("code",), arms=("lora", "polychromic"))
    found = analyse(make_tables(plan, skill=dict.fromkeys(ARMS, (-99, 0))), plan)
    row = row_of(found.pairwise, metric="pass_at_10", temperature=0.7)
    assert (row["difference"], row["low"], row["high"], row["p"], row["p_mwu"]) == (0, 0, 0, 1, 1)
    assert row["d_pooled"] == 0
