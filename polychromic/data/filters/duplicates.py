"""The same text again, exactly or nearly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Compared, Filter, Rejection, Verdict, chosen_text
from polychromic.data.near_duplicates import NearDuplicates, normal
from polychromic.records import Record


@FILTERS.register("exact_duplicates")
class ExactDuplicates(Filter):
    """The same text again, case, punctuation and spaces aside: the first record stays."""

    filter: Literal["exact_duplicates"]
    text: Compared = "pair"

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:

        first: dict[str, str] = {}
        for record in records:
            same = first.setdefault(normal(chosen_text(record, self.text)), record.id)
            yield record if same == record.id else Rejection(f"{self.text} of {same}", "first of its kind")


@FILTERS.register("near_duplicates")
class NearDuplicatesFilter(Filter):
    """Nearly the same text again, by MinHash: Jaccard index of 8-byte shingles >= threshold."""

    filter: Literal["near_duplicates"]
    text: Compared = "pair"
    threshold: float = Field(0.8, gt=0, le=1)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:

        seen = NearDuplicates(self.threshold)
        for record in records:
            near = seen.add(record.id, chosen_text(record, self.text))
            yield Rejection(f"{near[1]:.3f} to {near[0]}", f"< {self.threshold:g}") if near else record
