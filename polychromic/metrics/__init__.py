"""Metrics of a prompt's samples: pass@k, diversity, quality. docs/evaluation.md describes each.

Names are resolved on first use: importing this package loads neither torch nor transformers nor pandas.
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
    "bert_score": "quality",
    "perplexity": "quality",
    "reference_nll": "quality",
    "normalize_answer": "answers",
    "exact_match": "answers",
    "token_f1": "answers",
    "signature": "signatures",
    "stack_samples": "tables",
    "with_passes": "tables",
    "bertscore_table": "tables",
    "diversity_table": "tables",
    "quality_table": "tables",
}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
