"""Metrics of a prompt's samples: pass@k, diversity, quality. docs/evaluation.md describes each.

Names are resolved on first use: importing this package loads neither torch nor transformers nor pandas. To add a
metric, see `polychromic.metric_registry`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULE_OF = {
    "pass_at_k": "passk",
    "distinct_classes": "passk",
    "self_bleu": "diversity",
    "distinct_n": "diversity",
    "ead": "diversity",
    "compression_ratio": "diversity",
    "semantic_diversity": "diversity",
    "vendi_score": "diversity",
    "rouge_n": "quality",
    "rouge_l": "quality",
    "bert_score": "bertscore",
    "perplexity": "likelihood",
    "reference_nll": "likelihood",
    "normalize_answer": "squad",
    "exact_match": "squad",
    "token_f1": "squad",
    "signature": "signatures",
    "stack_samples": "sample_tables",
    "with_passes": "sample_tables",
    "bertscore_table": "bertscore",
    "diversity_table": "per_prompt_diversity",
    "quality_table": "per_prompt_quality",
    "DiversityMetric": "kinds",
    "QualityMetric": "kinds",
    "SampleSet": "kinds",
    "METRICS": ".metric_registry",
    "Metric": ".metric_registry",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
