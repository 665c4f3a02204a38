"""What a gain costs: Pass@k against the time of a training."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results, is_ablation


@figure("cost_gain", section="Cost", of_times=True)
def cost_gain(results: Results) -> Drawing:
    """Gain in Pass@10 over the control against the time of one training: a panel a domain, a point an arm."""
    results.require("pairwise", "runs")
    spent = pd.DataFrame([(run["domain"], run["arm"], run["seconds"]["total"] / 60) for run in results.runs])
    minutes = spent.groupby([0, 1])[2].mean()
    rows = results.against_control()
    rows = rows[rows["metric"].eq(results.deepest) & ~rows["arm"].map(is_ablation)]
    rows = rows[[(row.domain, row.arm) in minutes.index for row in rows.itertuples()]]
    unit, scale = ("hours", 60) if minutes.max() >= 120 else ("minutes", 1)
    domains, control = results.domains(), results.control
    arms = [control, *results.arms(rows)]
    figure, axes = style.domain_panels(domains, sharex=True, sharey=True)
    for ax, domain in zip(axes, domains, strict=True):
        ax.axhline(0, color="black", linewidth=0.7, zorder=0)
        found = rows[rows["domain"] == domain].set_index("arm")
        for arm in arms:
            look = style.look(arm)
            if (domain, arm) not in minutes.index:
                continue
            x = minutes[domain, arm] / scale
            gain, low, high = (0.0,) * 3 if arm == control else found.loc[arm, ["difference", "low", "high"]]
            ax.errorbar(
                [x],
                [gain],
                style.whiskers(gain, low, high),
                color=look.colour,
                marker=look.marker,
                elinewidth=0.7,
                markersize=4,
                linestyle="none",
                label=look.name,
            )
            text = f"{labels.domain(domain)}, {look.name}: {gain:+.3f} [{low:+.3f}, {high:+.3f}]"
            style.mark(ax, x, gain, f"{text} for {x:.2g} {unit}")
        ax.set_xlim(0, 1.15 * minutes.max() / scale)
    for ax in style.left(axes):
        ax.set_ylabel(f"Δ {labels.metric(results.deepest)}")
    for ax in style.bottom(axes):
        ax.set_xlabel(f"{unit} of one training")
    style.legend(figure, axes)
    hardware = sorted({wording.machine(run["hardware"]) for run in results.runs})
    return Drawing(
        figure,
        f"Gain in {labels.metric(results.deepest)} over {labels.arm(control)} (at 0) at T = {results.temperature:g} "
        "against the wall time of one training, sampling included, in the mean over seeds, on "
        f"{'; '.join(hardware)}. Bars: {wording.intervals(rows)}; {wording.sizes(rows)}; "
        f"{len(results.runs)} trainings.",
    )
