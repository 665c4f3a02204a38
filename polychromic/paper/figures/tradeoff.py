"""What diversity costs in quality, and the temperature frontier."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patheffects import withStroke

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results


@figure("diversity_quality", section="Results", in_body=True)
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


@figure("frontier", section="Results", in_body=True)
def frontier(results: Results) -> Drawing:
    """Pass@10 against Pass@1 along the sampling temperature, a panel a domain and a line an arm."""
    results.require("frontier", "summary")
    rows, domains = results.frontier, results.domains()
    arms = results.arms(rows)
    figure, axes = style.domain_panels(domains, panel_height=1.55)
    for ax, domain in zip(axes, domains, strict=True):
        own = rows[rows["domain"] == domain].sort_values("temperature")
        for arm in arms:
            if arm in set(own["arm"]):
                ends = "below" if arm == results.control else "above" if arm == results.primary else None
                _frontier_line(ax, own[own["arm"] == arm], arm, results, ends)
        drawn = own[own["arm"].isin(arms)]
        ax.set_xlim(style.frame(drawn["pass_at_1"], drawn["pass_at_1_low"], drawn["pass_at_1_high"]))
        ax.set_ylim(style.frame(*(drawn[f"{results.deepest}{end}"] for end in ("", "_low", "_high"))))
        _shade_below(ax, own[own["arm"] == results.control], results.deepest)
        ax.locator_params(nbins=4)
    for ax in style.left(axes):
        ax.set_ylabel(labels.metric(results.deepest))
    for ax in style.bottom(axes):
        ax.set_xlabel("Pass@1")
    style.legend(figure, axes)
    sized = results.summary[results.summary["metric"].eq(results.deepest) & results.summary["arm"].isin(arms)]
    temperatures = ", ".join(f"{t:g}" for t in sorted(rows["temperature"].unique()))
    control = labels.arm(results.control)
    return Drawing(
        figure,
        f"The temperature frontier: {labels.metric(results.deepest)} against Pass@1 as the sampling "
        f"temperature "
        f"goes through {temperatures} (the small numbers mark the ends). Shaded: what {control} reaches by "
        f"temperature alone; a point above it is a gain that no temperature of {control} gives at the same "
        f"Pass@1. Bars: {wording.intervals(sized)}, cut at the frame (the table has their ends); "
        f"{wording.sizes(sized)}.",
    )


def _frontier_line(ax: Axes, line: pd.DataFrame, arm: str, results: Results, ends: str | None) -> None:
    """One arm's points; `ends` puts the temperature above or below the coolest and the hottest of them."""
    look, deep, control = style.look(arm), results.deepest, labels.arm(results.control)
    x, y = line["pass_at_1"], line[deep]
    ax.errorbar(
        x,
        y,
        style.whiskers(y, line[f"{deep}_low"], line[f"{deep}_high"]),
        style.whiskers(x, line["pass_at_1_low"], line["pass_at_1_high"]),
        color=look.colour,
        marker=look.marker,
        linestyle=look.line,
        label=look.name,
        elinewidth=0.5,
        ecolor=(*to_rgb(look.colour), 0.35),
    )
    for row in line.to_dict("records"):
        text = f"{look.name}, T = {row['temperature']:g}: Pass@1 {row['pass_at_1']:.3f}, "
        text += f"{labels.metric(deep)} {row[deep]:.3f}"
        if row["defined"]:
            text += f"; above {control}'s frontier by {row['gain_over_control_frontier']:+.3f}"
            text += f" [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
        style.mark(ax, row["pass_at_1"], row[deep], text)
    for row in line.iloc[[0, -1]].to_dict("records") if ends else []:
        ax.annotate(
            f"{row['temperature']:g}",
            (row["pass_at_1"], row[deep]),
            xytext=(3, 4 if ends == "above" else -7),
            textcoords="offset points",
            fontsize=5.5,
            color=look.colour,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
        )


def _shade_below(ax: Axes, control: pd.DataFrame, deep: str) -> None:
    """Shade what the control reaches: at each Pass@1 its highest Pass@k with at least as much Pass@1."""
    line = control.sort_values("pass_at_1", ascending=False)
    floor = ax.get_ylim()[0]
    top = line[deep].cummax()
    ax.fill_between(line["pass_at_1"], top, floor, color="black", alpha=0.06, linewidth=0, zorder=0)
    ax.set_ylim(bottom=floor)
