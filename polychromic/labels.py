"""How arms, domains, metrics and counts are called in figures, tables, the report and the paper."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

ARMS = {
    "zero_shot": "Zero-shot",
    "few_shot": "Few-shot",
    "lora": "LoRA",
    "lora_low_rate": "LoRA, low rate",
    "lora_again": "LoRA, other seeds",
    "polychromic": "Polychromic",
    "polychromic_literal": "Polychromic, literal",
    "conservative": "Polychromic, conservative",
    "gem": "GEM",
    "polychromic_gem": "Polychromic + GEM",
    "dco": "DCO",
    "entropy": "Entropy bonus",
    "wise_ft": "WiSE-FT",
    "scaled": "Scaled adapter",
}
DOMAINS = {
    "social": "Social replies",
    "code": "Code",
    "creative": "Creative writing",
    "qa": "Question answering",
    "pooled": "Pooled",
}
SHORT_DOMAINS = {"social": "Social", "creative": "Creative", "qa": "QA"}
METRICS = {
    "self_bleu": "Self-BLEU",
    "distinct_1": "Distinct-1",
    "distinct_2": "Distinct-2",
    "distinct_3": "Distinct-3",
    "ead": "EAD",
    "semantic_diversity": "Semantic diversity",
    "vendi": "Vendi score",
    "compression_ratio": "Compression ratio",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "bertscore": "BERTScore",
    "exact_match": "Exact match",
    "token_f1": "Token F1",
    "classes": "Distinct classes",
    "length": "Length (words)",
    "judge_win_rate": "Win rate",
    "judge_win_rate_length_controlled": "Win rate, length-controlled",
}
JUDGES = {"reference-similarity": "reference-similarity (cosine to the accepted answers; no model was asked)"}
FIGURE_SECTIONS = {
    "Results": ("passk_curves", "frontier", "forest", "diversity_quality", "pass_counts"),
    "Judge": ("judge",),
    "Cost": ("cost_gain",),
    "Ablations": ("ablations",),
    "Training": ("training_dynamics",),
    "Data": ("curation_funnel", "calibration"),
}
LOWER_IS_BETTER = {"self_bleu", "compression_ratio", "perplexity"}
# What pdflatex does not read as it stands.
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "λ": r"$\lambda$",
    "Δ": r"$\Delta$", "×": r"$\times$", "−": r"$-$", "–": "--", "≥": r"$\ge$", "≤": r"$\le$", "±": r"$\pm$",
    "→": r"$\to$", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "·": r"$\cdot$",
}  # fmt: skip


def arm(key: str) -> str:
    """`polychromic_literal` -> "Polychromic, literal"."""
    head, _, tail = key.rpartition("_")
    return ARMS.get(key) or (f"{ARMS[head]}, {tail}" if head in ARMS else key.replace("_", " "))


def domain(key: str) -> str:
    """`qa` -> "Question answering"."""
    return DOMAINS.get(key, key.replace("_", " ").capitalize())


def short_domain(key: str) -> str:
    """A domain where there is little room: `qa` -> "QA"."""
    return SHORT_DOMAINS.get(key, domain(key))


def metric(key: str) -> str:
    """`pass_at_10` -> "Pass@10"."""
    if key.startswith("pass_at_"):
        return "Pass@" + key.removeprefix("pass_at_")
    for ending, meaning in (("_passing", " (passing)"), ("_cut", " (equal length)")):
        if key.endswith(ending):
            return metric(key.removesuffix(ending)) + meaning
    return METRICS.get(key, key.replace("_", " ").capitalize())


def judges(names: pd.Series) -> str:
    """Who judged: the `judge` column of the comparisons in words."""
    return ", ".join(JUDGES.get(name, name) for name in sorted(set(names)))


def figure_section(figure: str) -> str:
    """The section of the report in which a figure stands: `calibration` -> "Data"."""
    return next(section for section, figures in FIGURE_SECTIONS.items() if figure in figures)


def effect(row: Mapping[str, float]) -> str:
    """A difference with its interval: "+0.102 [−0.004, +0.208]"."""
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]".replace("-", "−")


def p_value(p: float) -> str:
    """p = 0.021, and p < 0.001 where more digits would say nothing."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def hours(value: float) -> str:
    """Hours, with more digits where there are few: 12.25, 0.0041."""
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def machine(hardware: dict) -> str:
    """A run record's hardware in a few words: its graphics cards, else its processor."""
    cards = hardware["gpus"]
    return f"{len(cards)} × {cards[0]}" if cards else f"{hardware['processor']}, {hardware['cores']} cores"


def count_range(counts: pd.Series, unit: str) -> str:
    """Counts that may differ, in words: "60 prompts" or "58 to 60 prompts"."""
    low, high = int(counts.min()), int(counts.max())
    return (f"{low:,}" if low == high else f"{low:,} to {high:,}") + f" {unit}" + ("s" if high != 1 else "")


def sizes(frame: pd.DataFrame) -> str:
    """The n of a summary-like frame, in words: "n = 60 prompts × 3 training seeds × 10 samples" a domain."""
    if "domain" in frame:
        frame = frame[frame["domain"] != "pooled"]
    text = f"n = {count_range(frame['n_prompts'], 'prompt')} × {count_range(frame['n_seeds'], 'training seed')}"
    return text + (f" × {count_range(frame['n_samples'], 'sample')}" if "n_samples" in frame else "")


def intervals(frame: pd.DataFrame) -> str:
    """Over what the intervals of a summary-like frame speak; one seed speaks of its adapters only."""
    if frame["n_seeds"].max() > 1:
        return "95 % intervals, prompts and training seeds both random"
    return "95 % intervals over prompts only (one seed: they speak of these adapters, not of the method)"


def latex(text: str) -> str:
    """Plain text as LaTeX source: special characters escaped, Greek and mathematical signs translated."""
    text = re.sub(r"(?<![\w.])-(?=[.\d])", "−", text)  # a minus, not a hyphen that a line may break at
    # Other scripts and signs, which could only come from a user's own names, are shown by number.
    plain = (_LATEX.get(c) or (c if ord(c) < 0x180 else f"[U+{ord(c):04X}]") for c in text)
    return "".join(plain)
