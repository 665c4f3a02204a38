"""The study's tables: each a function from `Results` to a `Table`.

    for name, make in TABLES.items():
        if table := make(results):
            tabular.save(table, folder / name)

The CSV carries every number in full with its n and signature; the other two are for reading. A value is
set in bold only where a test supports it: it is best in its column and differs from the next by the
Holm-adjusted test.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import pandas as pd

from polychromic import labels
from polychromic.paper import verdict_tables
from polychromic.paper.results import Results, ablation_grid, is_ablation
from polychromic.paper.table_formats import Table, p_value, with_interval

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
JUDGED = ("judge_win_rate", "judge_win_rate_length_controlled")


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
        pd.DataFrame(data, columns=["domain", "metric", "arm", "value", "low", "high", "n", "signature"]),
        pd.DataFrame(cells),
        groups,
        f"Results at T = {results.temperature:g}: means with {labels.intervals(rows)}; {_sizes(rows)}. "
        f"Lower is better for Self-BLEU. Bold: best, and different from the next arm at "
        f"Holm-adjusted p < {results.plan['alpha']:g}; a column without bold has no such arm.",
        best,
    )


def _sizes(rows: pd.DataFrame) -> str:
    """`labels.sizes`, and which means are over fewer prompts because the metric is undefined for the rest."""
    rows = rows[rows["domain"] != "pooled"]
    fewer = rows["n_prompts"] < rows.groupby("domain")["n_prompts"].transform("max")
    told = [
        f"{labels.metric(metric)} in {labels.domain(domain)} {labels.count_range(own['n_prompts'], 'prompt')}"
        for (metric, domain), own in rows[fewer].groupby(["metric", "domain"])
    ]
    return labels.sizes(rows[~fewer]) + (f" (undefined for the rest: {', '.join(told)})" if told else "")


def best_arm(
    summary: pd.DataFrame, pairwise: pd.DataFrame, domain: str, metric: str, arms: list[str], alpha: float
) -> str | None:
    """The arm that is best and, by the Holm-adjusted test, better than the next; None without such a test.

    `summary` and `pairwise` hold one temperature.
    """
    rows = summary[(summary["domain"] == domain) & (summary["metric"] == metric) & summary["arm"].isin(arms)]
    rows = rows.dropna(subset=["value"]).sort_values("value", ascending=metric in labels.LOWER_IS_BETTER, kind="stable")
    if len(rows) < 2:
        return None
    first, second = rows["arm"].iloc[:2]
    tests = pairwise[(pairwise["domain"] == domain) & (pairwise["metric"] == metric)]
    pair = tests[
        ((tests["arm"] == first) & (tests["control"] == second))
        | ((tests["arm"] == second) & (tests["control"] == first))
    ]
    return first if (pair["p_holm"] < alpha).any() else None


def pairwise(results: Results) -> Table:
    """Comparisons with LoRA at the primary temperature; the CSV has all metrics, pairs and temperatures."""
    results.require("pairwise")
    shown = results.against_control()
    shown = shown[shown["metric"].isin(["pass_at_1", results.deepest]) & ~shown["arm"].map(is_ablation)]
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
                "p": p_value(row["p"]),
                "p (Holm)": p_value(row["p_holm"]),
                "p (U)": p_value(row["p_mwu"]),
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
            "d: Cohen's. In the CSV, rows whose `reading` is exploratory were not asked by the plan. "
            f"{labels.sizes(shown)}."
        ),
    )


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
        f"{labels.intervals(rows).capitalize()}; {labels.sizes(rows)}.",
    )


def judge(results: Results) -> Table | None:
    """Preference of a judge for each arm over the control, raw and at equal length. None where none was run."""
    if results.judge.empty:
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
        pd.DataFrame(data, columns=["domain", "metric", "arm", "value", "low", "high", "n", "signature"]),
        pd.DataFrame(cells),
        groups,
        f"Judge: {labels.judges(results.judge['judge'])}. How often an arm's answer is preferred to "
        f"{labels.arm(results.control)}'s, ties as halves (.5 is parity), at T = {results.temperature:g}, one answer "
        "of each per prompt and training seed, in both orders. "
        "Flips: the two orders disagree, which counts as a tie. Length-controlled: the rate had both answers the same "
        f"number of words, by logistic regression. {labels.intervals(raw).capitalize()}; of the length-controlled rate "
        "over prompts only.",
    )


def ablations(results: Results) -> Table | None:
    """Differences from LoRA for every ablation arm, by what it changes. None where none was run."""
    results.require("pairwise")
    shown, grid = results.against_control(), ablation_grid(results)
    metrics = [m for m in (results.deepest, "pass_at_1", "semantic_diversity") if m in set(shown["metric"])]
    found = shown.set_index(["domain", "arm", "metric"]).sort_index()
    cells, groups, used = [], [], set()
    for domain in results.domains():
        own = grid[grid["domain"] == domain]
        settings = [
            (f"{factor} = {row.level:g}", row.arm)
            for factor in dict.fromkeys(grid["factor"])
            for row in own[own["factor"] == factor].sort_values("level").itertuples()
        ]
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
    if not cells:
        return None
    rows = shown[shown["arm"].isin(used)]
    rows = rows.assign(n=rows["n_prompts"] * rows["n_seeds"]).merge(grid, on=["domain", "arm"], how="left")
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        f"Ablations of {labels.arm(results.primary)}, one setting changed at a time; arms that change more stand last, "
        f"by name. Differences from {labels.arm(results.control)} at T = {results.temperature:g} with 95 % intervals. "
        f"{labels.sizes(rows[rows['metric'].isin(metrics)])}.",
    )


def cost(results: Results) -> Table | None:
    """What a training costs by domain and arm: means over seeds; the CSV has a row per training."""
    if not results.runs:
        return None
    data = pd.DataFrame(
        [
            {
                "domain": run["domain"],
                "arm": run["arm"],
                "seed": run["seed"],
                "status": run["status"],
                "hours": run["seconds"]["total"] / 3600,
                "sampling_share": run["seconds"]["sample"] / run["seconds"]["total"],
                "gpu_hours": run["gpu_hours"],
                "dollars": run["dollars"],
                "trainable_parameters": run["trainable_parameters"],
                "tokens_trained": run["tokens"]["trained"],
                "tokens_sampled": run["tokens"]["sampled"],
                "peak_memory_gib": run["peak_memory_bytes"] / 2**30,
                "hardware": labels.machine(run["hardware"]),
                "derived": "derived" in run,
                "n": 1,
                "signature": f"cost|of:one training|clock:wall|commit:{(run.get('git_commit') or 'none')[:12]}",
            }
            for run in results.runs
        ]
    )
    numbers = data.select_dtypes("number").columns.difference(["seed", "n"])
    means = data.groupby(["domain", "arm"])[list(numbers)].mean()
    cells, groups = [], []
    for domain in results.domains():
        for arm in results.arms(data[data["domain"] == domain], ablations=False):
            row = means.loc[(domain, arm)]
            groups.append(labels.domain(domain))
            cells.append(
                {
                    "Arm": labels.arm(arm),
                    "Hours": labels.hours(row["hours"]),
                    "Sampling": f"{row['sampling_share']:.0%}",
                    "GPU hours": labels.hours(row["gpu_hours"]),
                    "Dollars": f"{row['dollars']:.2f}",
                    "Parameters": f"{row['trainable_parameters']:,.0f}",
                    "Tokens trained": f"{row['tokens_trained']:,.0f}",
                    "Tokens sampled": f"{row['tokens_sampled']:,.0f}",
                    "Peak memory": f"{row['peak_memory_gib']:.1f} GiB" if row["peak_memory_gib"] else "–",
                }
            )
    trained = data[~data["derived"]]  # a derived arm repeats the record of the run it comes from
    totals, seeds = (
        trained[["hours", "gpu_hours", "dollars"]].sum(),
        trained.groupby(["domain", "arm"])["seed"].nunique(),
    )
    return Table(
        data,
        pd.DataFrame(cells),
        groups,
        f"Cost of one training: means over {labels.count_range(seeds, 'seed')}. Sampling is the share of "
        f"the time that "
        f"goes into drawing completions. The {len(trained)} trainings of the study took "
        f"{totals['hours']:.2f} hours, "
        f"{totals['gpu_hours']:.2f} GPU hours and {totals['dollars']:.2f} dollars.",
    )


TABLES: dict[str, Callable[[Results], Table | None]] = {
    "main": main,
    "decision": verdict_tables.decision,
    "peers": verdict_tables.peers,
    "placebos": verdict_tables.placebos,
    "replication": verdict_tables.replication,
    "pairwise": pairwise,
    "frontier": frontier,
    "judge": judge,
    "ablations": ablations,
    "cost": cost,
}
"""In the order in which a reader meets them. None: the study did not run what the table shows."""
TITLES = {
    "main": "Results",
    "decision": "The decision, arm by arm",
    "peers": "All arms at their best temperatures",
    "placebos": "Placebos",
    "replication": "Replication on other bases",
    "pairwise": "Pairwise tests at the published temperature",
    "frontier": "Temperature frontier",
    "judge": "Judge",
    "ablations": "Ablations",
    "cost": "Cost",
}
