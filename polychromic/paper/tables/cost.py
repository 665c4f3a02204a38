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
    cells, groups = [], []
    for domain in results.domains():
        for arm in results.arms(data[data["domain"] == domain], ablations=False):
            row = means.loc[(domain, arm)]
            groups.append(labels.domain(domain))
            cells.append(
                {
                    "Arm": labels.arm(arm),
                    "Hours": wording.hours(row["hours"]),
                    "Sampling": f"{row['sampling_share']:.0%}",
                    "GPU hours": wording.hours(row["gpu_hours"]),
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
