"""The settings that the arms share, and those of the primary arm."""

from __future__ import annotations

import pandas as pd

from polychromic.paper.results import Results, plain
from polychromic.paper.table_formats import Table
from polychromic.paper.tables import table

WANTED = {
    "Training": {
        "Base model": ("model", "name"),
        "Precision": ("model", "precision"),
        "Adapter rank": ("training", "rank"),
        "Adapter α": ("training", "alpha"),
        "Learning rate": ("training", "learning_rate"),
        "Schedule": ("training", "schedule"),
        "Epochs": ("training", "epochs"),
        "Batch size": ("training", "batch_size"),
        "Accumulation": ("training", "accumulation"),
        "Longest sequence (tokens)": ("training", "max_length"),
    },
    "Diversity term": {
        "Weight λ": ("objective", "weight"),
        "Samples a prompt N": ("objective", "samples"),
        "Prompts a diversity step": ("objective", "prompts"),
        "Every m-th step": ("objective", "every"),
        "Temperature of training samples": ("objective", "temperature"),
        "Measure D": ("objective", "diversity"),
        "Gate": ("objective", "gate"),
        "Longest sample (tokens)": ("objective", "max_new_tokens"),
    },
}


@table("setup", title="Settings")
def setup(results: Results) -> Table | None:
    """Settings of the primary arm as its run records hold them; where domains differ, all values."""
    configs = [run["config"] for run in results.runs if run["arm"] == results.primary]
    cells, groups = [], []
    for group, wanted in WANTED.items():
        for name, (section, key) in wanted.items():
            values = [config[section][key] for config in configs if key in config.get(section, {})]
            if values:
                cells.append({"Setting": name, "Value": ", ".join(dict.fromkeys(map(plain, values))).replace("_", " ")})
                groups.append(group)
    if not cells:
        return None
    rows = [{"group": group, **cell} for group, cell in zip(groups, cells, strict=True)]
    return Table(
        pd.DataFrame(rows).rename(columns=str.lower).assign(n=len(configs), signature="settings|of:run.json"),
        pd.DataFrame(cells),
        groups,
        f"Settings of the primary arm, from the records of its {len(configs)} trainings. The control differs in λ = 0 "
        "alone.",
        by="Part",
    )
