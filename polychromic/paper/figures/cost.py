"""Pass@k at equal compute: what the longer training leaves for candidates."""

from __future__ import annotations

from math import floor

import numpy as np
import pandas as pd
from matplotlib.ticker import NullLocator

from polychromic import labels
from polychromic.metrics.passk import pass_at_k
from polychromic.paper import wording
from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results

SERVED = np.logspace(1, 5, 400)
"""Prompts served over the life of an adapter."""


@figure("equal_compute", section="Cost", title="Pass@k at equal compute", of_times=True)
def equal_compute(results: Results) -> Drawing | None:
    """Pass@k against the number of prompts served, if every arm may spend the same time on training and answers.

    The tuned control draws n candidates a prompt. The primary arm's longer training is taken from its candidates, at
    the seconds a candidate that training itself took. None where no training sampled.
    """
    results.require("verdict", "passes", "runs", "hypotheses")
    spent = pd.DataFrame(
        [
            {
                "domain": run["domain"],
                "arm": run["arm"],
                "seconds": run["seconds"]["total"],
                "of_token": run["seconds"]["sample"] / run["tokens"]["sampled"] if run["tokens"]["sampled"] else np.nan,
            }
            for run in results.runs
        ]
    )
    means = spent.groupby(["domain", "arm"]).mean()
    lengths = results.train_logs.groupby(["domain", "arm"])["length"].mean() if "length" in results.train_logs else {}
    domains = [d for d in results.domains() if (d, results.primary) in lengths]
    if not domains:
        return None
    figure, axes = style.domain_panels(domains, sharex=True, sharey=True)
    n = int(results.deepest.removeprefix("pass_at_"))
    said = []
    for ax, domain in zip(axes, domains, strict=True):
        tuned = results.verdict["domains"][domain]["tuned_control"]
        own, other = means.loc[(domain, results.primary)], means.loc[(domain, tuned)]
        candidate = own["of_token"] * lengths[domain, results.primary]
        extra = max(0.0, own["seconds"] - other["seconds"]) / candidate
        level = _best(results, domain, tuned, n)
        curve = {k: _best(results, domain, results.primary, k) for k in range(1, n + 1)}
        left = np.floor(n - extra / SERVED)
        value = [curve[int(k)] if k >= 1 else np.nan for k in left]
        for arm, line in ((tuned, [level] * len(SERVED)), (results.primary, value)):
            look = style.look(arm)
            (drawn,) = ax.plot(SERVED, line, color=look.colour, linestyle=look.line, label=look.name)
            style.tip(drawn, f"{labels.domain(domain)}, {look.name}")
        even = next((x for x, y in zip(SERVED, value, strict=True) if y >= level), None)
        if even is not None:
            ax.axvline(even, color="black", linewidth=0.6, linestyle=(0, (2, 1.5)), zorder=0)
        served = "at no number of prompts" if even is None else f"from {_round(even):,} prompts on"
        said.append(f"in {labels.domain(domain).lower()} {served} ({extra:,.0f} candidates)")
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_ylim(0, 1)
    for ax in style.left(axes):
        ax.set_ylabel("Pass@k")
    for ax in style.bottom(axes):
        ax.set_xlabel("prompts served")
    style.legend(figure, axes)
    return Drawing(
        figure,
        f"Pass@k at equal compute. The tuned control draws {n} candidates a prompt; {labels.arm(results.primary)} "
        "pays its longer training with candidates, the fewer the more prompts are served. Each k at its own best "
        f"temperature. It is ahead (vertical line) {'; '.join(said)}: in brackets, what the longer training costs in "
        f"candidates, by the times of {sum('derived' not in run for run in results.runs)} trainings on "
        f"{'; '.join(sorted({wording.machine(run['hardware']) for run in results.runs}))}.",
    )


def _best(results: Results, domain: str, arm: str, k: int) -> float:
    """The arm's Pass@k at its best temperature."""
    own = results.passes[(results.passes["domain"] == domain) & (results.passes["arm"] == arm)]
    counts = own.groupby(["temperature", "seed", "prompt_id"])["passed"].agg(["size", "sum"])
    table = {pair: pass_at_k(*pair, k) for pair in set(counts.itertuples(index=False, name=None))}
    values = pd.Series([table[pair] for pair in counts.itertuples(index=False, name=None)], counts.index)
    return float(values.groupby("temperature").mean().max())


def _round(value: float) -> int:
    """To two digits: 1234 -> 1200."""
    digits = 10 ** max(0, floor(np.log10(value)) - 1)
    return int(round(value / digits) * digits)
