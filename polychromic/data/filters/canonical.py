"""Code whose own solution fails its own tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Filter, Rejection, Verdict, batched
from polychromic.records import Record
from polychromic.verifiers.code import run_many


@FILTERS.register("canonical_passes")
class CanonicalPasses(Filter):
    """Code: run each target in the sandbox against its own tests and reject what fails."""

    filter: Literal["canonical_passes"]
    timeout: float = Field(3.0, gt=0)

    def run(self, records: Iterable[Record]) -> Iterator[Verdict]:

        for some in batched(records, 64):
            tested = [record for record in some if record.tests and (record.tests["code"] or record.tests["cases"])]
            cases = [(record.target, record.tests, record.tests["entry_point"]) for record in tested]
            outcomes = dict(zip((record.id for record in tested), run_many(cases, self.timeout), strict=True))
            for record in some:
                outcome = outcomes.get(record.id)
                if outcome is None:
                    yield Rejection("no tests", "passes")
                else:
                    yield (
                        record if outcome.passed else Rejection(f"{outcome.status} {outcome.detail}".strip(), "passes")
                    )
