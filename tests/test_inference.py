"""Inference: agreement with scipy, statsmodels and published numbers; its promises on planted data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from polychromic.errors import StudyError
from polychromic.statistics.effect_sizes import (
    cohens_d,
    cohens_d_paired,
    mann_whitney_u,
    paired_effect,
    pooled_effect,
)
from polychromic.statistics.inference import (
    bonferroni_level,
    bootstrap_parts,
    bootstrap_statistic,
    crossed_bootstrap,
    holm,
    noninferior,
    pool,
    shrink_seeds,
    two_way_t,
)
from polychromic.statistics.planted import Skill, pass_table, train, with_gain


def simulate(rng, control, treatment=None, *, studies, prompts, seeds, samples=10):
    """Passing samples of treatment and control at T = 0.7, two integer arrays [studies, prompts, seeds]."""
    ability = rng.standard_normal((studies, prompts))
    arms = [train(rng, skill, studies, seeds) for skill in (treatment or control, control)]
    return [arm.passing(rng, ability, (0.7,), samples)[..., 0] for arm in arms]


# scipy v1.x, scipy/stats/_mannwhitneyu.py, docstring
SMALL = [19, 22, 16, 29, 24], [20, 11, 17, 12]
# R's wilcox.test, as in scipy/stats/tests/test_hypotests.py, TestMannWhitneyU
LARGE = (
    [210.05211, 110.19063, 307.918612],
    [
        *(436.08811482466416, 416.3739732976819, 179.96975939463582, 197.8118754228619, 34.038757281225756),
        *(138.54220550921517, 128.7769351470246, 265.9272142795185, 275.6617533155341, 592.3408339541626),
        *(448.7317759061702, 300.61495185038905, 187.97508449019588),
    ],
)


@pytest.mark.parametrize(
    ("samples", "options", "u", "p"),
    [
        (SMALL, {"method": "exact"}, 17.0, 0.1111111111111111),
        (SMALL, {"method": "asymptotic"}, 17.0, 0.11134688653314041),
        (SMALL, {"method": "asymptotic", "use_continuity": False}, 17.0, 0.0864107329737),
        (LARGE, {"method": "asymptotic"}, 16.0, 0.6865041817876),
        (LARGE, {"method": "exact"}, 16.0, 0.7035714285714),
        (LARGE[::-1], {"method": "asymptotic", "use_continuity": False}, 23.0, 0.6377328900502),
        (([1, 2, 3, 4], [1, 2, 3, 4, 5]), {"method": "asymptotic"}, 8.0, 0.7086240584439),  # ties
    ],
)
def test_mann_whitney_gives_published_values(samples, options, u, p):
    found = mann_whitney_u(*samples, **options)
    assert (found.u, found.p) == pytest.approx((u, p), abs=1e-12)


def test_mann_whitney_of_ties_alone_is_no_difference():
    assert mann_whitney_u([1, 1, 1], [1, 1]) == (3.0, 1.0)


def test_cohens_d_gives_published_values():
    # pingouin, effsize.py docstring; tests/test_effsize.py (R effsize)
    assert cohens_d([1, 2, 3, 4], [3, 4, 5, 6, 7]) == pytest.approx(-1.707825127659933, abs=1e-12)
    x, y = [3.2, 6.4, 1.8, 2.4, 5.8, 6.5], [2.4, 3.2, 3.2, 1.4, 2.8, 3.5]
    assert cohens_d(x, y) == pytest.approx(1.002549, abs=1e-5)


def test_paired_d_is_the_paired_t_over_root_n():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.3, 1, (2, 40))
    assert cohens_d_paired(x, y) == pytest.approx(stats.ttest_rel(x, y).statistic / np.sqrt(40))


def test_effects_of_constants_are_zero_or_infinite_and_never_a_crash():
    assert cohens_d([1, 1], [1, 1]) == 0
    assert cohens_d([2, 2], [1, 1]) == np.inf
    assert cohens_d_paired([1, 2], [2, 3]) == -np.inf
    none = pooled_effect(np.ones((3, 2)), np.ones((3, 2)))
    assert (none.difference, none.low, none.high) == (0, 0, 0)
    infinite = pooled_effect(np.ones((3, 2)), np.zeros((3, 2)))
    assert infinite.difference == np.inf
    assert np.isnan(infinite.low)


def test_effect_intervals_match_a_bootstrap_of_the_effect_itself():
    rng = np.random.default_rng(1)
    prompt = rng.normal(0, 0.5, (300, 1))
    x = 0.2 + prompt + rng.normal(0, 1, (300, 3))
    y = prompt + rng.normal(0, 1, (300, 3))

    def pooled(one, two):
        spread = ((one[..., 1] - one[..., 0] ** 2) + (two[..., 1] - two[..., 0] ** 2)) / 2
        return (one[..., 0] - two[..., 0]) / np.sqrt(spread)

    resampled = bootstrap_statistic([np.stack([a, a**2], -1) for a in (x, y)], pooled, replicates=4000)
    linear = pooled_effect(x, y)
    assert linear.difference == pytest.approx(resampled.difference, abs=2e-3)
    assert (linear.low, linear.high) == pytest.approx((resampled.low, resampled.high), abs=0.02)


def test_paired_effect_without_seed_effects_is_near_the_exact_interval():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.4, 1, (400, 1)), rng.normal(0, 1, (400, 1))
    found = paired_effect(x, y)
    t = found.difference * 20
    exact = [  # noncentral t, Steiger & Fouladi (1997)
        _solve(lambda nc, q=q: stats.nct.cdf(t, 399, nc) - q, 0, 20) / 20 for q in (0.975, 0.025)
    ]
    assert (found.low, found.high) == pytest.approx(tuple(exact), abs=0.01)


def _solve(function, low, high):
    from scipy.optimize import brentq

    return brentq(function, low, high)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [  # pingouin, multicomp.py docstring and tests/test_multicomp.py (R p.adjust)
        ([0.5, 0.003, 0.32, 0.054, 0.0003], [0.64, 0.012, 0.64, 0.162, 0.0015]),
        ([0.52, 0.12, 0.0001, 0.03, 0.14], [0.52, 0.36, 0.0005, 0.12, 0.36]),
        ([0.52, 0.12, 0.1, 0.3, 0.14], [0.6, 0.5, 0.5, 0.6, 0.5]),
    ],
)
def test_holm_gives_published_values(p, adjusted):
    assert holm(p) == pytest.approx(adjusted)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_bonferroni_intervals_agree_with_adjusted_p_values():
    p = [0.52, 0.12, 0.0001, 0.03, 0.14]  # adjusted by R's p.adjust: 1, .6, .0005, .15, .7
    assert multipletests(p, method="bonferroni")[1] == pytest.approx([1, 0.6, 0.0005, 0.15, 0.7])
    assert [v < 1 - bonferroni_level(0.95, 5) for v in p] == [False, False, True, False, False]


def test_holm_refuses_what_is_no_p_value():
    with pytest.raises(StudyError, match=r"1\.2"):
        holm([0.1, 1.2])
    assert holm([]).size == 0


def test_one_seed_is_the_paired_t_over_prompts_and_says_so():
    rng = np.random.default_rng(3)
    x, y = rng.random((50, 1)), rng.random((50, 1))
    found, scipys = two_way_t(x, y), stats.ttest_rel(x[:, 0], y[:, 0])
    assert found.p == pytest.approx(scipys.pvalue)
    low, high = scipys.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.over == "prompts only"
    assert two_way_t(rng.random((50, 3)), rng.random((50, 2))).over == "prompts and seeds"


def test_seeds_alone_are_the_welch_t_over_seed_means():
    """With no variation over prompts but rounding, only the seeds are left."""
    rng = np.random.default_rng(4)
    x, y = np.tile(rng.random((1, 4)), (30, 1)), np.tile(rng.random((1, 5)), (30, 1))
    assert two_way_t(x, y).p == pytest.approx(stats.ttest_ind(x[0], y[0], equal_var=False).pvalue)
    gap = np.tile(rng.random((1, 4)), (30, 1))
    assert two_way_t(x, gap, paired_seeds=True).p == pytest.approx(stats.ttest_rel(x[0], gap[0]).pvalue)


@pytest.mark.parametrize(("seed", "paired"), [(0.0, False), (0.3, False), (0.3, True)])
def test_bootstrap_and_closed_form_are_one_inference(seed, paired):
    planted = Skill(seed=seed)
    for treatment, control in zip(
        *simulate(np.random.default_rng(5), planted, studies=3, prompts=150, seeds=3), strict=True
    ):
        x, y = treatment / 10, control / 10
        closed = two_way_t(x, y, paired_seeds=paired)
        drawn = crossed_bootstrap(x, y, replicates=10_000, paired_seeds=paired)
        assert drawn.difference == pytest.approx(closed.difference)
        assert drawn.se == pytest.approx(closed.se, rel=0.05)
        assert drawn.high - drawn.low == pytest.approx(closed.high - closed.low, rel=0.12)


def test_bootstrap_is_reproducible_and_its_seed_matters():
    x, y = np.random.default_rng(6).random((2, 20, 3))
    assert crossed_bootstrap(x, y) == crossed_bootstrap(x, y)
    assert crossed_bootstrap(x, y).se != crossed_bootstrap(x, y, seed=99).se


@pytest.mark.parametrize("function", [two_way_t, crossed_bootstrap])
def test_zero_variance_is_defined(function):
    same, more = np.full((20, 3), 0.3), np.full((20, 3), 0.4)
    tie, gain = function(same, same), function(more, same)
    assert (tie.difference, tie.low, tie.high, tie.p) == (0, 0, 0, 1)
    assert (gain.low, gain.high, gain.p) == pytest.approx((0.1, 0.1, 0))
    assert function(same).low == pytest.approx(0.3)


@pytest.mark.parametrize("function", [two_way_t, crossed_bootstrap])
def test_bad_input_is_refused_by_name(function):
    good = np.random.default_rng(7).random((10, 3))
    hole = good.copy()
    hole[4, 1] = np.nan
    with pytest.raises(StudyError, match=r"control: value at \(4, 1\)"):
        function(good, hole)
    with pytest.raises(StudyError, match="10 prompts and control 9"):
        function(good, good[:9])
    with pytest.raises(StudyError, match=r"\[prompts, seeds\]"):
        function(good[:, 0], good[:, 0])
    with pytest.raises(StudyError, match="two prompts"):
        function(good[:1], good[:1])
    with pytest.raises(StudyError, match="cannot be paired"):
        function(good, good[:, :2], paired_seeds=True)


def test_leading_axes_are_independent_comparisons():
    x, y = np.random.default_rng(8).random((2, 4, 30, 3))
    together = two_way_t(x, y)
    assert together.p == pytest.approx([two_way_t(a, b).p for a, b in zip(x, y, strict=True)])


def test_noninferiority_reads_the_interval():
    rng = np.random.default_rng(9)
    x = np.repeat(rng.random((100, 1)), 3, axis=1)
    found = two_way_t(x - 0.02, x + rng.normal(0, 0.01, x.shape))
    assert found.p < 0.05  # a real loss
    assert noninferior(found, 0.05)  # yet a small one
    assert not noninferior(found, 0.01)
    with pytest.raises(StudyError, match="above 0"):
        noninferior(found, 0)


def test_a_large_seed_effect_is_not_taken_for_the_method():
    """Four prompt-only standard errors apart because of one lucky seed: the prompts' paired t is fooled."""
    rng = np.random.default_rng(10)
    x, y = rng.normal(0.5, 0.1, (200, 3)), rng.normal(0.5, 0.1, (200, 3))
    x[:, 0] += 0.15
    assert stats.ttest_rel(x.mean(1), y.mean(1)).pvalue < 1e-4
    assert two_way_t(x, y).p > 0.05


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("seed_sd", [0.0, 0.15, 0.3])
def test_false_positives_coverage_and_power_on_planted_data(seeds, seed_sd):
    """Bounds leave room for 1 500 studies."""
    planted = Skill(seed=seed_sd)
    gained = with_gain(planted, 0.12, temperatures=(0.7,))
    size = {"studies": 1500, "prompts": 100, "seeds": seeds}
    null = simulate(np.random.default_rng(11), planted, **size)
    gain = simulate(np.random.default_rng(12), planted, gained, **size)
    for k in (1, 10):
        table = pass_table(10, k)
        assert (two_way_t(table[null[0]], table[null[1]]).p < 0.05).mean() < 0.065
        found = two_way_t(table[gain[0]], table[gain[1]])
        truth = gained.expected(k, 0.7) - planted.expected(k, 0.7)
        assert ((found.low < truth) & (truth < found.high)).mean() > 0.93
        assert found.difference.mean() == pytest.approx(truth, abs=0.01)
        if seed_sd == 0 and k == 10:
            assert (found.low > 0).mean() > 0.75


