"""How often a judge prefers an arm, had both answers the same length."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

POINTS = {"arm": 1.0, "tie": 0.5, "control": 0.0}
"""What a comparison counts for the arm; one whose replies could not be read counts nothing (NaN)."""


def length_controlled(comparisons: pd.DataFrame) -> tuple[float, float, float]:
    """The arm's win rate at equal length, in [0, 1] with 0.5 as parity, and its 95 % interval over prompts.

    That of a logistic regression of the score (1, 1/2, 0) on tanh(d / s), d the difference in words and s its
    standard deviation, read off at d = 0 (after Dubois et al. 2024, arXiv 2404.04475, section 3, without the
    instruction terms, which need many models); its errors are clustered by prompt. NaN where one side wins all, where
    length alone separates wins from losses (no regression can then give the rate at equal length), or with fewer
    than ten comparisons or two prompts.

    Args:
        comparisons: the table of `judge.judge_arm`.
    """
    read = comparisons[comparisons["winner"].notna()]
    scores = read["winner"].map(POINTS).to_numpy(float)
    if len(scores) < 10 or scores.min() == scores.max() or read["prompt_id"].nunique() < 2:
        return math.nan, math.nan, math.nan
    import statsmodels.api as sm

    gap = (read["length_arm"] - read["length_control"]).to_numpy(float)
    wins, losses = gap[scores > 0], gap[scores < 1]  # a tie is half of each
    spread = gap.std()
    if spread > 0 and (wins.min() >= losses.max() or losses.min() >= wins.max()):
        return math.nan, math.nan, math.nan
    columns = [np.ones(len(gap))] + ([np.tanh(gap / spread)] if spread > 0 else [])
    clusters = pd.factorize(read["prompt_id"])[0]
    fit = sm.GLM(scores, np.column_stack(columns), family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}
    )
    if not fit.converged:
        return math.nan, math.nan, math.nan
    at, error = float(fit.params[0]), float(fit.bse[0])
    return tuple(1 / (1 + math.exp(-logit)) for logit in (at, at - 1.96 * error, at + 1.96 * error))
