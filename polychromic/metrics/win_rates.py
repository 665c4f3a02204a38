"""The judge's win rates as metrics; `statistics.win_rate` computes the length-controlled one."""

from __future__ import annotations

from polychromic.metric_registry import METRICS, Metric


@METRICS.register("judge_win_rate")
class WinRate(Metric):
    """Share of comparisons with the control that an arm wins, ties as halves."""

    table = "judge"
    label = "Win rate"
    signature = "orders:both|flip:tie"
    undefined = "A comparison counts only where the judge's replies could be read"


@METRICS.register("judge_win_rate_length_controlled")
class LengthControlledWinRate(WinRate):
    """The win rate had both answers the same number of words."""

    label = "Win rate, length-controlled"
