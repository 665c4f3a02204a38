"""Preference of a judge."""

from __future__ import annotations

from math import nan

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results
from polychromic.paper.table_formats import VALUES, Table, with_interval
from polychromic.paper.tables import table

JUDGED = ("judge_win_rate", "judge_win_rate_length_controlled")


@table("judge", title="Judge")
def judge(results: Results) -> Table | None:
    """Preference of a judge for each arm over the control, raw and at equal length. None where no model judged."""
    models = wording.judges(results.judge)
    if not models:
        return None
    results.require("summary")
    rates = results.summary[results.summary["metric"].isin(JUDGED) & results.summary["domain"].ne("pooled")]
    found, raw = rates.set_index(["domain", "arm", "metric"]), rates[rates["metric"] == JUDGED[0]]
    data, cells, groups = [], [], []
    for domain in results.domains():
        for arm in results.arms(rates[rates["domain"] == domain], ablations=True):
            own = results.judge[(results.judge["domain"] == domain) & (results.judge["arm"] == arm)]
            read = own[own["winner"].notna()]
            shares = {
                "ties": read["winner"].eq("tie").mean(),
                "flips": read["first"].ne(read["second"]).mean(),
                "unread replies": own["parse_failures"].sum() / (2 * len(own)),
            }
            line = {"Arm": labels.arm(arm), "Comparisons": f"{len(read):,}"}
            for metric in JUDGED:
                row = found.loc[(domain, arm, metric)]
                data.append([domain, metric, arm, row["value"], row["low"], row["high"], len(read), row["signature"]])
                line[labels.metric(metric)] = with_interval(row["value"], row["low"], row["high"])
            signature = found.loc[(domain, arm, JUDGED[0]), "signature"]
            for name, share in shares.items():
                key = f"judge_{name.replace(' ', '_')}"
                data.append([domain, key, arm, share, nan, nan, len(own), signature])
                line[name.capitalize()] = "–" if pd.isna(share) else f"{share:.1%}"
            cells.append(line)
            groups.append(labels.domain(domain))
    return Table(
        pd.DataFrame(data, columns=VALUES),
        pd.DataFrame(cells),
        groups,
        f"Judge: {', '.join(models)}. How often an arm's answer is preferred to "
        f"{labels.arm(results.control)}'s, ties as halves (.5 is parity), at T = {results.temperature:g}, one answer "
        "of each per prompt and training seed, in both orders. "
        "Flips: the two orders disagree, which counts as a tie. Length-controlled: the rate had both answers the same "
        f"number of words, by logistic regression. {wording.intervals(raw).capitalize()}; of the length-controlled "
        "rate over prompts only.",
    )
