"""The built-in metrics of a prompt's samples together; the formulas are in `metrics.diversity`.

They are kept apart from the formulas because training uses those too, and a new metric must not make a training stale.
"""

from __future__ import annotations

import math

import numpy as np

from polychromic.metric_registry import METRICS
from polychromic.metrics import diversity
from polychromic.metrics.kinds import DiversityMetric, SampleSet
from polychromic.metrics.words import WORDS


@METRICS.register("length")
class Length(DiversityMetric):
    """Mean number of words."""

    label = "Length (words)"
    signature = f"unit:words|{WORDS}"
    bounds = (0.0, math.inf)

    @staticmethod
    def value(samples: SampleSet) -> float:
        return float(np.mean([len(words) for words in samples.words]))


@METRICS.register("self_bleu")
class SelfBleu(DiversityMetric):
    """Mean sentence BLEU-4 of each sample with all its siblings as references."""

    label = "Self-BLEU"
    signature = f"refs:siblings|case:mixed|eff:yes|tok:13a+unspaced|smooth:exp|{WORDS.rpartition('|')[2]}"
    lower_is_better = True
    readings = ("all", "passing", "cut")

    @staticmethod
    def value(samples: SampleSet) -> float:
        return diversity.self_bleu_of_words(samples.words)


class _Distinct(DiversityMetric):
    signature = f"pooled|{WORDS}"
    n = 1

    @classmethod
    def value(cls, samples: SampleSet) -> float:
        return diversity.distinct_n_of_words(samples.words, cls.n)


@METRICS.register("distinct_1")
class Distinct1(_Distinct):
    """Different words over all words, the samples pooled."""

    label = "Distinct-1"


@METRICS.register("distinct_2")
class Distinct2(_Distinct):
    """Different bigrams over all bigrams, the samples pooled."""

    label = "Distinct-2"
    n = 2
    readings = ("all", "passing", "cut")


@METRICS.register("distinct_3")
class Distinct3(_Distinct):
    """Different trigrams over all trigrams, the samples pooled."""

    label = "Distinct-3"
    n = 3


@METRICS.register("ead")
class Ead(DiversityMetric):
    """Distinct-1 over its expectation for words drawn evenly from a fixed vocabulary."""

    label = "EAD"
    signature = f"n:1|vocabulary:{diversity.EAD_VOCABULARY}|{WORDS}"
    bounds = (0.0, math.inf)

    @staticmethod
    def value(samples: SampleSet) -> float:
        return diversity.ead_of_words(samples.words)


@METRICS.register("compression_ratio")
class CompressionRatio(DiversityMetric):
    """Bytes over gzip bytes of the samples, sorted and joined."""

    label = "Compression ratio"
    signature = "gzip:9|sorted"
    lower_is_better = True
    bounds = (0.0, math.inf)

    @staticmethod
    def value(samples: SampleSet) -> float:
        return diversity.compression_ratio(samples.texts)


@METRICS.register("classes")
class Classes(DiversityMetric):
    """Number of different labels among the samples; samples without a label count for none."""

    label = "Distinct classes"
    signature = "labels:verifier|estimator:rarefaction"
    bounds = (0.0, math.inf)
    readings = ("all", "passing")
    needs = frozenset({"labels"})

    @staticmethod
    def value(samples: SampleSet) -> float:
        return float(len({label for label in samples.labels if label is not None}))


@METRICS.register("semantic_diversity")
class SemanticDiversity(DiversityMetric):
    """Mean over pairs of samples of 1 - cosine of their sentence vectors."""

    label = "Semantic diversity"
    signature = "pairs:mean|distance:cosine|encoder:{encoder}"
    bounds = (0.0, 2.0)
    readings = ("all", "passing")
    needs = frozenset({"encoder"})

    @staticmethod
    def value(samples: SampleSet) -> float:
        return diversity.semantic_diversity(samples.vectors)


@METRICS.register("vendi")
class Vendi(DiversityMetric):
    """Effective number of different samples: exp of the entropy of the eigenvalues of their cosines."""

    label = "Vendi score"
    signature = "order:1|kernel:cosine|encoder:{encoder}"
    bounds = (0.0, math.inf)
    readings = ("all", "passing")
    needs = frozenset({"encoder"})

    @staticmethod
    def value(samples: SampleSet) -> float:
        return diversity.vendi_score(samples.vectors @ samples.vectors.T)
