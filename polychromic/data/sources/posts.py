"""Posts and their replies, as platforms and scrapers export them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from polychromic.data.fields import digest, number, optional, text
from polychromic.data.rows import BadRow, Row
from polychromic.data.social_exports import delay, find, is_true, pair
from polychromic.data.sources import SOURCES
from polychromic.data.sources.base import BaseSource
from polychromic.records import Record


@SOURCES.register("tweets")
class Tweets(BaseSource):
    """Posts and their replies: a pair a row, or threads as the X API v2 (pages with `includes`), API v1.1,
    snscrape, twscrape and twint write them. Authors are kept as pseudonyms only."""

    format: Literal["tweets"]
    group_by: Literal["thread", "author"] = "thread"
    """Rows of one group stay in one part. A row without it is grouped by the other one, else by the post's text."""

    def flatten(self, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
        return pair(rows)

    def record(self, row: dict[str, Any]) -> Record:
        post, reply = text(row, find(row, "text")), text(row, find(row, "reply"))
        author, reply_author, thread = (
            _hashed(value.lower().lstrip("@")) if (value := optional(row, find(row, key))) else ""
            for key in ("author", "reply_author", "thread")
        )
        meta = {key: number(row, find(row, key)) for key in ("likes", "retweets", "reply_likes", "followers")}
        meta |= {
            "delay_seconds": delay(row),
            "lang": optional(row, find(row, "lang")) or None,
            "author": author or None,
            "reply_author": reply_author or None,
            "retweet": is_true(row, "retweet") or post.startswith("RT @") or reply.startswith("RT @"),
            "quote": is_true(row, "quote"),
            "media": is_true(row, "media"),
            "bot": bool(re.search(r"^bot_|_bot_|bot$", optional(row, find(row, "reply_author")).lower())),
        }
        group = (thread or author) if self.group_by == "thread" else (author or thread)
        return Record(optional(row, find(row, "id")), post, reply, (reply,), group=group, meta=meta)


def _hashed(name: str) -> str:
    """12 hex digits for a name; with a letter behind those that are digits alone and could be a phone number."""
    short = digest(name)[:12]
    return f"{short}h" if short.isdecimal() else short
