"""Pass@k curves, and how many of a prompt's samples pass."""

from __future__ import annotations

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results, pass_at_columns


@figure("passk_curves", section="Results", in_body=True)
def passk_curves(results: Results) -> Drawing:
    """Pass@k against k, a panel a domain and a line an arm, with the intervals of the summary."""
    results.require("summary")
    rows = results.at_temperature(results.summary)
    ks = pass_at_columns(rows)
    rows = rows[rows["metric"].isin(ks)].assign(k=lambda frame: frame["metric"].map(ks))
    domains, arms = results.domains(), results.arms(rows)
    figure, axes = style.domain_panels(domains)
    for ax, domain in zip(axes, domains, strict=True):
        for number, arm in enumerate(arms):
            line = rows[(rows["domain"] == domain) & (rows["arm"] == arm)].sort_values("k")
            if line.empty:
                continue
            look = style.look(arm)
            # A small shift by arm, so that the intervals do not overlap.
            at = np.log(line["k"]) + 0.035 * (number - (len(arms) - 1) / 2)
            errors = style.whiskers(line["value"], line["low"], line["high"])
            ax.errorbar(
                at,
                line["value"],
                errors,
                color=look.colour,
                marker=look.marker,
                linestyle=look.line,
                label=look.name,
                elinewidth=0.7,
            )
            for x, row in zip(at, line.itertuples(), strict=True):
                style.mark(
                    ax,
                    x,
                    row.value,
                    f"{look.name}, {labels.metric(row.metric)}: {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]",
                )
        ax.set_xticks([np.log(k) for k in sorted(ks.values())], [str(k) for k in sorted(ks.values())])
        ax.set_ylim(bottom=0)
    for ax in style.left(axes):
        ax.set_ylabel("Pass@k")
    for ax in style.bottom(axes):
        ax.set_xlabel("candidates k")
    style.legend(figure, axes)
    return Drawing(
        figure,
        (
            f"Pass@k: the chance that at least one of k samples passes, at T = {results.temperature:g}. "
            f"Bars: {wording.intervals(rows)}; {wording.sizes(rows)}."
        ),
    )


@figure("pass_counts", section="Results")
def pass_counts(results: Results) -> Drawing:
    """Distribution of the number of passing samples of a prompt, a panel a domain."""
    results.require("passes")
    rows = results.at_temperature(results.passes)
    arms = [arm for arm in (results.control, results.primary) if arm in set(rows["arm"])]
    domains = results.domains()
    counts = rows.groupby(["domain", "arm", "seed", "prompt_id"])["passed"].agg(["sum", "size"]).reset_index()
    most = int(counts["size"].max())
    figure, axes = style.domain_panels(domains)
    for ax, domain in zip(axes, domains, strict=True):
        for number, arm in enumerate(arms):
            own = counts[(counts["domain"] == domain) & (counts["arm"] == arm)]
            if own.empty:
                continue
            shares = (
                own.groupby("seed")["sum"]
                .apply(lambda passed: pd.Series(np.bincount(passed, minlength=most + 1) / len(passed)))
                .unstack()
            )
            look = style.look(arm)
            at = np.arange(most + 1) + 0.18 * (number - (len(arms) - 1) / 2)
            mean = shares.mean()
            ax.errorbar(
                at,
                mean,
                style.whiskers(mean, shares.min(), shares.max()),
                color=look.colour,
                marker=look.marker,
                linestyle=look.line,
                label=look.name,
                elinewidth=0.7,
            )
            for x, value in enumerate(mean):
                style.mark(ax, at[x], value, f"{look.name}: {x} of {most} pass for {value:.1%} of prompts")
        ax.set_ylim(bottom=0)
        ax.set_xticks(range(0, most + 1, 2 if most > 5 else 1))
    for ax in style.left(axes):
        ax.set_ylabel("share of prompts")
    for ax in style.bottom(axes):
        ax.set_xlabel(f"passing samples of {most}")
    style.legend(figure, axes)
    prompts = rows.groupby("domain")["prompt_id"].nunique()
    return Drawing(
        figure,
        (
            f"How many of a prompt's {most} samples pass, at T = {results.temperature:g}: mass at 0 and {most} means "
            "that an arm is sure, rightly or wrongly. Bars span the training seeds (lowest to highest of "
            f"{rows['seed'].nunique()}); {labels.count_range(prompts, 'prompt')}."
        ),
    )
