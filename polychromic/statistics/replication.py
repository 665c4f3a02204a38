"""Replications: the same study on other bases, with an interval over bases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polychromic.errors import StudyError
from polychromic.statistics.inference import t_interval


def replicate(study: Mapping[str, Any], others: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """How far the gain holds over bases: its mean over studies with a t interval of (studies - 1) degrees of freedom.

    Args:
        study: the study's own verdict, with `study`, `domains` and `pooled`.
        others: by name the verdicts of studies that repeat it on another base; None where one has not been run.

    Returns:
        `studies`, `missing` and `rows`: for each domain that all studies have, and "pooled", the `differences` by
        study, their mean as `difference`, and `low`, `high`, None for one study alone.

    Raises:
        StudyError: a verdict of another version of the project.
    """
    for name, verdict in others.items():
        if verdict is not None and "pooled" not in verdict:
            raise StudyError(
                f"results/{name}/statistics/verdict.json has no `pooled`: another version of the project wrote it. "
                f"Run its analysis again, or take {name} out of plan.replications."
            )
    run = {study["study"]: study} | {name: verdict for name, verdict in others.items() if verdict is not None}
    rows = {}
    for domain in [*study["domains"], "pooled"]:
        found = {
            name: (verdict["pooled"] if domain == "pooled" else verdict["domains"].get(domain, {})).get("difference")
            for name, verdict in run.items()
        }
        if None not in found.values():
            rows[domain] = {"differences": found, **_over_studies(list(found.values()))}
    return {"studies": list(run), "missing": [name for name, v in others.items() if v is None], "rows": rows}


def _over_studies(differences: list[float]) -> dict[str, float | None]:
    mean, n = float(np.mean(differences)), len(differences)
    if n < 2:
        return {"difference": mean, "low": None, "high": None}
    variance = np.var(differences, ddof=1) / n
    found = t_interval(mean, variance, n - 1, 0.95, "studies", 0, n)
    return {"difference": mean, "low": found.low, "high": found.high}
