"""Repairs of texts: encoding, quotes, spaces."""

from __future__ import annotations

import re
from typing import Literal

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Repair, Verdict
from polychromic.records import Record


@FILTERS.register("fix_text")
class FixText(Repair):
    """Mojibake, HTML entities, odd quotes and ligatures (ftfy), line ends, runs of spaces and blank lines.
    Records with tests are left as they are: in code, quotes and spaces are the text."""

    filter: Literal["fix_text"]

    def judge(self, record: Record) -> Verdict:
        return record if record.tests is not None else super().judge(record)

    def change(self, text: str) -> str:
        import ftfy

        text = re.sub("[\u200b\u2060\ufeff]", "", ftfy.fix_text(text))  # invisible, and not in any word
        text = re.sub(r"[^\S\n]+", " ", text)
        return re.sub(r"\n{3,}", "\n\n", re.sub(r" ?\n ?", "\n", text)).strip()
