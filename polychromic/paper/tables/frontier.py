"""Every arm along the sampling temperature, and its gain over the control's frontier."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results
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
        f"the highest that {control} reaches at the same Pass@1 less the margin, at any temperature. –: "
        f"{control} itself, or outside its range of Pass@1, where nothing is extrapolated. "
        f"{wording.intervals(rows).capitalize()}; {wording.sizes(rows)}.",
    )
