"""Sizes of differences: the forest of effects, the ablations, the judge."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results, ablation_grid


@figure("forest", section="Results", in_body=True)
def forest(results: Results) -> Drawing:
    """The decision: gain in best Pass@k, kept best Pass@1 and best quality, a row a domain and arm."""
    results.require("hypotheses")
    rows = results.hypotheses[results.hypotheses["hypothesis"].isin(["superiority", "noninferiority"])]
    rows = rows[~rows["arm"].isin(["zero_shot", "few_shot"])]
    arms = results.arms(rows)
    domains = [*results.domains(), *(["pooled"] if "pooled" in set(rows["domain"]) else [])]
    step = len(arms) + 1
    titles = [f"Δ best {labels.metric(results.deepest)}", "Δ best Pass@1", "Δ best quality"]
    better, ones = rows["hypothesis"] == "superiority", rows["metric"] == "pass_at_1"
    asked = [rows[better], rows[~better & ones], rows[~better & ~ones]]
    figure, (axes,) = style.panels(1, 3, height=0.9 + 0.14 * step * len(domains), sharey=True)
    for ax, title, found in zip(axes, titles, asked, strict=True):
        for row in found[found["arm"].isin(arms)].itertuples():
            y = step * domains.index(row.domain) + arms.index(row.arm)
            _whisker(ax, row, y)
            if row.margin > 0:
                ax.plot([-row.margin] * 2, [y - 0.5, y + 0.5], color=style.RED, linewidth=0.9, zorder=0)
        ax.axvline(0, color="black", linewidth=0.7, zorder=0)
        ax.set_title(title)
        ax.grid(visible=False, axis="y")
        ax.locator_params(axis="x", nbins=3)
        ax.tick_params(axis="x", labelsize=5.8)
    centres = [step * number + (len(arms) - 1) / 2 for number in range(len(domains))]
    axes[0].set_yticks(centres, [labels.domain(domain).replace(" ", "\n") for domain in domains])
    axes[0].invert_yaxis()
    for arm in arms:
        look = style.look(arm)
        axes[0].plot([], [], color=look.colour, marker=look.marker, label=look.name)
    style.legend(figure, axes[:1], columns=2)
    metrics = sorted({labels.metric(metric) for metric in asked[2]["metric"]})
    control = labels.arm(results.control)
    return Drawing(
        figure,
        f"The decision, each arm at its own best temperature: {labels.metric(results.deepest)} against the tuned "
        f"control, Pass@1 and quality ({' or '.join(metrics)}) against {control}. Thick: {wording.intervals(rows)}; "
        f"thin: simultaneous over the {len(results.domains())} domains (Bonferroni). Red: the non-inferiority "
        f"margin, where it can be assessed. {wording.sizes(rows)}.",
    )


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


@figure("ablations", section="Ablations")
def ablations(results: Results) -> Drawing | None:
    """Differences from LoRA over λ, N and rank, a line a domain. None where no ablation arm was run."""
    results.require("pairwise")
    grid = ablation_grid(results)
    if grid.empty:
        return None
    rows = results.against_control().merge(grid, on=["domain", "arm"])
    metrics = [m for m in (results.deepest, "pass_at_1", "semantic_diversity") if m in set(rows["metric"])]
    rows = rows[rows["metric"].isin(metrics)]
    factors = list(dict.fromkeys(grid["factor"]))
    figure, axes = style.panels(
        len(metrics), len(factors), height=0.75 + 0.95 * len(metrics), sharey="row", sharex="col"
    )
    domains = results.domains()
    for line, metric in zip(axes, metrics, strict=True):
        for ax, factor in zip(line, factors, strict=True):
            ax.axhline(0, color="black", linewidth=0.7)
            levels = sorted(rows.loc[rows["factor"] == factor, "level"].unique())
            for number, domain in enumerate(domains):
                own = rows[(rows["domain"] == domain) & (rows["factor"] == factor) & (rows["metric"] == metric)]
                own = own.sort_values("level")
                if own.empty:
                    continue
                colour, marker = style.domain_look(domain)
                at = [levels.index(level) + 0.12 * (number - (len(domains) - 1) / 2) for level in own["level"]]
                ax.errorbar(
                    at,
                    own["difference"],
                    style.whiskers(own["difference"], own["low"], own["high"]),
                    color=colour,
                    marker=marker,
                    elinewidth=0.7,
                    linestyle=("-", "--", "-.", ":")[number % 4],
                    label=labels.domain(domain),
                )
                for x, row in zip(at, own.itertuples(), strict=True):
                    style.mark(
                        ax,
                        x,
                        row.difference,
                        f"{labels.domain(domain)}, {factor} = {row.level:g}: "
                        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]",
                    )
            ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        shown = rows[rows["metric"] == metric]
        line[0].set_ylim(style.frame([*shown["difference"], 0], [*shown["low"], 0], [*shown["high"], 0]))
        line[0].set_ylabel("Δ " + labels.metric(metric).replace("Semantic d", "d"))
    for ax, factor in zip(axes[-1], factors, strict=True):
        ax.set_xlabel(factor)
    style.legend(figure, axes[0], columns=4 if len(domains) < 4 else 2)
    return Drawing(
        figure,
        (
            f"Ablations: difference of {labels.arm(results.primary)} from {labels.arm(results.control)} as "
            f"{', '.join(factors)} change, one at a time, at T = {results.temperature:g}. "
            f"Bars: {wording.intervals(rows)}, cut at the frame (the table has their ends); {wording.sizes(rows)}."
        ),
    )


@figure("judge", section="Judge")
def judge(results: Results) -> Drawing | None:
    """Share of comparisons that an arm wins, ties and loses against LoRA, and its win rate, raw and at equal
    length. None where no judge was run.
    """
    if results.judge.empty:
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
        f"Judge: {wording.judges(rows['judge'])}. Preference between an arm's answer and {control}'s at "
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
