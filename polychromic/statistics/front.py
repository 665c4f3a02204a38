"""The gain of an arm at one temperature over the control's whole temperature frontier; it decides nothing.

Sampling hotter already trades Pass@1 for Pass@10, so the arm's Pass@10 is compared with what the control reaches, at
some temperature, with the same Pass@1 (less the margin that the arm is given too).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polychromic.errors import StudyError
from polychromic.statistics.inference import Comparison, bootstrap_statistic

Array = np.ndarray


def height(x: Array, curve_x: Array, curve_y: Array) -> Array:
    """The control's frontier at Pass@1 = x: the highest Pass@10 it reaches with a Pass@1 of x or more.

    The curve is linear between neighbouring temperatures. Where it falls as it should, this is the
    interpolated value at x; where it folds back (too hot: both fall), a point that is better in both still
    counts. Beyond its ends the curve is not extended: x is moved to the nearer end.

    Args:
        x: [...]; curve_x, curve_y: [..., temperatures], Pass@1 and Pass@10 in order of temperature.
    """
    x = np.clip(x, curve_x.min(-1), curve_x.max(-1))[..., None]
    best = np.where(curve_x >= x, curve_y, -np.inf).max(-1)
    x0, x1, y0, y1 = curve_x[..., :-1], curve_x[..., 1:], curve_y[..., :-1], curve_y[..., 1:]
    inside = (np.minimum(x0, x1) < x) & (x < np.maximum(x0, x1))
    share = np.where(inside, (x - x0) / np.where(inside, x1 - x0, 1), 0)
    between = np.where(inside, y0 + share * (y1 - y0), -np.inf)
    return np.maximum(best, between.max(-1))


def frontier_gain(
    arm: Array,
    control: Mapping[float, Array],
    *,
    margin: float = 0.0,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison | None:
    """Pass@10 of an arm minus the control's frontier at the arm's Pass@1, by the crossed bootstrap.

    Args:
        arm: [prompts, seeds, 2]: Pass@1 and Pass@10 at one temperature.
        control: the same of the control by temperature; at least two.
        margin: loss of Pass@1 that the control may take too, as the arm may by the plan.

    Returns:
        None where the arm's Pass@1 is lower than the control's at any temperature: there is no extrapolation.
        Where it is higher than at any, the arm is compared with the control's point of highest Pass@1, which
        understates the gain as long as the frontier falls. In resampled studies, too, the nearer end of the curve
        is taken.
    """
    if len(control) < 2:
        raise StudyError("frontier_gain: a frontier needs the control at two temperatures or more.")
    curve = np.concatenate([control[t] for t in sorted(control)], axis=-1)  # x0 y0 x1 y1 ...
    if arm[..., 0].mean() < curve.mean((0, 1))[0::2].min():
        return None

    def gain(own: Array, others: Array) -> Array:
        return own[..., 1] - height(own[..., 0] - margin, others[..., 0::2], others[..., 1::2])

    return bootstrap_statistic([arm, curve], gain, replicates=replicates, level=level, seed=seed)
