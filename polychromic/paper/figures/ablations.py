"""Best Pass@k and best Pass@1 over λ, N, m and rank."""

from __future__ import annotations

from typing import Any

from polychromic import labels
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import DOMAIN_ORDER, Results, ablation_grid, ordered


@figure("ablations", section="Ablations", title="curves over λ, N, m and rank")
def ablations(results: Results) -> Drawing | None:
    """A row a factor, a column a domain; of the study itself, else of the ablation study beside it.

    None where neither varied a factor.
    """
    results.require("verdict", "hypotheses")
    for study, verdict in ((results.study, results.verdict), (f"{results.study}-ablations", results.ablations)):
        grid = ablation_grid(verdict) if verdict.get("settings") else None
        if grid is not None and len(grid):
            return _drawn(results, study, verdict, grid)
    return None


def _drawn(results: Results, study: str, verdict: dict[str, Any], grid: Any) -> Drawing:
    domains, factors = ordered(set(verdict["peers"]), DOMAIN_ORDER), list(dict.fromkeys(grid["factor"]))
    lines = {
        "pass_at_k": (labels.metric(results.deepest), style.RED, "D"),
        "pass_at_1": ("Pass@1", style.BLUE, "o"),
    }
    figure, grid_of_axes = style.panels(
        len(factors), len(domains), height=0.75 + 1.1 * len(factors), sharex="row", sharey=True
    )
    for line, factor in zip(grid_of_axes, factors, strict=True):
        own = grid[grid["factor"] == factor]
        levels = sorted(own["level"].unique())
        for ax, domain in zip(line, domains, strict=True):
            found = {row["arm"]: row for row in verdict["peers"][domain]}
            shown = own[own["arm"].isin(found)]
            for key, (name, colour, marker) in lines.items():
                best = [found[arm][key] for arm in shown["arm"]]
                at = [levels.index(level) for level in shown["level"]]
                value, low, high = ([row[end] for row in best] for end in ("value", "low", "high"))
                ax.errorbar(
                    at, value, style.whiskers(value, low, high), color=colour, marker=marker, elinewidth=0.7, label=name
                )
                for x, level, row in zip(at, shown["level"], best, strict=True):
                    text = f"{labels.domain(domain)}, {factor} = {level:g}, {name}: {row['value']:.3f} "
                    style.mark(ax, x, row["value"], f"{text}[{row['low']:.3f}, {row['high']:.3f}]")
            ax.set_xticks(range(len(levels)), [f"{level:g}".replace("0.", ".") for level in levels], fontsize=5.6)
            ax.set_xlim(-0.4, len(levels) - 0.6)
            ax.set_ylim(0, 1)
        for ax in line:
            ax.set_xlabel(factor)
        line[0].set_ylabel("share of prompts")
    for ax, domain in zip(grid_of_axes[0], domains, strict=True):
        ax.set_title(labels.short_domain(domain), fontsize=6.5)
    style.legend(figure, grid_of_axes[0][:1])
    zero = f" λ = 0 is {labels.arm(results.control)}." if 0 in set(grid["level"]) else ""
    spaced = " m: a step of the term every m-th step, with as many samples in all." if "m" in factors else ""
    rows = [row for found in verdict["peers"].values() for row in found if row["arm"] in set(grid["arm"])]
    prompts, seeds = (labels.span([row[key] for row in rows]) for key in ("n_prompts", "n_seeds"))
    return Drawing(
        figure,
        f"How the settings of {labels.arm(results.primary)} matter ({study}): {', '.join(factors)}, one changed at a "
        f"time, each point at its own best temperature.{zero}{spaced} Bars: 95 % intervals; "
        f"n = {prompts} prompts × {seeds} training seeds a domain.",
    )
