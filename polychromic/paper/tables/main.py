"""Arms by metrics, and which arm is set in bold."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.metric_registry import column_of
from polychromic.paper import wording
from polychromic.paper.results import Results, is_ablation
from polychromic.paper.table_formats import VALUES, Table, with_interval
from polychromic.paper.tables import table

# The columns of the main table where a study measured them; a domain's own quality metric is added.
MAIN_METRICS = (
    "self_bleu",
    "distinct_2",
    "semantic_diversity",
    "rouge_l",
    "token_f1",
    "pass_at_1",
    "pass_at_5",
    "pass_at_10",
)


@table("main", title="Results")
def main(results: Results) -> Table:
    """Arms by metrics at the primary temperature, per domain and, where the study has it, pooled."""
    results.require("summary", "pairwise")
    rows, tests = results.at_temperature(results.summary), results.at_temperature(results.pairwise)
    wanted = dict.fromkeys([*MAIN_METRICS, results.deepest])
    rows = rows[rows["metric"].isin(wanted) & ~rows["arm"].map(is_ablation)]
    metrics = [metric for metric in wanted if metric in set(rows["metric"])]
    arms = results.arms(rows)
    blocks = results.domains() + (["pooled"] if "pooled" in set(rows["domain"]) else [])
    found = rows.set_index(["domain", "arm", "metric"])
    data, cells, groups, best = [], [], [], set()
    for domain in blocks:
        winners = {metric: best_arm(rows, tests, domain, metric, arms, results.plan["alpha"]) for metric in metrics}
        for arm in arms:
            line = {"Arm": labels.arm(arm)}
            for metric in metrics:
                if (domain, arm, metric) not in found.index:
                    line[labels.metric(metric)] = "–"
                    continue
                row = found.loc[(domain, arm, metric)]
                data.append(
                    [
                        domain,
                        metric,
                        arm,
                        row["value"],
                        row["low"],
                        row["high"],
                        int(row["n_prompts"] * row["n_seeds"]),
                        row["signature"],
                    ]
                )
                line[labels.metric(metric)] = with_interval(row["value"], row["low"], row["high"])
                if winners[metric] == arm:
                    best.add((len(cells), labels.metric(metric)))
            cells.append(line)
            groups.append(labels.domain(domain))
    return Table(
        pd.DataFrame(data, columns=VALUES),
        pd.DataFrame(cells),
        groups,
        f"Results at T = {results.temperature:g}: means with {wording.intervals(rows)}; {_sizes(rows)}. "
        f"Lower is better for Self-BLEU. Bold: best, and different from the next arm at "
        f"Holm-adjusted p < {results.plan['alpha']:g}; a column without bold has no such arm.",
        best,
    )


def _sizes(rows: pd.DataFrame) -> str:
    """`wording.sizes`, and which means are over fewer prompts because the metric is undefined for the rest."""
    rows = rows[rows["domain"] != "pooled"]
    fewer = rows["n_prompts"] < rows.groupby("domain")["n_prompts"].transform("max")
    told = [
        f"{labels.metric(metric)} in {labels.domain(domain)} {labels.count_range(own['n_prompts'], 'prompt')}"
        for (metric, domain), own in rows[fewer].groupby(["metric", "domain"])
    ]
    return wording.sizes(rows[~fewer]) + (f" (undefined for the rest: {', '.join(told)})" if told else "")


def best_arm(
    summary: pd.DataFrame, pairwise: pd.DataFrame, domain: str, metric: str, arms: list[str], alpha: float
) -> str | None:
    """The arm that is best and, by the Holm-adjusted test, better than the next; None without such a test.

    `summary` and `pairwise` hold one temperature.
    """
    rows = summary[(summary["domain"] == domain) & (summary["metric"] == metric) & summary["arm"].isin(arms)]
    rows = rows.dropna(subset=["value"]).sort_values("value", ascending=_lower_is_better(metric), kind="stable")
    if len(rows) < 2:
        return None
    first, second = rows["arm"].iloc[:2]
    tests = pairwise[(pairwise["domain"] == domain) & (pairwise["metric"] == metric)]
    pair = tests[
        ((tests["arm"] == first) & (tests["control"] == second))
        | ((tests["arm"] == second) & (tests["control"] == first))
    ]
    return first if (pair["p_holm"] < alpha).any() else None


def _lower_is_better(metric: str) -> bool:
    column = column_of(metric)
    return column is not None and column.metric.lower_is_better
