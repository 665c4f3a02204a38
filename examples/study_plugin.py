"""A study's own verifier, measure D, filter and metric. In the study's YAML:

    plugins: [examples/study_plugin.py]
    domains:
      support:
        curation: {filters: [{filter: no_shouting}]}
        verifier: {kind: shares_words, at_least: 2}
        diversity: {form: first_word}

The metric `question_share` then appears in diversity.parquet, in the tables and in the report. An edit of this file
makes exactly those jobs stale that use it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from polychromic.data.filters import FILTERS
from polychromic.data.filters.base import Filter, Rejection
from polychromic.method.diversity import DIVERSITY
from polychromic.metric_registry import METRICS
from polychromic.metrics.kinds import DiversityMetric
from polychromic.settings import Settings
from polychromic.verifiers import VERIFIERS, Outcome


class SharesWordsSettings(Settings):
    kind: Literal["shares_words"]
    at_least: int = Field(1, ge=1)
    """Words that an answer must share with an accepted one."""


@VERIFIERS.register("shares_words")
class SharesWords:
    """An answer passes if it shares enough words with an accepted one."""

    Settings: ClassVar = SharesWordsSettings
    needs: ClassVar = ()
    gives: ClassVar = ()
    hide_target: ClassVar = False

    def __init__(self, settings: SharesWordsSettings) -> None:
        self.settings = settings

    def well_formed(self, texts, record):
        return [bool(text.strip()) for text in texts]

    def verify(self, texts, record, finishes=None):
        accepted = [set(text.lower().split()) for text in record.references or (record.target,)]
        shared = [max(len(words & set(text.lower().split())) for words in accepted) for text in texts]
        return [
            Outcome(count >= self.settings.at_least, "passed" if count >= self.settings.at_least else "failed", 1.0)
            for count in shared
        ]


@DIVERSITY.register("first_word")
class FirstWord:
    """Whether two answers begin with different words."""

    label = "first word"
    needs = None

    def __init__(self, *, encode, verifier, n):
        pass

    def __call__(self, groups, records, valid):
        import torch  # here, so that a study is planned without it

        from polychromic.method.diversity.groups import of_distances

        found = []
        for texts, good in zip(groups, valid, strict=True):
            first = [(text.split() or [""])[0] for text in texts]
            distances = [[float(a != b) for b in first] for a in first]
            found.append(of_distances(torch.tensor(distances, dtype=torch.float64), good))
        return found


@FILTERS.register("no_shouting")
class NoShouting(Filter):
    """Targets in capitals."""

    filter: Literal["no_shouting"]

    def judge(self, record):
        return Rejection(record.target[:20], "no capitals only") if record.target.isupper() else record


@METRICS.register("question_share")
class QuestionShare(DiversityMetric):
    """Share of the samples that end in a question mark."""

    label = "Questions"
    signature = "ends:?"

    @staticmethod
    def value(samples):
        return sum(text.rstrip().endswith("?") for text in samples.texts) / len(samples.texts)
