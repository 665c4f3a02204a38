"""The study's judge, where it is a model: it compares arms and grades answers, from one cache and one budget."""

from __future__ import annotations

from typing import Any

from polychromic.metrics.judge import ModelJudge
from polychromic.metrics.judge_clients import Client

SETTINGS = ("provider", "model", "base_url", "budget", "input_price", "output_price")


def model_judge(settings: dict[str, Any], folder: str) -> ModelJudge:
    return ModelJudge(Client(**{key: settings[key] for key in SETTINGS}, folder=folder))
