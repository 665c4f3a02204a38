"""What posts and replies are full of: addresses, mentions, hashtags."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import HANDLE, Rejection, Repair, Text, TextFilter, Verdict, map_texts
from polychromic.records import Record

_URL = re.compile(r"(?:https?://|www\.)\S+|\b(?:pic\.twitter|t|bit)\.(?:com|co|ly)/\S+", re.IGNORECASE)


@FILTERS.register("urls")
class Urls(Repair):
    """Web addresses: `remove` them, or `reject` texts that hold one."""

    filter: Literal["urls"]
    policy: Literal["reject", "remove"] = "reject"

    def change(self, text: str) -> str:
        return re.sub(r" {2,}", " ", _URL.sub("", text)).strip()

    def judge(self, record: Record) -> Verdict:
        if self.policy == "remove":
            return super().judge(record)
        found = _URL.search(record.prompt) or _URL.search(record.target)
        return Rejection(found[0], "no address") if found else record


@FILTERS.register("mentions")
class Mentions(TextFilter):
    """@mentions: those that open a reply are its address, not its text, and go; more than `max` others
    reject."""

    filter: Literal["mentions"]
    text: Text = "both"
    strip_leading: bool = True
    max: int | None = Field(None, ge=0)

    def judge(self, record: Record) -> Verdict:
        if self.strip_leading:
            record = map_texts(record, lambda text: re.sub(r"^(?:\s*[@＠]\w{1,30}:?)+\s*", "", text))
            for text in (record.prompt, record.target):
                if not text.strip():
                    return Rejection("mentions only", "some text")
        return super().judge(record)

    def problem(self, text: str) -> Rejection | None:
        count = len(HANDLE.findall(text))
        return Rejection(count, self.max) if self.max is not None and count > self.max else None


@FILTERS.register("hashtags")
class Hashtags(TextFilter):
    """More than `max` #hashtags reject."""

    filter: Literal["hashtags"]
    text: Text = "both"
    max: int = Field(2, ge=0)

    def problem(self, text: str) -> Rejection | None:
        count = len(re.findall(r"(?<![\w#&])[#＃]\w*[^\W\d_]\w*", text))
        return Rejection(count, self.max) if count > self.max else None
