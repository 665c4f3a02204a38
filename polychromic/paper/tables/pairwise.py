"""The tests at the published temperature."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results, is_ablation
from polychromic.paper.table_formats import Table, p_cell, with_interval
from polychromic.paper.tables import table


@table("pairwise", title="Pairwise tests at the published temperature")
def pairwise(results: Results) -> Table:
    """The treatments against LoRA at the primary temperature; the CSV has all arms, metrics and temperatures."""
    results.require("pairwise")
    shown = results.against_control()
    shown = shown[shown["metric"].isin(["pass_at_1", results.deepest]) & ~shown["arm"].map(is_ablation)]
    shown = shown[shown["arm"].map(results.roles.get).isin(["primary", "peer"])]
    order = [(d, m, a) for d in results.domains() for m in (results.deepest, "pass_at_1") for a in results.arms(shown)]
    shown = shown.set_index(["domain", "metric", "arm"])
    cells, groups = [], []
    for key in order:
        if key not in shown.index:
            continue
        row, (domain, metric, arm) = shown.loc[key], key
        groups.append(labels.domain(domain))
        cells.append(
            {
                "Metric": labels.metric(metric),
                "Arm": labels.arm(arm),
                "Difference": with_interval(row["difference"], row["low"], row["high"], sign=True),
                "p": p_cell(row["p"]),
                "p (Holm)": p_cell(row["p_holm"]),
                "p (U)": p_cell(row["p_mwu"]),
                "d (pooled)": with_interval(row["d_pooled"], row["d_pooled_low"], row["d_pooled_high"], sign=True),
                "d (paired)": with_interval(row["d_paired"], row["d_paired_low"], row["d_paired_high"], sign=True),
            }
        )
    return Table(
        results.pairwise.assign(n=results.pairwise["n_prompts"] * results.pairwise["n_seeds"]),
        pd.DataFrame(cells),
        groups,
        (
            f"Differences from {labels.arm(results.control)} at T = {results.temperature:g} with 95 % "
            "intervals: the published reading, which does not decide. p (U): Mann–Whitney on prompt × seed values; "
            "d: Cohen's. The CSV has all arms; the plan did not ask for its exploratory rows. "
            f"{wording.sizes(shown)}."
        ),
    )
