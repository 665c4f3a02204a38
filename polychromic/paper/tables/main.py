"""Arms by metrics, and which arm is set in bold."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.metric_registry import column_of
from polychromic.paper import wording
from polychromic.paper.results import Results, is_ablation
from polychromic.paper.table_formats import VALUES, Table, with_interval
from polychromic.paper.tables import table

MAIN_METRICS = (
    "self_bleu",
    "distinct_2",
    "semantic_diversity",
    "classes",
    "rouge_l",
    "token_f1",
    "pass_at_1",
    "pass_at_5",
    "pass_at_10",
)
"""The metrics of the main table's CSV, where a study measured them."""
QUALITY = ("rouge_l", "token_f1")
"""Of these the page shows each domain's own, in one column."""
SAME = 0.0005
"""A quality metric whose values differ by less from Pass@1 in all arms of a domain is not shown next to it."""


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
        columns = _columns(results, rows, metrics, domain)
        for arm in arms:
            for metric in metrics:
                if (domain, arm, metric) in found.index:
                    row = found.loc[(domain, arm, metric)]
                    interval = [row["value"], row["low"], row["high"]]
                    size = int(row["n_prompts"] * row["n_seeds"])
                    data.append([domain, metric, arm, *interval, size, row["signature"]])
            line = {"Arm": labels.arm(arm)}
            for name, metric in columns.items():
                if metric is None or (domain, arm, metric) not in found.index:
                    line[name] = metric if metric == AS_PASS else "–"
                    continue
                row = found.loc[(domain, arm, metric)]
                line[name] = with_interval(row["value"], row["low"], row["high"])
                if winners[metric] == arm:
                    best.add((len(cells), name))
            cells.append(line)
            quality = columns.get("Quality")
            groups.append(
                labels.domain(domain) + (f" (quality: {labels.metric(quality)})" if quality in QUALITY else "")
            )
    return Table(
        pd.DataFrame(data, columns=VALUES),
        pd.DataFrame(cells),
        groups,
        f"Results at T = {results.temperature:g}: means with {wording.intervals(rows)}; {_sizes(rows)}. "
        f"Lower is better for Self-BLEU. –: not measured there. Bold: best, and different from the next arm at "
        f"Holm-adjusted p < {results.plan['alpha']:g}; a column without bold has no such arm.",
        best,
    )


AS_PASS = "as Pass@1"


def _columns(results: Results, rows: pd.DataFrame, metrics: list[str], domain: str) -> dict[str, str | None]:
    """The page's columns and the metric that each shows in a domain: "Quality" is the domain's own, or `AS_PASS`."""
    shown: dict[str, str | None] = {labels.metric(name): name for name in metrics if name not in QUALITY}
    if not set(QUALITY) & set(metrics):
        return shown
    own = results.verdict.get("domains", {}).get(domain, {}).get("quality_metric")
    values = rows[rows["domain"] == domain].pivot_table(index="arm", columns="metric", values="value")
    if own in values and "pass_at_1" in values and (values[own] - values["pass_at_1"]).abs().max() < SAME:
        own = AS_PASS
    place = next(at for at, name in enumerate(shown) if name.startswith("Pass@"))
    parts = list(shown.items())
    return dict([*parts[:place], ("Quality", own if own == AS_PASS or own in metrics else None), *parts[place:]])


def _sizes(rows: pd.DataFrame) -> str:
    """`wording.sizes`, and which means are over fewer prompts because the metric is undefined on the others."""
    rows = rows[rows["domain"] != "pooled"]
    fewer = rows["n_prompts"] < rows.groupby("domain")["n_prompts"].transform("max")
    partial = [
        f"{labels.metric(metric)} in {labels.domain(domain)}, on {labels.count_range(own['n_prompts'], 'prompt')}"
        for (metric, domain), own in rows[fewer].groupby(["metric", "domain"])
    ]
    return wording.sizes(rows[~fewer]) + (f" (undefined on the other prompts: {'; '.join(partial)})" if partial else "")


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