def test_mann_whitney_on_raw_samples_misleads():
    """Why the unit is the prompt and seed: 3 000 raw samples find effects that are not there."""
    rng = np.random.default_rng(13)
    treatment, control = simulate(rng, Skill(), studies=60, prompts=100, seeds=3)
    samples = np.arange(10)
    raw = [
        mann_whitney_u(samples < t[..., None], samples < c[..., None]).p
        for t, c in zip(treatment, control, strict=True)
    ]
    assert np.mean(np.array(raw) < 0.05) > 0.12


def test_pooling_gives_domains_equal_weight_and_adds_variances():
    rng = np.random.default_rng(14)
    domains = [two_way_t(rng.normal(d / 10, 1, (n, 3)), rng.normal(0, 1, (n, 3))) for d, n in ((1, 40), (3, 90))]
    both = pool(domains)
    assert both.difference == pytest.approx((domains[0].difference + domains[1].difference) / 2)
    assert both.se == pytest.approx(np.hypot(domains[0].se, domains[1].se) / 2)
    assert both.df > min(c.df for c in domains)
    assert pool([domains[0]]).p == pytest.approx(domains[0].p)


@pytest.mark.parametrize("function", [two_way_t, crossed_bootstrap])
def test_one_seed_is_not_compared_with_several(function):
    several, one = np.random.default_rng(15).random((20, 3)), np.random.default_rng(16).random((20, 1))
    with pytest.raises(StudyError, match="1 training seed and another 3"):
        function(several, one)


def test_bootstrap_takes_leading_axes():
    x, y = np.random.default_rng(17).random((2, 4, 30, 3))
    together = crossed_bootstrap(x, y)
    assert together.p == pytest.approx([crossed_bootstrap(a, b).p for a, b in zip(x, y, strict=True)])


def test_shrunken_seed_variances_lie_between_their_own_and_the_mean():
    rng = np.random.default_rng(18)
    domains = [[rng.normal(0, 1, (40, 3, 1)) + rng.normal(0, sd, (3, 1)) for _ in "tc"] for sd in (0.1, 0.1, 2.0)]
    parts = [bootstrap_parts(arms, lambda x, y: x[..., 0] - y[..., 0], replicates=500) for arms in domains]
    shrunk = shrink_seeds(parts, 4)
    for arm in (0, 1):
        mean = np.mean([part.seeds[arm][0] for part in parts])
        for before, after in zip(parts, shrunk, strict=True):
            assert after.seeds[arm][1] == 6
            assert after.seeds[arm][0] == pytest.approx((4 * mean + 2 * before.seeds[arm][0]) / 6)
            assert after.estimate == before.estimate
