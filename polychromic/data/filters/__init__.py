"""The filters of a curation, by name. Each is a class with its settings and a verdict on every record.

A domain lists its filters in config in the order in which they are applied; `curation.curate` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from polychromic.registry import Registry

if TYPE_CHECKING:
    from polychromic.data.filters.base import Filter

FILTERS: Registry[type[Filter]] = Registry(
    "filter",
    {
        "fix_text": "polychromic.data.filters.repairs",
        "mask_personal_data": "polychromic.data.filters.personal_data",
        "language": "polychromic.data.filters.language",
        "length": "polychromic.data.filters.size",
        "unique_words": "polychromic.data.filters.size",
        "urls": "polychromic.data.filters.posts",
        "mentions": "polychromic.data.filters.posts",
        "hashtags": "polychromic.data.filters.posts",
        "spam": "polychromic.data.filters.phrases",
        "generic": "polychromic.data.filters.phrases",
        "toxicity": "polychromic.data.filters.toxicity",
        "copy_of_prompt": "polychromic.data.filters.size",
        "bounds": "polychromic.data.filters.metadata",
        "refuse": "polychromic.data.filters.metadata",
        "answer_in_context": "polychromic.data.filters.metadata",
        "cap": "polychromic.data.filters.metadata",
        "canonical_passes": "polychromic.data.filters.canonical",
        "exact_duplicates": "polychromic.data.filters.duplicates",
        "near_duplicates": "polychromic.data.filters.duplicates",
        "semantic_duplicates": "polychromic.data.filters.semantic",
    },
)


def make_filter(settings: Mapping[str, Any]) -> Filter:
    """The filter that settings describe, importing its module alone.

    Raises:
        StudyError: there is no such filter.
        pydantic.ValidationError: it has no such setting, or a value is wrong.
    """
    return FILTERS[settings["filter"]].model_validate(settings)
