"""The lead figure: Pass@k against Pass@1 along the sampling temperature, and where the tuned control ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results

MARKS = {"good": "✓", "bad": "✗", "open": ""}
OUTLINE = [withStroke(linewidth=1.6, foreground="white")]


@figure("frontier", section="Results", title="all arms over temperature", in_body=True)
def frontier(results: Results) -> Drawing:
    """Each arm's curve over temperatures, a panel a domain; the area that the control family reaches is shaded."""
    results.require("frontier", "verdict", "hypotheses")
    domains, roles, deep = results.domains(), results.roles, results.deepest
    arms = [arm for arm in results.arms(results.frontier) if roles.get(arm) != "placebo"]
    figure, axes = style.domain_panels(domains, panel_height=1.85)
    for ax, domain in zip(axes, domains, strict=True):
        own = results.frontier[(results.frontier["domain"] == domain) & results.frontier["arm"].isin(arms)]
        own = own.sort_values("temperature")
        _frame(ax, own, deep)
        _reach(ax, own[own["arm"].map(roles.get) == "control"], deep)
        for arm in arms:
            if len(line := own[own["arm"] == arm]):
                _curve(ax, line, arm, results)
        _gain(ax, own, domain, results)
        ax.locator_params(axis="x", nbins=3)
        ax.locator_params(axis="y", nbins=4)
    for ax in style.left(axes):
        ax.set_ylabel(labels.metric(deep))
    for ax in style.bottom(axes):
        ax.set_xlabel("Pass@1")
    family = ", ".join(labels.arm(arm) for arm in results.verdict["tuned_control"]["family"])
    axes[0].add_line(
        Line2D([], [], marker="*", linestyle="none", color="black", markersize=6, label="best temperature")
    )
    style.legend(figure, axes)
    temperatures = ", ".join(f"{t:g}" for t in sorted(results.frontier["temperature"].unique()))
    sized = results.hypotheses[results.hypotheses["hypothesis"] == "superiority"]
    return Drawing(
        figure,
        f"The front. Each line is an arm sampled at T = {temperatures}; small numbers are temperatures. Grey: what the "
        f"control family ({family}) reaches at any temperature. Stars: the best temperature of "
        f"{labels.arm(results.primary)} and of the tuned control; the arrow between them is the gain that decides, "
        "given above each panel with its interval, ✓ where the claim is supported, ✗ where the arm is worse than "
        f"{labels.arm(results.control)} "
        f"({wording.intervals(sized)}; {wording.sizes(sized)}).",
    )


def _frame(ax: Axes, points: pd.DataFrame, deep: str) -> None:
    for metric, limit in (("pass_at_1", ax.set_xlim), (deep, ax.set_ylim)):
        low, high = points[metric].min(), points[metric].max()
        room = 0.12 * (high - low) or 0.05
        if metric == deep:  # below the lowest point: its temperature, then the name of the tuned control
            limit(low - 2.4 * room, min(1.0, high + room))
            ax.yaxis.set_major_formatter(lambda y, _: f"{y:.4g}" if y > -1e-9 else "")
        else:
            limit(max(0.0, low - room), high + 1.6 * room)


def _reach(ax: Axes, family: pd.DataFrame, deep: str) -> None:
    """Shade what a control gives: at each Pass@1, the highest Pass@k with at least as much Pass@1."""
    (left, _), (floor, _) = ax.get_xlim(), ax.get_ylim()
    for _, line in family.groupby("arm"):
        line = line.sort_values("pass_at_1")
        top = line[deep][::-1].cummax()[::-1]
        x = [left, *line["pass_at_1"]]
        ax.fill_between(
            x, [top.iloc[0], *top], floor, color="#E4E4E4", linewidth=0, zorder=0, label="reached by a control"
        )


def _curve(ax: Axes, line: pd.DataFrame, arm: str, results: Results) -> None:
    look, deep, role = style.look(arm), results.deepest, results.roles.get(arm)
    decides = role in ("primary", "control")
    ax.plot(
        line["pass_at_1"],
        line[deep],
        color=look.colour,
        marker=look.marker,
        linestyle="none" if role == "untrained" else look.line,  # sampled at one temperature
        label=look.name,
        linewidth=1.5 if role == "primary" else 1.0 if decides else 0.7,
        markersize=4.2 if role == "untrained" else 2.8 if decides else 2.0,
        zorder=4 if role == "primary" else 3,
    )
    for row in line.to_dict("records"):
        text = f"{look.name}, T = {row['temperature']:g}: Pass@1 {row['pass_at_1']:.3f}, "
        style.mark(ax, row["pass_at_1"], row[deep], f"{text}{labels.metric(deep)} {row[deep]:.3f}")


def _gain(ax: Axes, own: pd.DataFrame, domain: str, results: Results) -> None:
    """Both stars, the arrow from the tuned control's best to the primary arm's, and the gain above the panel."""
    verdict, deep = results.verdict["domains"][domain], results.deepest
    stars = {}
    for arm in dict.fromkeys([verdict["tuned_control"], results.primary]):
        line, look = own[own["arm"] == arm], style.look(arm)
        best = line.loc[line[deep].idxmax()]
        stars[arm] = (best["pass_at_1"], best[deep])
        ax.plot(*stars[arm], marker="*", markersize=9, color=look.colour, markeredgecolor="white", zorder=6)
        primary = arm == results.primary
        _temperature(ax, best, deep, look.colour, at=(4, 3) if primary else (-9, 3), sign="T = " * primary)
        ends = [end for end in (0, len(line) - 1) if abs(end - line.index.get_loc(best.name)) > 1]
        for end in ends:  # next to the star its number would lie on the star's
            _temperature(ax, line.iloc[end], deep, look.colour, at=(4, 3) if primary else (-3, -7.5))
    (x, top), (start, level) = stars[results.primary], stars[verdict["tuned_control"]]
    ax.plot([start, x], [level, level], color="black", linewidth=0.7, linestyle=(0, (2, 1.5)), zorder=2)
    if abs(top - level) > 0.06 * np.ptp(ax.get_ylim()):
        arrow = {"arrowstyle": "-|>", "color": style.look(results.primary).colour, "linewidth": 1.0, "shrinkA": 0}
        ax.annotate("", (x, top), (x, level), arrowprops=arrow | {"shrinkB": 3.5}, zorder=5)
    colour = wording.outcome(verdict)[1]
    ax.set_title(labels.domain(domain), pad=12)
    text = f"gain {wording.effect(verdict)} {MARKS[colour]}"
    gain = ax.text(0, 1.025, text, transform=ax.transAxes, fontsize=5.8, color=style.OUTCOMES[colour])
    gain.set_in_layout(False)  # as wide as it likes, without making the panel narrower
    if verdict["tuned_control"] != results.control:
        text = f"tuned: {labels.arm(verdict['tuned_control'])}"
        ax.text(0.02, 0.03, text, transform=ax.transAxes, fontsize=5.6, color="#444444", path_effects=OUTLINE)


def _temperature(ax: Axes, row: pd.Series, deep: str, colour: str, *, at: tuple[float, float], sign: str = "") -> None:
    ax.annotate(
        f"{sign}{row['temperature']:g}",
        (row["pass_at_1"], row[deep]),
        xytext=at,
        textcoords="offset points",
        fontsize=5.5,
        color=colour,
        path_effects=OUTLINE,
        zorder=7,
    )
