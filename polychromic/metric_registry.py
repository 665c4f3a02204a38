"""The metrics of a study: where each is declared, and what it declares.

To add a metric write a class in its own module and add one line to `BUILT_IN`; a study's own comes from a plugin:

    @METRICS.register("question_share")
    class QuestionShare(DiversityMetric):
        \"\"\"Share of the samples that end in a question mark.\"\"\"

        label = "Questions"
        signature = "ends:?"

        @staticmethod
        def value(samples):
            return sum(text.endswith("?") for text in samples.texts) / len(samples.texts)

Its column then appears in `diversity.parquet` and in every table made from it, with its label and its signature.
`DiversityMetric` and `QualityMetric` (`polychromic.metrics.kinds`) say what `value` is given.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from polychromic.errors import StudyError
from polychromic.registry import Registry

BUILT_IN = {
    "passes": {"pass_at": "polychromic.metrics.passk"},
    "diversity": {
        "length": "polychromic.metrics.diversity_metrics",
        "self_bleu": "polychromic.metrics.diversity_metrics",
        "distinct_1": "polychromic.metrics.diversity_metrics",
        "distinct_2": "polychromic.metrics.diversity_metrics",
        "distinct_3": "polychromic.metrics.diversity_metrics",
        "ead": "polychromic.metrics.diversity_metrics",
        "compression_ratio": "polychromic.metrics.diversity_metrics",
        "classes": "polychromic.metrics.diversity_metrics",
        "semantic_diversity": "polychromic.metrics.diversity_metrics",
        "vendi": "polychromic.metrics.diversity_metrics",
    },
    "quality": {
        "rouge_1": "polychromic.metrics.quality",
        "rouge_2": "polychromic.metrics.quality",
        "rouge_l": "polychromic.metrics.quality",
        "exact_match": "polychromic.metrics.answer_metrics",
        "token_f1": "polychromic.metrics.answer_metrics",
        "bertscore": "polychromic.metrics.bertscore",
        "perplexity": "polychromic.metrics.target_perplexity",
    },
    "judge": {
        "judge_win_rate": "polychromic.metrics.win_rates",
        "judge_win_rate_length_controlled": "polychromic.metrics.win_rates",
    },
}
"""{table: {metric: the module that declares it}}, in the order of the tables' columns."""

READINGS = {
    "all": "",
    "passing": " (passing)",
    "cut": " (equal length)",
}
"""The samples on which a metric can be read, and how its label says so. `distinct_2_cut` is distinct-2 of the samples
cut to the number of words of the prompt's target; `distinct_2_passing` that of the samples that passed."""


class Metric:
    """What a metric declares. The first line of its docstring appears in the docs."""

    table: ClassVar[str]
    """The table whose column it is: a key of `BUILT_IN`."""
    label: ClassVar[str]
    signature: ClassVar[str]
    """How its numbers are made, sacreBLEU's way; `{name}` stands for the version of an installed package and
    `{encoder}` for the text encoder. See `metrics.signatures`."""
    lower_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    readings: ClassVar[tuple[str, ...]] = ("all",)
    """Keys of `READINGS`."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What a study must have: "encoder", "labels" (a verifier that gives them), "answers" (a verifier of short
    answers), "bertscore" or "nll" (numbers made by the jobs before). Without it the metric is not measured."""
    undefined: ClassVar[str] = ""
    """When a value may be NaN, as the first half of a sentence; "" if it never may."""


METRICS: Registry[type[Metric]] = Registry(
    "metric", {name: module for metrics in BUILT_IN.values() for name, module in metrics.items()}
)


class Column(NamedTuple):
    """A column of a metric's table."""

    metric: type[Metric]
    reading: str
    k: str
    """The k of pass@k; "" elsewhere."""

    @property
    def label(self) -> str:
        return self.metric.label.format(k=self.k) + READINGS[self.reading]


def metrics_of(table: str) -> dict[str, type[Metric]]:
    """The metrics of a table, built in and from plugins, in the order of its columns."""
    return {name: METRICS[name] for name in _names_of(table)}


def quality_metric(name: str) -> str:
    """The name of a metric by which a domain's single answers can be compared.

    Raises:
        StudyError: it is none of `quality_metrics`.
    """
    if METRICS[name].table != "quality" or METRICS[name].lower_is_better:
        raise StudyError(
            f"{name!r} does not say how good a single answer is. Choose from {', '.join(quality_metrics())}."
        )
    return name


def quality_metrics() -> list[str]:
    """The metrics of a single answer of which more is better."""
    return [name for name, metric in metrics_of("quality").items() if not metric.lower_is_better]


def modules_of(*tables: str) -> list[str]:
    """The modules that declare the metrics of these tables. None is imported, but for those of plugins."""
    return sorted({METRICS.module_of(name) for table in tables for name in _names_of(table)})


def _names_of(table: str) -> list[str]:
    built_in = {name for metrics in BUILT_IN.values() for name in metrics}
    return [*BUILT_IN[table], *(name for name in METRICS if name not in built_in and METRICS[name].table == table)]


def column_of(name: str) -> Column | None:
    """What a column such as "distinct_2_passing" or "pass_at_10" holds; None where no metric has it."""
    if name in METRICS:
        return Column(METRICS[name], "all", "")
    head, _, tail = name.rpartition("_")
    if tail in READINGS and head in METRICS and tail in METRICS[head].readings:
        return Column(METRICS[head], tail, "")
    if tail.isdigit() and head in BUILT_IN["passes"]:
        return Column(METRICS[head], "all", tail)
    return None


def columns_of(name: str, metric: type[Metric]) -> dict[str, str]:
    """{column: reading} of a metric: {"vendi": "all", "vendi_passing": "passing"}."""
    return {name if reading == "all" else f"{name}_{reading}": reading for reading in metric.readings}
