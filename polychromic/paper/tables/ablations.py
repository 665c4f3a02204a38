"""Differences from the control over λ, N, m and rank."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results, ablation_grid, is_ablation
from polychromic.paper.table_formats import Table, with_interval
from polychromic.paper.tables import table


@table("ablations", title="Ablations")
def ablations(results: Results) -> Table | None:
    """Differences from LoRA for every ablation arm, by what it changes. None where none was run."""
    results.require("pairwise", "verdict")
    shown, grid = results.against_control(), ablation_grid(results.verdict)
    if not any(map(is_ablation, shown["arm"])):
        return None
    metrics = [m for m in (results.deepest, "pass_at_1", "semantic_diversity") if m in set(shown["metric"])]
    found = shown.set_index(["domain", "arm", "metric"]).sort_index()
    grid = grid[grid["arm"].isin(set(shown["arm"]))]
    cells, groups, used = [], [], set()
    for domain in results.domains():
        present = set(shown.loc[shown["domain"] == domain, "arm"])
        own = grid[grid["arm"].isin(present)]
        settings = [(f"{row.factor} = {row.level:g}", row.arm) for row in own.itertuples()]
        arms = results.arms(shown[shown["domain"] == domain], ablations=True)
        settings += [(labels.arm(arm), arm) for arm in arms if is_ablation(arm) and arm not in set(own["arm"])]
        for setting, arm in settings:
            line = {"Setting": setting}
            for metric in metrics:
                row = found.loc[(domain, arm, metric)]
                effect = with_interval(row["difference"], row["low"], row["high"], sign=True)
                line["Δ " + labels.metric(metric)] = effect
            cells.append(line)
            groups.append(labels.domain(domain))
            used.add(arm)
    rows = shown[shown["arm"].isin(used)]
    rows = rows.assign(n=rows["n_prompts"] * rows["n_seeds"]).merge(grid, on="arm", how="left")
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        f"Ablations of {labels.arm(results.primary)}, one setting changed at a time; arms that change more come last, "
        f"by name. Differences from {labels.arm(results.control)} at T = {results.temperature:g} with 95 % intervals. "
        f"{wording.sizes(rows[rows['metric'].isin(metrics)])}.",
    )
