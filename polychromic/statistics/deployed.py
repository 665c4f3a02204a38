"""An arm read as it would be deployed: each metric at the temperature that is best for it.

A hotter sampler trades Pass@1 for Pass@k in any model, so an arm is a curve over temperatures. What a user gets is
the best point of the curve for the k at hand. The maximum is taken inside the bootstrap: every resampled study finds
its own best temperature, for both arms, so that the choice is part of the error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polychromic.statistics.inference import Array, Parts, bootstrap_parts

Curve = Mapping[float, Array]  # [prompts, seeds] of one metric by temperature


def best_parts(arms: Sequence[Array], *, replicates: int = 2000, seed: int = 0) -> Parts:
    """The best mean over temperatures of the first arm, minus that of the second where there is one.

    Args:
        arms: one or two [..., prompts, seeds, temperatures] arrays, higher is better.
    """

    def statistic(own: Array, other: Array | None = None) -> Array:
        best = own.max(-1)
        return best if other is None else best - other.max(-1)

    return bootstrap_parts(arms, statistic, replicates=replicates, seed=seed)


def best_of(arm: Curve, control: Curve | None = None, *, replicates: int = 2000, seed: int = 0) -> Parts:
    """`best_parts` of curves, over the prompts on which all of their points are defined.

    Raises:
        StudyError: fewer than two such prompts, or one seed against several.
    """
    curves = [np.stack(list(curve.values()), -1) for curve in (arm, control) if curve is not None]
    defined = ~np.any([np.isnan(curve).any((1, 2)) for curve in curves], axis=0)
    return best_parts([curve[defined] for curve in curves], replicates=replicates, seed=seed)


def best_temperature(curve: Curve) -> float:
    """The temperature of the highest mean; ties: the lower one."""
    return max(sorted(curve), key=lambda temperature: np.nanmean(curve[temperature]))
