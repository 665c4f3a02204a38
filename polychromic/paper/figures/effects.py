"""Sizes of differences: the forest of effects."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from polychromic import labels
from polychromic.metrics.passk import pass_at_k
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results


@figure("forest", section="Results", title="all differences", in_body=True)
def forest(results: Results) -> Drawing:
    """The decision: gain in best Pass@k, change of best Pass@1 and of best quality, a row a domain and arm."""
    results.require("hypotheses", "verdict", "passes")
    rows = results.hypotheses[results.hypotheses["hypothesis"].isin(["superiority", "noninferiority"])]
    rows = rows[rows["arm"].map(results.roles.get).isin(["primary", "peer"])]
    arms = results.arms(rows)
    domains = [*results.domains(), *(["pooled"] if "pooled" in set(rows["domain"]) else [])]
    deep, step = labels.metric(results.deepest), len(arms) + 0.6
    better, ones = rows["hypothesis"] == "superiority", rows["metric"] == "pass_at_1"
    asked = {f"Best {deep}": rows[better], "Best Pass@1": rows[~better & ones], "Best quality": rows[~better & ~ones]}
    figure, (axes,) = style.panels(1, 3, height=0.9 + 0.155 * step * len(domains), sharey=True, sharex=True)
    for ax, (title, found) in zip(axes, asked.items(), strict=True):
        for row in found[found["arm"].isin(arms)].itertuples():
            y = step * domains.index(row.domain) + arms.index(row.arm)
            _whisker(ax, row, y)
            if row.margin > 0:
                ax.plot([-row.margin] * 2, [y - 0.5, y + 0.5], color=style.BLUE, linewidth=1.2, zorder=0)
            if row.hypothesis == "superiority" and row.domain != "pooled":
                gains = list(_by_seed(results, row))
                ax.plot(gains, [y + 0.36] * len(gains), ".", color="black", markersize=2.4, alpha=0.55, zorder=1)
        ax.axvline(0, color="black", linewidth=0.7, zorder=0)
        ax.set_title(title)
        ax.grid(visible=False, axis="y")
        ax.locator_params(axis="x", nbins=5)
        ax.tick_params(axis="x", labelsize=5.6)
    axes[1].set_xlabel("difference, the same scale in all panels")
    centres = [step * number + (len(arms) - 1) / 2 for number in range(len(domains))]
    axes[0].set_yticks(centres, [labels.domain(domain).replace(" ", "\n") for domain in domains])
    axes[0].invert_yaxis()
    for arm in arms:
        look = style.look(arm)
        axes[0].plot([], [], color=look.colour, marker=look.marker, label=look.name)
    style.legend(figure, axes[:1], columns=2)
    metrics = sorted({labels.metric(metric) for metric in asked["Best quality"]["metric"]})
    control = labels.arm(results.control)
    return Drawing(
        figure,
        f"The decision, each arm at its own best temperature: {deep} against the tuned control, Pass@1 and quality "
        f"({' or '.join(metrics)}) against {control}. Right of zero is better. Thick: {wording.intervals(rows)}; thin: "
        f"simultaneous over the {len(results.domains())} domains (Bonferroni); dots: the gain of each training seed. "
        f"Blue bars: the loss that must be excluded, where it can be assessed. {wording.sizes(rows)}.",
    )


def _by_seed(results: Results, row: tuple) -> Iterator[float]:
    """The gain of each training seed of the arm over the mean of the control's, both at their best temperatures."""
    k = int(results.deepest.removeprefix("pass_at_"))
    means = []
    for arm, temperature in ((row.arm, row.temperature), (row.control, row.control_temperature)):
        own = results.passes
        own = own[(own["domain"] == row.domain) & (own["arm"] == arm) & np.isclose(own["temperature"], temperature)]
        counts = own.groupby(["seed", "prompt_id"])["passed"].agg(["size", "sum"])
        counts["value"] = [pass_at_k(int(n), int(c), k) for n, c in counts.itertuples(index=False)]
        means.append(counts["value"].groupby("seed").mean())
    yield from means[0] - means[1].mean()


def _whisker(ax: Axes, row: tuple, y: float) -> None:
    look = style.look(row.arm)
    ax.plot([row.low_simultaneous, row.high_simultaneous], [y, y], color=look.colour, linewidth=0.7)
    ax.plot([row.low, row.high], [y, y], color=look.colour, linewidth=1.8, solid_capstyle="butt")
    ax.plot([row.difference], [y], color=look.colour, marker=look.marker, markersize=3.6)
    text = (
        f"{labels.domain(row.domain)}, {look.name}, {labels.metric(row.metric)}: {row.difference:+.3f} "
        f"[{row.low:+.3f}, {row.high:+.3f}]"
    )
    style.mark(ax, row.difference, y, text)
