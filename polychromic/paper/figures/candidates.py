"""Pass@k curves, and how many of a prompt's samples pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results

COUNTS = ("none", "up to half", "more than half", "all")
SHADES = ("#B35806", "#FDCB82", "#B8D0E8", "#2C6DA4")


@figure("passk_curves", section="Results", title="Pass@k over k", in_body=True)
def passk_curves(results: Results) -> Drawing:
    """Pass@k against k at the best temperature for each k, a panel a domain and a line an arm."""
    results.require("frontier", "verdict", "hypotheses")
    rows, roles, domains = results.frontier, results.roles, results.domains()
    ks = sorted(int(name.removeprefix("pass_at_")) for name in rows if name.removeprefix("pass_at_").isdigit())
    figure, axes = style.domain_panels(domains, sharey=True)
    arms = [arm for arm in results.arms(rows) if roles.get(arm) != "placebo"]
    for ax, domain in zip(axes, domains, strict=True):
        tuned = results.verdict["domains"][domain]["tuned_control"]
        shifts = {tuned: 0.09, results.primary: 0.17}  # of the intervals, so that they do not overlap
        for arm in arms:
            own = rows[(rows["domain"] == domain) & (rows["arm"] == arm)]
            if len(own) and (roles.get(arm) != "control" or arm in (tuned, results.control)):
                _best_curve(ax, own, ks, arm, shift=shifts.get(arm, 0))
        for arm in shifts:
            own = rows[(rows["domain"] == domain) & (rows["arm"] == arm)]
            _published(ax, results.at_temperature(own), ks, arm)
        ax.set_xticks(np.log(ks), [str(k) for k in ks])
        ax.set_ylim(0, 1)
    for ax in style.left(axes):
        ax.set_ylabel("Pass@k")
    for ax in style.bottom(axes):
        ax.set_xlabel("candidates k")
    axes[0].plot([], [], color="black", linewidth=0.6, alpha=0.6, label=f"at T = {results.temperature:g}")
    style.legend(figure, axes)
    return Drawing(
        figure,
        "Pass@k: the chance that at least one of k samples passes, each arm at the best temperature for each k. Thin "
        f"lines without marks: {labels.arm(results.primary)} and the tuned control at T = {results.temperature:g}. "
        f"Bars at the right, of the two: {wording.intervals(rows)}; {wording.sizes(rows)}.",
    )


def _best_curve(ax: Axes, own: pd.DataFrame, ks: list[int], arm: str, *, shift: float) -> None:
    look = style.look(arm)
    best = [own.loc[own[f"pass_at_{k}"].idxmax()] for k in ks]
    value, low, high = ([row[f"pass_at_{k}{end}"] for k, row in zip(ks, best, strict=True)] for end in ENDS)
    ax.plot(np.log(ks), value, color=look.colour, marker=look.marker, linestyle=look.line, label=look.name)
    if shift:
        ends = style.whiskers(value[-1:], low[-1:], high[-1:])
        ax.errorbar([np.log(ks[-1]) + shift], value[-1:], ends, color=look.colour, linestyle="none", elinewidth=1.4)
    for k, row, v, lowest, highest in zip(ks, best, value, low, high, strict=True):
        text = f"{look.name}, Pass@{k} at T = {row['temperature']:g}: {v:.3f} [{lowest:.3f}, {highest:.3f}]"
        style.mark(ax, np.log(k), v, text)


def _published(ax: Axes, own: pd.DataFrame, ks: list[int], arm: str) -> None:
    for _, row in own.iterrows():
        value = [row[f"pass_at_{k}"] for k in ks]
        ax.plot(np.log(ks), value, color=style.look(arm).colour, linewidth=0.6, alpha=0.6, zorder=1)


ENDS = ("", "_low", "_high")


@figure("pass_counts", section="Results", title="how many samples of a prompt pass", in_body=True)
def pass_counts(results: Results) -> Drawing:
    """Of how many prompts none, some or all samples pass: a bar an arm, a panel a domain."""
    results.require("passes", "verdict")
    rows = results.at_temperature(results.passes)
    domains, tuned = results.domains(), results.verdict["tuned_control"]["domains"]
    wanted = ["zero_shot", results.control, *(found["arm"] for found in tuned.values()), results.primary]
    arms = [arm for arm in results.arms(rows) if arm in wanted]
    counts = rows.groupby(["domain", "arm", "seed", "prompt_id"])["passed"].agg(["sum", "size"]).reset_index()
    most = int(counts["size"].max())
    half = most // 2
    shares = {
        name: counts["sum"].between(low, high)
        for name, (low, high) in zip(COUNTS, ((0, 0), (1, half), (half + 1, most - 1), (most, most)), strict=True)
    }
    found = counts.assign(**shares).groupby(["domain", "arm"])[list(COUNTS)].mean()
    figure, axes = style.domain_panels(domains, panel_height=0.45 + 0.17 * len(arms), sharex=True, sharey=True)
    for ax, domain in zip(axes, domains, strict=True):
        for y, arm in enumerate(arms):
            if (domain, arm) in found.index:
                _counts_bar(ax, found.loc[(domain, arm)], y, labels.arm(arm), most)
        ax.set_xlim(0, 1)
        ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        ax.grid(visible=False)
    axes[0].set_yticks(range(len(arms)), [labels.arm(arm) for arm in arms])
    axes[0].invert_yaxis()
    for ax in style.bottom(axes):
        ax.set_xlabel("share of prompts")
    style.legend(figure, axes[:1], columns=4)
    return Drawing(
        figure,
        f"Of a prompt's {most} samples at T = {results.temperature:g}, how many pass: the share of prompts of which "
        f"none, 1 to {half}, {half + 1} to {most - 1} or all {most} do. Pass@{most} is all but the first part. "
        f"An arm that is sure, rightly or wrongly, has wide ends and a narrow middle; "
        f"{labels.count_range(rows.groupby('domain')['prompt_id'].nunique(), 'prompt')} × "
        f"{rows['seed'].nunique()} training seeds a domain.",
    )


def _counts_bar(ax: Axes, shares: pd.Series, y: int, arm: str, most: int) -> None:
    start = 0.0
    for name, colour in zip(COUNTS, SHADES, strict=True):
        share = float(shares[name])
        bar = ax.barh(y, share, left=start, height=0.78, color=colour, edgecolor="white", linewidth=0.4)
        bar.set_label(name if y == 0 else "_")
        style.tip(bar[0], f"{arm}: {name} of {most} pass for {share:.1%} of prompts")
        if share > 0.12:
            dark = name in (COUNTS[0], COUNTS[-1])
            text = f"{100 * share:.0f}"
            ax.text(
                start + share / 2, y, text, ha="center", va="center", fontsize=5.4, color="white" if dark else "black"
            )
        start += share
