"""The study's tables: main results, pairwise tests, ablations and cost, each as CSV, LaTeX (booktabs)
and Markdown.

    for name, make in TABLES.items():
        if table := make(results):
            save(table, folder / name)

The CSV carries every number in full with its n and signature; the other two are for reading. A value is
set in bold only where a test supports it: it is best in its column and differs from the next by
Holm-adjusted p < 0.05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from polychromic import names
from polychromic.results import Results, ablation_grid, is_ablation

ALPHA = 0.05
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


@dataclass(frozen=True)
class Table:
    """`data` is the CSV; `cells` is for reading: text, with its group; `best` is the bold (row, column)s."""

    data: pd.DataFrame
    cells: pd.DataFrame
    groups: list[str]
    caption: str
    best: set[tuple[int, str]] = field(default_factory=set)


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
        winners = {metric: best_arm(rows, tests, domain, metric, arms) for metric in metrics}
        for arm in arms:
            line = {"Arm": names.arm(arm)}
            for metric in metrics:
                if (domain, arm, metric) not in found.index:
                    line[names.metric(metric)] = "–"
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
                line[names.metric(metric)] = _with_interval(row["value"], row["low"], row["high"])
                if winners[metric] == arm:
                    best.add((len(cells), names.metric(metric)))
            cells.append(line)
            groups.append(names.domain(domain))
    return Table(
        pd.DataFrame(data, columns=["domain", "metric", "arm", "value", "low", "high", "n", "signature"]),
        pd.DataFrame(cells),
        groups,
        f"Results at T = {results.temperature:g}: means with {names.intervals(rows)}; "
        f"{names.sizes(rows)}. Lower is "
        f"better for Self-BLEU. Bold: best, and different from the next arm at Holm-adjusted p < "
        f"{ALPHA:g}; a "
        "column without bold has no such arm.",
        best,
    )


def best_arm(summary: pd.DataFrame, pairwise: pd.DataFrame, domain: str, metric: str, arms: list[str]) -> str | None:
    """The arm that is best and, by the Holm-adjusted test, better than the next; None without such a test.

    `summary` and `pairwise` hold one temperature.
    """
    rows = summary[(summary["domain"] == domain) & (summary["metric"] == metric) & summary["arm"].isin(arms)]
    rows = rows.dropna(subset=["value"]).sort_values("value", ascending=metric in names.LOWER_IS_BETTER, kind="stable")
    if len(rows) < 2:
        return None
    first, second = rows["arm"].iloc[:2]
    tests = pairwise[(pairwise["domain"] == domain) & (pairwise["metric"] == metric)]
    pair = tests[
        ((tests["arm"] == first) & (tests["control"] == second))
        | ((tests["arm"] == second) & (tests["control"] == first))
    ]
    return first if (pair["p_holm"] < ALPHA).any() else None


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
        groups.append(names.domain(domain))
        cells.append(
            {
                "Metric": names.metric(metric),
                "Arm": names.arm(arm),
                "Difference": _with_interval(row["difference"], row["low"], row["high"], sign=True),
                "p": _p(row["p"]),
                "p (Holm)": _p(row["p_holm"]),
                "Rank-biserial r": _number(row["rank_biserial"], sign=True),
                "p (U)": _p(row["p_mwu"]),
                "d (pooled)": _with_interval(row["d_pooled"], row["d_pooled_low"], row["d_pooled_high"], sign=True),
                "d (paired)": _with_interval(row["d_paired"], row["d_paired_low"], row["d_paired_high"], sign=True),
            }
        )
    return Table(
        results.pairwise,
        pd.DataFrame(cells),
        groups,
        (
            f"Differences from {names.arm(results.control)} at T = {results.temperature:g} with 95 % "
            f"intervals. p "
            f"and "
            f"its Holm adjustment "
            f"decide; Mann–Whitney's U on prompt × seed values, the rank-biserial r and Cohen's d stand "
            f"beside them. "
            f"{names.sizes(shown)}."
        ),
    )


def ablations(results: Results) -> Table | None:
    """Differences from LoRA for every ablation arm. None where none was run."""
    results.require("pairwise")
    grid = ablation_grid(results)
    if grid.empty:
        return None
    rows = grid.merge(results.against_control(), on=["domain", "arm"])
    metrics = [m for m in (results.deepest, "pass_at_1", "semantic_diversity") if m in set(rows["metric"])]
    found = rows.set_index(["domain", "factor", "level", "metric"]).sort_index()
    cells, groups = [], []
    for domain in results.domains():
        for factor in dict.fromkeys(grid["factor"]):
            own = grid[(grid["domain"] == domain) & (grid["factor"] == factor)]
            for level in sorted(own["level"]):
                line = {"Setting": f"{factor} = {level:g}"}
                for metric in metrics:
                    row = found.loc[(domain, factor, level, metric)]
                    line["Δ " + names.metric(metric)] = _with_interval(
                        row["difference"], row["low"], row["high"], sign=True
                    )
                cells.append(line)
                groups.append(names.domain(domain))
    return Table(
        rows,
        pd.DataFrame(cells),
        groups,
        (
            f"Ablations of {names.arm(results.primary)}, one setting changed at a time: differences from "
            f"{names.arm(results.control)} at "
            f"T = {results.temperature:g} with 95 % intervals. {names.sizes(rows)}."
        ),
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
                "hardware": names.machine(run["hardware"]),
                "derived": "derived" in run,
            }
            for run in results.runs
        ]
    )
    numbers = data.select_dtypes("number").columns.difference(["seed"])
    means = data.groupby(["domain", "arm"])[list(numbers)].mean()
    cells, groups = [], []
    for domain in results.domains():
        for arm in results.arms(data[data["domain"] == domain], ablations=False):
            row = means.loc[(domain, arm)]
            groups.append(names.domain(domain))
            cells.append(
                {
                    "Arm": names.arm(arm),
                    "Hours": _hours(row["hours"]),
                    "Sampling": f"{row['sampling_share']:.0%}",
                    "GPU hours": _hours(row["gpu_hours"]),
                    "Dollars": f"{row['dollars']:.2f}",
                    "Parameters": f"{row['trainable_parameters']:,.0f}",
                    "Tokens trained": f"{row['tokens_trained']:,.0f}",
                    "Tokens sampled": f"{row['tokens_sampled']:,.0f}",
                    "Peak GPU memory": f"{row['peak_memory_gib']:.1f} GiB" if row["peak_memory_gib"] else "–",
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
        f"Cost of one training: means over {names.count_range(seeds, 'seed')}. Sampling is the share of "
        f"the time that "
        f"goes into drawing completions. The {len(trained)} trainings of the study took "
        f"{totals['hours']:.2f} hours, "
        f"{totals['gpu_hours']:.2f} GPU hours and {totals['dollars']:.2f} dollars.",
    )


TABLES: dict[str, Callable[[Results], Table | None]] = {
    "main": main,
    "pairwise": pairwise,
    "ablations": ablations,
    "cost": cost,
}


def save(table: Table, base: str | Path) -> list[Path]:
    """Write `<base>.csv`, `.tex` and `.md`; returns the three paths."""
    base = Path(base)
    base.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        "csv": table.data.to_csv(index=False, lineterminator="\n"),
        "tex": latex(table),
        "md": markdown(table),
    }
    paths = []
    for extension, text in texts.items():
        path = base.with_name(f"{base.name}.{extension}")
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown with its caption below."""
    columns = ["Domain", *table.cells.columns]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    previous = None
    for number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        cells = [f"**{text}**" if (number, column) in table.best else text for column, text in row.items()]
        lines.append("| " + " | ".join([group if group != previous else "", *cells]) + " |")
        previous = group
    return "\n".join(lines) + f"\n\n{table.caption}\n"


