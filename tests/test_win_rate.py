"""The win rate at equal length: on planted preferences, and where it is undefined."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from polychromic.statistics.win_rate import POINTS, length_controlled


def comparisons(n: int, win, gap, seed: int = 0) -> pd.DataFrame:
    """n prompts x 3 seeds; win(gap) is the arm's probability to win."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n * 3):
        longer = gap(rng)
        winner = "arm" if rng.random() < win(longer) else "control"
        rows.append({
            "seed": i % 3, "prompt_id": f"p{i // 3}", "winner": winner, "first": winner, "second": winner,
            "length_arm": 50 + longer, "length_control": 50, "parse_failures": 0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def raw(table: pd.DataFrame) -> float:
    return table["winner"].map(POINTS).mean()


def test_a_preference_for_length_alone_is_taken_out() -> None:
    table = comparisons(300, lambda gap: 1 / (1 + math.exp(-gap / 8)), lambda rng: rng.normal(8, 8))
    rate, low, high = length_controlled(table)
    assert raw(table) > 0.6
    assert low < 0.5 < high
    assert rate == pytest.approx(0.5, abs=0.07)


def test_a_preference_for_the_answer_survives_length_control() -> None:
    table = comparisons(300, lambda _: 0.65, lambda rng: rng.normal(0, 8))
    rate, low, high = length_controlled(table)
    assert rate == pytest.approx(raw(table), abs=0.02)
    assert 0.5 < low < 0.65 < high
    same_length = comparisons(100, lambda _: 0.65, lambda _: 0)
    assert length_controlled(same_length)[0] == pytest.approx(raw(same_length), abs=1e-6)


def test_comparisons_that_could_not_be_read_count_nothing() -> None:
    table = comparisons(100, lambda _: 0.65, lambda rng: rng.normal(0, 8))
    unread = table.head(30).assign(winner=None)
    assert length_controlled(pd.concat([unread, table])) == length_controlled(table)


def test_where_the_longer_answer_always_wins_it_is_undefined() -> None:
    for seed in range(20):
        table = comparisons(10, lambda gap: gap > 0, lambda rng: rng.integers(-20, 21), seed)
        # Ties of one length between wins and losses add nothing.
        tied = table.assign(winner=table["winner"].where(table["length_arm"] != 50, "tie"))
        for separated in (table, tied):
            assert all(map(math.isnan, length_controlled(separated)))
    mixed = comparisons(40, lambda gap: 0.9 if gap > 0 else 0.1, lambda rng: rng.integers(-20, 21))
    assert all(map(math.isfinite, length_controlled(mixed)))


def test_where_there_is_nothing_to_regress_on_it_is_undefined() -> None:
    table = comparisons(100, lambda _: 1, lambda rng: rng.normal(0, 8))
    for few in (table, table.assign(winner=None), comparisons(2, lambda _: 0.5, lambda _: 1)):
        assert all(map(math.isnan, length_controlled(few)))
