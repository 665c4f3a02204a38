"""The preference of a judge."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results


@figure("judge", section="Judge", title="the judge's preferences")
def judge(results: Results) -> Drawing | None:
    """Share of comparisons that an arm wins, ties and loses against LoRA, and its win rate, raw and at equal
    length. None where no model judged.
    """
    models = wording.judges(results.judge)
    if not models:
        return None
    rows, control = results.judge, labels.arm(results.control)
    rates = results.summary.set_index(["metric", "domain", "arm"])
    raw = rates.loc["judge_win_rate"]
    bars = [(d, arm) for d in results.domains() for arm in results.arms(rows) if (d, arm) in raw.index]
    heights = [number + 0.7 * results.domains().index(domain) for number, (domain, _) in enumerate(bars)]
    figure, ((ax,),) = style.panels(1, 1, height=0.95 + 0.19 * heights[-1])
    for y, (domain, arm) in zip(heights, bars, strict=True):
        own = rows[(rows["domain"] == domain) & (rows["arm"] == arm)]
        _win_bar(ax, own["winner"].value_counts(normalize=True), y, control if y == 0 else "")
        for metric, name, marker, fill, shift in (
            ("judge_win_rate", "win rate", "D", "black", -0.17),
            ("judge_win_rate_length_controlled", "length-controlled", "o", "white", 0.17),
        ):
            rate = rates.loc[(metric, domain, arm)]
            ax.errorbar(
                [rate["value"]],
                [y + shift],
                xerr=style.whiskers(rate["value"], rate["low"], rate["high"]),
                color="black",
                marker=marker,
                markerfacecolor=fill,
                markersize=2.8,
                markeredgewidth=0.7,
                linestyle="none",
                elinewidth=0.8,
                label=name if y == 0 else None,
            )
            text = f"{labels.domain(domain)}, {labels.arm(arm)}: {name} {rate['value']:.3f}"
            style.mark(ax, rate["value"], y + shift, f"{text} [{rate['low']:.3f}, {rate['high']:.3f}]")
    ax.axvline(0.5, color="black", linewidth=0.7, linestyle=(0, (3, 2)))
    ax.set_yticks(heights, [f"{labels.short_domain(d)}: {labels.arm(a)}" for d, a in bars], fontsize=5.8)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"share of comparisons with {control}")
    ax.grid(visible=False)
    style.legend(figure, [ax], columns=3)
    sized = raw.loc[bars]
    return Drawing(
        figure,
        f"Judge: {', '.join(models)}. Preference between an arm's answer and {control}'s at "
        f"T = {results.temperature:g}, asked in both orders; a flip counts as a tie. Diamonds: win rate with ties as "
        f"halves, {wording.intervals(sized)}; circles: the rate had both answers the same number of words (95 % "
        "intervals over prompts). "
        f"{wording.sizes(sized)}: {len(rows):,} comparisons; {int(rows['parse_failures'].sum()):,} replies could not "
        "be read.",
    )


def _win_bar(ax: Axes, shares: pd.Series, y: float, control: str) -> None:
    """Wins, ties and losses as one stacked bar; with the control's name it is labelled for the legend."""
    start = 0.0
    for winner, name, colour, hatch in (
        ("arm", "arm preferred", style.ORANGE, ""),
        ("tie", "tie", "#DDDDDD", ""),
        ("control", f"{control} preferred", style.SKY, "////"),
    ):
        share = float(shares.get(winner, 0.0))
        bar = ax.barh(y, share, left=start, height=0.8, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        bar.set_label(name if control else "_")
        style.tip(bar[0], f"{name}: {share:.1%}")
        start += share
