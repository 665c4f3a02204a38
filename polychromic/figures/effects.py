"""How large the differences are: the forest of effects, the ablations, the judge."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from polychromic import names
from polychromic.figures import style
from polychromic.figures.style import Drawing
from polychromic.results import CONTROL, PRIMARY, PRIMARY_TEMPERATURE, Results, ablation_grid


def forest(results: Results) -> Drawing:
    """Differences from LoRA in Pass@10 and Pass@1, a row a domain and arm."""
    results.require("pairwise")
    rows = results.pairwise
    rows = rows[
        rows["temperature"].eq(PRIMARY_TEMPERATURE)
        & (rows["control"] == CONTROL)
        & rows["metric"].isin(["pass_at_1", "pass_at_10"])
    ]
    arms = [arm for arm in results.arms(rows) if arm not in ("zero_shot", "few_shot")]
    domains = results.domains()
    margin = results.margin()
    gap = 1.0
    figure, ((left, right),) = style.panels(
        1, 2, height=0.9 + 0.13 * (len(arms) + gap) * len(domains), sharey=True
    )
    ticks = []
    for d, domain in enumerate(domains):
        top = d * (len(arms) + gap)
        ticks.append((top + (len(arms) - 1) / 2, names.domain(domain).replace(" ", "\n")))
        for number, arm in enumerate(arms):
            for ax, metric in ((left, "pass_at_10"), (right, "pass_at_1")):
                found = rows[(rows["domain"] == domain) & (rows["arm"] == arm) & (rows["metric"] == metric)]
                for row in found.itertuples():
                    _whisker(ax, row, top + number, label=d == 0 and ax is left)
    for ax, title in ((left, "Δ Pass@10"), (right, "Δ Pass@1")):
        ax.axvline(0, color="black", linewidth=0.7, zorder=0)
        ax.set_title(title)
        ax.grid(visible=False, axis="y")
    if margin is not None:
        right.axvline(-margin, color=style.RED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=0)
        right.axvspan(
            min(right.get_xlim()[0], -2 * margin), -margin, color=style.RED, alpha=0.08, linewidth=0, zorder=0
        )
    left.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    left.invert_yaxis()
    style.legend(figure, left, columns=2)
    line = "" if margin is None else f" Dashed: the non-inferiority margin, −{margin:g}."
    return Drawing(
        figure,
        (
            f"Differences from {names.arm(CONTROL)} at T = {PRIMARY_TEMPERATURE}.{line} "
            f"Bars: {names.intervals(rows)}; "
            f"{names.sizes(rows)}."
        ),
    )


def _whisker(ax: Axes, row: tuple, y: float, *, label: bool) -> None:
    look = style.look(row.arm)
    ax.errorbar(
        [row.difference],
        [y],
        xerr=style.whiskers(row.difference, row.low, row.high),
        color=look.colour,
        marker=look.marker,
        linestyle="none",
        elinewidth=1,
        markersize=3.6,
        label=look.name if label else None,
    )
    style.mark(
        ax,
        row.difference,
        y,
        f"{names.domain(row.domain)}, {look.name}, {names.metric(row.metric)}: "
        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}], Holm p = {row.p_holm:.3g}",
    )


def ablations(results: Results) -> Drawing | None:
    """Differences from LoRA over λ, N and rank, a line a domain. None where no ablation arm was run."""
    results.require("pairwise")
    grid = ablation_grid(results)
    if grid.empty:
        return None
    rows = results.pairwise
    rows = rows[rows["temperature"].eq(PRIMARY_TEMPERATURE) & (rows["control"] == CONTROL)]
    rows = rows.merge(grid, on=["domain", "arm"])
    metrics = [m for m in ("pass_at_10", "pass_at_1", "semantic_diversity") if m in set(rows["metric"])]
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
                own = rows[
                    (rows["domain"] == domain) & (rows["factor"] == factor) & (rows["metric"] == metric)
                ]
                own = own.sort_values("level")
                if own.empty:
                    continue
                colour, marker = style.domain_look(domain)
                at = [
                    levels.index(level) + 0.12 * (number - (len(domains) - 1) / 2) for level in own["level"]
                ]
                ax.errorbar(
                    at,
                    own["difference"],
                    style.whiskers(own["difference"], own["low"], own["high"]),
                    color=colour,
                    marker=marker,
                    elinewidth=0.7,
                    linestyle=("-", "--", "-.", ":")[number % 4],
                    label=names.domain(domain),
                )
                for x, row in zip(at, own.itertuples(), strict=True):
                    style.mark(
                        ax,
                        x,
                        row.difference,
                        f"{names.domain(domain)}, {factor} = {row.level:g}: "
                        f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]",
                    )
            ax.set_xticks(range(len(levels)), [f"{level:g}" for level in levels])
        line[0].set_ylabel("Δ " + names.metric(metric).replace("Semantic d", "d"))
    for ax, factor in zip(axes[-1], factors, strict=True):
        ax.set_xlabel(factor)
    style.legend(figure, axes[0][0], columns=4 if len(domains) < 4 else 2)
    return Drawing(
        figure,
        (
            f"Ablations: difference of {names.arm(PRIMARY)} from {names.arm(CONTROL)} as "
            f"{', '.join(factors)} change, one "
            f"at a time, at T = {PRIMARY_TEMPERATURE}. Bars: {names.intervals(rows)}; {names.sizes(rows)}."
        ),
    )


def judge(results: Results) -> Drawing | None:
    """Share of comparisons that an arm wins, ties and loses against LoRA. None where no judge was run."""
    if results.judge.empty:
        return None
    rows = results.judge
    arms, domains = results.arms(rows), results.domains()
    figure, ((ax,),) = style.panels(1, 1, height=0.8 + 0.24 * (len(arms) + 0.6) * len(domains))
    ticks = []
    for d, domain in enumerate(domains):
        for number, arm in enumerate(arms):
            own = rows[(rows["domain"] == domain) & (rows["arm"] == arm)]
            if own.empty:
                continue
            y = d * (len(arms) + 0.6) + number
            ticks.append((y, f"{names.domain(domain)}\n{names.arm(arm)}"))
            _win_bar(ax, own, y, label=not ax.patches)
    ax.axvline(0.5, color="black", linewidth=0.7, linestyle=(0, (3, 2)))
    ax.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=5.8)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of comparisons")
    ax.grid(visible=False)
    style.legend(figure, ax, columns=4)
    failures = int(rows["parse_failures"].sum())
    return Drawing(
        figure,
        (
            f"Judge: {', '.join(names.arm(a) for a in arms)} against {names.arm(CONTROL)}, both "
            f"orders, a flip counts as a "
            f"tie. Diamond: win rate with ties as halves, 95 % interval, bootstrap over prompts. n = "
            f"{len(rows):,} "
            f"comparisons; {failures:,} replies could not be read."
        ),
    )


def _win_bar(ax: Axes, rows: pd.DataFrame, y: float, *, label: bool) -> None:
    shares = rows["winner"].value_counts(normalize=True)
    start = 0.0
    for winner, name, colour, hatch in (
        ("arm", "arm wins", style.ORANGE, ""),
        ("tie", "tie", "#DDDDDD", ""),
        ("control", "LoRA wins", style.BLUE, "////"),
    ):
        share = float(shares.get(winner, 0.0))
        bar = ax.barh(
            y,
            share,
            left=start,
            height=0.8,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
            label=name if label else None,
        )[0]
        style.tip(bar, f"{name}: {share:.1%} of {len(rows)}")
        start += share