def latex(table: Table) -> str:
    """The table as a booktabs tabular (no float: the paper places it)."""
    columns = list(table.cells.columns)
    align = "l" + "".join("l" if column in ("Arm", "Metric", "Setting") else "r" for column in columns[1:])
    head = " & ".join(names.latex(column) for column in columns)
    lines = [rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}", r"\toprule", head + r" \\"]
    previous = None
    for number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        if group != previous:
            lines += [
                r"\midrule",
                rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{names.latex(group)}}}}} \\",
            ]
            previous = group
        cells = [
            rf"\textbf{{{names.latex(text)}}}" if (number, column) in table.best else names.latex(text)
            for column, text in row.items()
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _number(value: float, *, sign: bool = False) -> str:
    """Three decimals, no leading zero: .523, +.041, −.008; "–" where undefined."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return text.replace("0.", ".", 1).replace("-", "−") if abs(value) < 1 else text.replace("-", "−")


def _with_interval(value: float, low: float, high: float, *, sign: bool = False) -> str:
    return f"{_number(value, sign=sign)} [{_number(low, sign=sign)}, {_number(high, sign=sign)}]"


def _p(value: float) -> str:
    return "–" if pd.isna(value) else "< .001" if value < 0.001 else f"{value:.3f}".replace("0.", ".", 1)


def _hours(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"
