"""Both readings along the sampling temperature: the frontier, and T chosen on validation prompts."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results, pass_at_columns
from polychromic.paper.table_formats import Table, with_interval
from polychromic.paper.tables import table


@table("frontier", title="Temperature frontier")
def frontier(results: Results) -> Table:
    """Pass@1 and Pass@k of every arm and temperature, and the gain over the control's frontier."""
    results.require("frontier", "hypotheses")
    rows = results.frontier.assign(n=results.frontier["n_prompts"] * results.frontier["n_seeds"])
    found = rows.set_index(["domain", "arm"]).sort_values("temperature", kind="stable")
    shown = ("pass_at_1", results.deepest)
    cells, groups = [], []
    for domain in results.domains():
        for arm in results.arms(rows[rows["domain"] == domain]):
            for row in found.loc[[(domain, arm)]].to_dict("records"):
                line = {"Arm": labels.arm(arm), "T": f"{row['temperature']:g}"}
                for metric in shown:
                    ends = (row[f"{metric}_low"], row[f"{metric}_high"])
                    line[labels.metric(metric)] = with_interval(row[metric], *ends)
                gain = (row["gain_over_control_frontier"], row["gain_low"], row["gain_high"])
                line["Above the frontier by"] = with_interval(*gain, sign=True) if row["defined"] else "–"
                cells.append(line)
                groups.append(labels.domain(domain))
    control, deep = labels.arm(results.control), labels.metric(results.deepest)
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        f"The temperature frontier: Pass@1 and {deep} by sampling temperature T, and what an arm's {deep} is above "
        f"the highest that {control} reaches at the same Pass@1, at any temperature. –: {control} itself, or outside "
        "its range of Pass@1, where nothing is extrapolated. "
        f"{wording.intervals(rows).capitalize()}; {wording.sizes(rows)}.",
    )


@table("chosen_temperature", title="Temperature chosen on validation prompts")
def chosen_temperature(results: Results) -> Table | None:
    """The second reading: T chosen on validation prompts for each arm and k. None where there were none."""
    results.require("hypotheses")
    rows = results.hypotheses[results.hypotheses["hypothesis"] == "chosen_temperature"]
    rows = rows.dropna(axis="columns", how="all").assign(n=rows["n_prompts"] * rows["n_seeds"])
    if rows.empty:
        return None
    ks = sorted(pass_at_columns(rows).items(), key=lambda item: item[1])
    found, control = rows.set_index(["domain", "arm", "metric"]), labels.arm(results.control)
    cells, groups = [], []
    for domain in results.domains():
        for arm in results.arms(rows[rows["domain"] == domain]):
            line = {"Arm": labels.arm(arm)}
            for metric, k in ks:
                row = found.loc[(domain, arm, metric)]
                line[f"T for k = {k}"] = f"{row['temperature']:g} / {row['control_temperature']:g}"
                line[f"Δ {labels.metric(metric)}"] = with_interval(
                    row["difference"], row["low"], row["high"], sign=True
                )
            cells.append(line)
            groups.append(labels.domain(domain))
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        f"Second reading: differences from {control} with T chosen for each arm and k on "
        f"{labels.count_range(rows['n_validation'], 'validation prompt')}, sampled like the test prompts. T: of the "
        f"arm / of {control}. {wording.intervals(rows).capitalize()}, not adjusted for the number of readings; "
        f"{wording.sizes(rows)}.",
    )
