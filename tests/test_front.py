"""The control's frontier: interpolation, its ends, and the inference on the gain."""

from __future__ import annotations

import numpy as np
import pytest

from polychromic.errors import StudyError
from polychromic.statistics.front import frontier_gain, height

# Pass@1 and Pass@10 of a control at T = 0.7, 0.85, 1.0, 1.15, 1.3: the last two fold back
X = np.array([0.201, 0.194, 0.184, 0.155, 0.117])
Y = np.array([0.273, 0.305, 0.368, 0.360, 0.348])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.201, 0.273),
        (0.1975, 0.289),  # halfway between the first two
        (0.189, (0.305 + 0.368) / 2),
        (0.184, 0.368),
        (0.150, 0.368),  # T = 1.0 is better in both than anything here
        (0.300, 0.273),  # clipped to the ends
        (0.050, 0.368),
    ],
)
def test_the_height_is_the_best_pass_at_10_at_this_pass_at_1_or_more(x, expected):
    assert height(np.array([x]), X[None], Y[None])[0] == pytest.approx(expected)


def test_a_falling_curve_is_plain_interpolation():
    xs, ys = np.array([0.4, 0.3, 0.2]), np.array([0.5, 0.6, 0.65])
    x = np.linspace(0.2, 0.4, 21)
    assert height(x, np.tile(xs, (21, 1)), np.tile(ys, (21, 1))) == pytest.approx(np.interp(x, xs[::-1], ys[::-1]))


def planted(rng, base, spread, prompts=150, seeds=3):
    """[prompts, seeds, 2] of an arm whose abilities have this mean and spread on the logit scale."""
    ability = base + spread * rng.standard_normal((prompts, 1)) + 0.1 * rng.standard_normal((1, seeds))
    correct = rng.binomial(10, 1 / (1 + np.exp(-ability)))
    return np.stack([correct / 10, correct > 0], -1).astype(float)


def test_gain_is_found_where_it_is_and_only_there():
    rng = np.random.default_rng(0)
    control = {0.5: planted(rng, -0.5, 3.0), 0.7: planted(rng, -0.7, 2.5), 1.0: planted(rng, -1.8, 1.5)}
    above = frontier_gain(planted(rng, -0.9, 0.8), control)
    assert above.low > 0
    on = frontier_gain(control[0.7], control)
    assert on.difference == pytest.approx(0, abs=0.02)
    assert on.low < 0 < on.high + 1e-9


def test_no_extrapolation_and_no_frontier_of_one_point():
    rng = np.random.default_rng(1)
    control = {0.7: planted(rng, -1, 2), 1.0: planted(rng, -1.5, 2)}
    assert frontier_gain(planted(rng, -4, 1), control) is None
    better = planted(rng, 0.5, 1)  # in Pass@1 than the control at any temperature: held against its best point
    gain = frontier_gain(better, control)
    assert gain.difference == pytest.approx(better[..., 1].mean() - control[0.7][..., 1].mean())
    with pytest.raises(StudyError, match="two temperatures"):
        frontier_gain(control[0.7], {0.7: control[0.7]})


def test_false_positives_of_the_gain_on_planted_data():
    """An arm that *is* the control at another temperature is on the frontier."""
    rng = np.random.default_rng(2)
    found = []
    for _ in range(100):
        ability = rng.standard_normal((100, 1))
        curve = {}
        for t, (base, spread) in {0.7: (-1.0, 2.0), 1.0: (-1.3, 1.4), 1.3: (-1.8, 1.0)}.items():
            level = base + spread * ability + 0.15 * rng.standard_normal((1, 3))
            correct = rng.binomial(10, 1 / (1 + np.exp(-level)))
            curve[t] = np.stack([correct / 10, correct > 0], -1).astype(float)
        level = -1.3 + 1.4 * ability + 0.15 * rng.standard_normal((1, 3))
        correct = rng.binomial(10, 1 / (1 + np.exp(-level)))
        gain = frontier_gain(np.stack([correct / 10, correct > 0], -1).astype(float), curve, replicates=400)
        found.append(gain is not None and gain.low > 0)
    assert np.mean(found) < 0.06


def test_the_control_may_lose_the_margin_too():
    rng = np.random.default_rng(3)
    control = {0.7: planted(rng, -0.7, 2.5), 1.0: planted(rng, -1.8, 1.5)}
    arm = planted(rng, -0.9, 0.8)
    gains = [frontier_gain(arm, control, margin=margin).difference for margin in (0.0, 0.05)]
    assert gains[1] <= gains[0]
