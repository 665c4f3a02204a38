"""The formats of sources, by name: public data sets, tweet exports and anybody's own tables, as records.

A source is declared in config by its `format` and where it is (`path`, or `hub` for the Hugging Face hub).
Each format is a class whose `record` turns one row into one record, or says why it cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from polychromic.registry import Registry

if TYPE_CHECKING:
    from polychromic.data.sources.base import BaseSource

SOURCES: Registry[type[BaseSource]] = Registry(
    "format of sources",
    {
        "humaneval": "polychromic.data.sources.code",
        "mbpp": "polychromic.data.sources.code",
        "codecontests": "polychromic.data.sources.code",
        "squad": "polychromic.data.sources.questions",
        "nq_open": "polychromic.data.sources.questions",
        "writingprompts": "polychromic.data.sources.stories",
        "rocstories": "polychromic.data.sources.stories",
        "tweets": "polychromic.data.sources.posts",
        "stories": "polychromic.data.sources.stories",
        "chat": "polychromic.data.sources.chat",
        "table": "polychromic.data.sources.table",
        "countdown": "polychromic.data.sources.countdown",
    },
)


def make_source(settings: Mapping[str, Any]) -> BaseSource:
    """The source that settings describe, importing its module alone.

    Raises:
        StudyError: there is no such format of sources.
        pydantic.ValidationError: it has no such setting, or a value is wrong.
    """
    return SOURCES[settings["format"]].model_validate(settings)
