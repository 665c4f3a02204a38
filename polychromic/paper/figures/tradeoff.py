"""What diversity costs in quality."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results


@figure("diversity_quality", section="Results", title="diversity and quality")
def diversity_quality(results: Results) -> Drawing:
    """Semantic diversity against the domain's quality metric: a panel a domain, a point an arm."""
    results.require("summary")
    rows = results.at_temperature(results.summary)
    domains, arms = results.domains(), results.arms(rows)
    qualities = {domain: _quality_metric(results, rows, domain) for domain in domains}
    diversity = next(name for name in ("semantic_diversity", "semantic", "distinct_2") if name in set(rows["metric"]))
    rows = rows[rows["metric"].isin([diversity, *qualities.values()])]
    figure, axes = style.domain_panels(domains, panel_height=1.45)
    for ax, domain in zip(axes, domains, strict=True):
        own = rows[rows["domain"] == domain].set_index(["metric", "arm"])
        for arm in arms:
            if (diversity, arm) in own.index and (qualities[domain], arm) in own.index:
                _cross(ax, own.loc[(qualities[domain], arm)], own.loc[(diversity, arm)], arm)
        for metric, limit in ((qualities[domain], ax.set_xlim), (diversity, ax.set_ylim)):
            shown = own.loc[metric]
            limit(style.frame(shown["value"], shown["low"], shown["high"]))
        ax.set_xlabel(labels.metric(qualities[domain]))
        ax.locator_params(nbins=4)
    for ax in style.left(axes):
        ax.set_ylabel(labels.metric(diversity))
    style.legend(figure, axes)
    used = sorted({labels.metric(name) for name in qualities.values()})
    return Drawing(
        figure,
        (
            f"Diversity of a prompt's samples ({labels.metric(diversity)}) against the quality of the single sample "
            f"({', '.join(used)}), at T = {results.temperature:g}; up and to the right is better. "
            f"Bars: {wording.intervals(rows)}, cut at the frame (the table has their ends); "
            f"{wording.sizes(rows)}."
        ),
    )


def _quality_metric(results: Results, rows: pd.DataFrame, domain: str) -> str:
    """The domain's own quality metric as the verdict names it, else the first that was measured."""
    named = results.verdict.get("domains", {}).get(domain, {}).get("quality_metric")
    measured = set(rows.loc[rows["domain"] == domain, "metric"])
    return next(name for name in (named, "rouge_l", "token_f1", "pass_at_1") if name in measured)


def _cross(ax: Axes, x: pd.Series, y: pd.Series, arm: str) -> None:
    look = style.look(arm)
    ax.errorbar(
        [x.value],
        [y.value],
        style.whiskers(y.value, y.low, y.high),
        style.whiskers(x.value, x.low, x.high),
        color=look.colour,
        marker=look.marker,
        linestyle="none",
        label=look.name,
        elinewidth=0.7,
        markersize=4,
    )
    style.mark(
        ax,
        x.value,
        y.value,
        f"{look.name}: {x.value:.3f} [{x.low:.3f}, {x.high:.3f}], {y.value:.3f} [{y.low:.3f}, {y.high:.3f}]",
    )
