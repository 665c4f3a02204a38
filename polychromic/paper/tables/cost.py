"""What a training costs."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper import wording
from polychromic.paper.results import Results
from polychromic.paper.table_formats import Table
from polychromic.paper.tables import table


@table("cost", title="Cost", of_times=True)
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
                "hardware": wording.machine(run["hardware"]),
                "derived": "derived" in run,
                "n": 1,
                "signature": f"cost|of:one training|clock:wall|commit:{(run.get('git_commit') or 'none')[:12]}",
            }
            for run in results.runs
        ]
    )
    numbers = data.select_dtypes("number").columns.difference(["seed", "n"])
    means = data.groupby(["domain", "arm"])[list(numbers)].mean()
    paid, gpus = data["dollars"].sum() > 0, data["gpu_hours"].sum() > 0
    cells, groups = [], []
    for domain in results.domains():
        base = means["hours"].get((domain, results.control))
        for arm in results.arms(data[data["domain"] == domain]):
            row = means.loc[(domain, arm)]
            groups.append(labels.domain(domain))
            cells.append(
                {
                    "Arm": labels.arm(arm),
                    "Time": wording.duration(row["hours"]),
                    f"× {labels.arm(results.control)}": f"{row['hours'] / base:.1f}" if base else "–",
                    "Sampling": f"{row['sampling_share']:.0%}",
                    **({"GPU hours": wording.hours(row["gpu_hours"])} if gpus else {}),
                    **({"Dollars": wording.dollars(row["dollars"])} if paid else {}),
                    "Parameters": f"{row['trainable_parameters']:,.0f}",
                    "Tokens trained": f"{row['tokens_trained']:,.0f}",
                    "Tokens sampled": f"{row['tokens_sampled']:,.0f}",
                    "Peak memory": f"{row['peak_memory_gib']:.1f} GiB" if row["peak_memory_gib"] else "–",
                }
            )
    trained = data[~data["derived"]]  # a derived arm repeats the record of the run it comes from
    totals = trained[["hours", "gpu_hours", "dollars"]].sum()
    seeds = trained.groupby(["domain", "arm"])["seed"].nunique()
    return Table(
        data,
        pd.DataFrame(cells),
        groups,
        f"Cost of one training: means over {labels.count_range(seeds, 'seed')}. Sampling is the share of the time that "
        f"goes into drawing completions. The {len(trained)} trainings of the study took "
        f"{wording.spent(totals['hours'], totals['gpu_hours'], totals['dollars'])}.",
    )
