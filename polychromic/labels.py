"""Names of arms, domains and metrics, and numbers in words, as the verdict, figures, tables and report show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from polychromic.metric_registry import column_of

ARMS = {
    "zero_shot": "Zero-shot",
    "few_shot": "Few-shot",
    "lora": "LoRA",
    "lora_low_rate": "LoRA (low rate)",
    "lora_again": "LoRA (other seeds)",
    "polychromic": "Polychromic",
    "polychromic_literal": "Polychromic (literal)",
    "conservative": "Polychromic (conservative)",
    "gem": "GEM",
    "polychromic_gem": "Polychromic + GEM",
    "dco": "DCO",
    "entropy": "Entropy bonus",
    "tofu": "TOFU",
    "eaft": "EAFT",
    "dft": "DFT",
    "wise_ft": "WiSE-FT",
    "scaled": "Scaled adapter",
    "scaled_04": "Scaled adapter (0.4)",
}
DOMAINS = {
    "social": "Social replies",
    "code": "Code",
    "creative": "Creative writing",
    "qa": "Question answering",
    "pooled": "Pooled",
}
SHORT_DOMAINS = {"social": "Social", "creative": "Creative", "qa": "QA"}


def arm(key: str) -> str:
    """`polychromic_literal` -> "Polychromic (literal)"."""
    head, _, tail = key.rpartition("_")
    return ARMS.get(key) or (f"{ARMS[head]} ({tail})" if head in ARMS else key.replace("_", " "))


def domain(key: str) -> str:
    """`qa` -> "Question answering"."""
    return DOMAINS.get(key, key.replace("_", " ").capitalize())


def short_domain(key: str) -> str:
    """A domain where there is little room: `qa` -> "QA"."""
    return SHORT_DOMAINS.get(key, domain(key))


def metric(key: str) -> str:
    """`pass_at_10` -> "Pass@10", as the metric declares it."""
    column = column_of(key)
    return column.label if column else key.replace("_", " ").capitalize()


def effect(row: Mapping[str, float]) -> str:
    """A difference with its interval: "+0.102 [−0.004, +0.208]"."""
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−")


def p_value(p: float) -> str:
    """ "p = 0.021"; "p < 0.001" below that."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def span(counts: Iterable[float]) -> str:
    """Whole numbers that may differ: "60" or "58 to 60"."""
    low, high = int(min(counts)), int(max(counts))
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def count_range(counts: pd.Series, unit: str) -> str:
    """Counts that may differ, with their unit: "60 prompts" or "58 to 60 prompts"."""
    return f"{span(counts)} {unit}" + ("s" if int(counts.max()) != 1 else "")
