"""What a record says about itself, apart from its texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field, model_validator

from polychromic.data.fields import Unusable, number
from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Filter, Rejection, Verdict, bound, having, outside
from polychromic.records import Record


@FILTERS.register("bounds")
class Bounds(Filter):
    """Bounds on a number in meta: likes, retweets, followers, reply_likes, delay_seconds, a rating. A record
    that lacks it is rejected. A CSV's cells are texts: a number may be written in one."""

    filter: Literal["bounds"]
    key: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _some_bound(self):
        if self.min is None and self.max is None:
            raise ValueError(f"bounds on {self.key!r}: give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"bounds on {self.key!r}: min {self.min:g} is above max {self.max:g}: swap them")
        return self

    def judge(self, record: Record) -> Verdict:
        try:
            value = number(record.meta, self.key)
        except Unusable:
            return Rejection(f"{self.key} no number", bound(self.min, self.max))
        if value is None:
            return Rejection(f"{self.key} missing", bound(self.min, self.max))
        return outside(value, self.min, self.max) or record


@FILTERS.register("refuse")
class Refuse(Filter):
    """Reject records with a flag in meta (retweet, quote, media, bot), or with one of `values` there."""

    filter: Literal["refuse"]
    key: str
    values: tuple[str, ...] = ()
    """Refused values, in any case (tag: [OT]); none given: whatever is true, of a CSV's cells all but "", 0,
    false and no."""

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        return map(self.judge, having(records, self.filter, self.key))

    def judge(self, record: Record) -> Verdict:
        value = record.meta.get(self.key)
        if self.values:
            found = str(value).casefold() in {listed.casefold() for listed in self.values}
            return Rejection(value, f"not {', '.join(self.values)}") if found else record
        is_set = value.strip().casefold() not in ("", "0", "false", "no") if isinstance(value, str) else value
        return Rejection(value, f"no {self.key}") if is_set else record


@FILTERS.register("cap")
class Cap(Filter):
    """At most `max` records with the same value in meta, the first ones: replies of one author, tales of one
    source. Records without it pass."""

    filter: Literal["cap"]
    key: str = "reply_author"
    max: int = Field(10, ge=1)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:
        counts: Counter[str] = Counter()
        for record in having(records, self.filter, self.key):
            value = record.meta.get(self.key)
            if value is None:
                yield record
                continue
            counts[str(value)] += 1
            full = counts[str(value)] > self.max
            yield Rejection(counts[str(value)], self.max) if full else record


@FILTERS.register("answer_in_context")
class AnswerInContext(Filter):
    """QA by extraction: one of the accepted answers is in the context. Records without a context pass."""

    filter: Literal["answer_in_context"]

    def judge(self, record: Record) -> Verdict:
        context = str(record.meta.get("context") or "").casefold()
        found = not context or any(answer.casefold() in context for answer in record.references)
        return record if found else Rejection(record.target, "in the context")
