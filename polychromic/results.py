"""A study's results folder, read once into plain values for figures, tables, the report and the paper.

Nothing here is computed and nothing is written. A file that is not there leaves its value empty; what
*must* be there for a purpose is asked for by `require`, which names the missing file and the rule that
makes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from polychromic.errors import StudyError

# The order in which arms are drawn and listed; arms that are not named here (ablations, new peers)
# follow by name.
ARM_ORDER = (
    "zero_shot",
    "few_shot",
    "lora",
    "polychromic",
    "polychromic_literal",
    "gem",
    "polychromic_gem",
    "dco",
    "entropy",
    "wise_ft",
    "scaled",
)
DOMAIN_ORDER = ("social", "code", "creative", "qa")


@dataclass(frozen=True)
class Results:
    """Everything a reader of a study sees, by the schemas of docs/results.md.

    Frames have one row per what their name says and carry `domain` (and `arm`) columns; dicts are keyed
    by domain, or by (domain, arm) where a file is per arm.
    """

    study: str
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairwise: pd.DataFrame = field(default_factory=pd.DataFrame)
    hypotheses: pd.DataFrame = field(default_factory=pd.DataFrame)
    frontier: pd.DataFrame = field(default_factory=pd.DataFrame)
    passes: pd.DataFrame = field(default_factory=pd.DataFrame)
    judge: pd.DataFrame = field(default_factory=pd.DataFrame)
    train_logs: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdict: dict[str, Any] = field(default_factory=dict)
    power: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    funnels: dict[str, Any] = field(default_factory=dict)
    leakage: dict[str, Any] = field(default_factory=dict)
    calibrations: dict[str, Any] = field(default_factory=dict)
    audits: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    folder: Path | None = None

    def require(self, *names: str) -> None:
        """Raise a StudyError naming the first of these values that the folder did not hold."""
        for name in names:
            value = getattr(self, name)
            if value.empty if isinstance(value, pd.DataFrame) else not value:
                where = f"{self.folder}: " if self.folder else ""
                raise StudyError(
                    f"{where}no {SOURCES[name]} of this study. Run `snakemake statistics` (or copy the whole "
                    "results folder) and try again."
                )

    @property
    def synthetic(self) -> bool:
        """Whether the study was run in the embedded world: its numbers say nothing about real models."""
        return any(run.get("config", {}).get("model", {}).get("name") == "embedded" for run in self.runs)

    @property
    def plan(self) -> dict[str, Any]:
        """The plan's alpha, margin, primary and control, as the verdict records them."""
        return self.verdict["plan"]

    @property
    def control(self) -> str:
        """The arm that the others are compared with."""
        return self.plan["control"]

    @property
    def primary(self) -> str:
        """The arm that the verdict is about."""
        return self.plan["primary"]

    @property
    def temperature(self) -> float:
        """The sampling temperature of the primary reading."""
        return float(self._superiority()["temperature"].iloc[0])

    @property
    def deepest(self) -> str:
        """The metric of the primary reading: Pass@k at the largest k, "pass_at_10"."""
        return str(self._superiority()["metric"].iloc[0])

    def _superiority(self) -> pd.DataFrame:
        self.require("verdict", "hypotheses")
        return self.hypotheses[self.hypotheses["hypothesis"] == "superiority"]

    def at_temperature(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame at the primary temperature."""
        return frame[np.isclose(frame["temperature"], self.temperature)]

    def against_control(self) -> pd.DataFrame:
        """The rows of `pairwise` that compare arms with the control at the primary temperature, by domain."""
        rows = self.at_temperature(self.pairwise)
        return rows[rows["control"].eq(self.control) & rows["domain"].ne("pooled")]

    def domains(self) -> list[str]:
        """The domains of the study, in the house order."""
        found = set(self.summary["domain"]) if len(self.summary) else set(self.funnels)
        return ordered(found - {"pooled"}, DOMAIN_ORDER)

    def arms(self, frame: pd.DataFrame | None = None, *, ablations: bool = False) -> list[str]:
        """The arms in `frame` (the summary by default), in the house order; ablations if asked for."""
        frame = self.summary if frame is None else frame
        arms = ordered(set(frame["arm"]), ARM_ORDER) if len(frame) else []
        return [arm for arm in arms if ablations or not is_ablation(arm)]


# What an ablation arm may change: its sign, and the section and key of the run record's config.
FACTORS = (("λ", "objective", "weight"), ("N", "objective", "samples"), ("rank", "training", "rank"))
SOURCES = {
    "summary": "statistics/summary.parquet",
    "pairwise": "statistics/pairwise.parquet",
    "hypotheses": "statistics/hypotheses.parquet",
    "frontier": "statistics/frontier.parquet",
    "verdict": "statistics/verdict.json",
    "power": "statistics/power.json",
    "passes": "<domain>/<arm>/passes.parquet",
    "judge": "<domain>/<arm>/judge.parquet",
    "train_logs": "<domain>/<arm>/seed-<s>/train_log.jsonl",
    "runs": "<domain>/<arm>/seed-<s>/run.json",
    "funnels": "<domain>/data/funnel.json",
    "leakage": "<domain>/data/leakage.json",
    "calibrations": "<domain>/calibration.json",
    "audits": "<domain>/<arm>/audit.json",
}


def is_ablation(arm: str) -> bool:
    """Whether the arm is a point of a grid over λ, N or rank: polychromic_l010, polychromic_n2, lora_r8."""
    tail = arm.rpartition("_")[2]
    return len(tail) > 1 and tail[0] in "lnr" and tail[1:].isdigit()


def ablation_grid(results: Results) -> pd.DataFrame:
    """Which setting each ablation arm changes: one row a (domain, arm) with `factor` and `level`.

    The primary arm itself is a level of every factor that some ablation arm changes.
    """
    configs = {(run["domain"], run["arm"]): run["config"] for run in results.runs}
    rows, primary = [], results.primary
    for (domain, arm), config in configs.items():
        if not is_ablation(arm) or (domain, primary) not in configs:
            continue
        base = configs[domain, primary]
        for factor, section, key in FACTORS:
            if config[section][key] != base[section][key]:
                rows.append({"domain": domain, "arm": arm, "factor": factor, "level": config[section][key]})
                rows.append({"domain": domain, "arm": primary, "factor": factor, "level": base[section][key]})
    return pd.DataFrame(rows, columns=["domain", "arm", "factor", "level"]).drop_duplicates()


def pass_at_columns(frame: pd.DataFrame) -> dict[str, int]:
    """The Pass@k metrics among a frame's metrics: {"pass_at_1": 1, ...}."""
    return {
        name: int(name.removeprefix("pass_at_")) for name in sorted(set(frame["metric"])) if name.startswith("pass_at_")
    }


def ordered(names: set[str], order: tuple[str, ...]) -> list[str]:
    """Names in the given order, then the unknown ones by name."""
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def read_results(folder: str | Path) -> Results:
    """Read `results/<study>/`. Adapters, models and sample texts are not touched.

    Raises:
        StudyError: if the folder is not there or one of its files cannot be read, naming the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such results folder. Run the study first, or give the path of results/<study>.")
    files: list[Path] = []

    def frames(pattern: str, *keys: str) -> pd.DataFrame:
        parts = []
        for path, parents in _matches(folder, pattern):
            files.append(path)
            frame = pd.read_json(path, lines=True) if path.suffix == ".jsonl" else read_parquet(path)
            parts.append(frame.assign(**dict(zip(keys, parents, strict=False))))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def documents(pattern: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        for path, parents in _matches(folder, pattern):
            files.append(path)
            yield parents, read_json(path)

    def document(pattern: str) -> dict[str, Any]:
        return next((value for _, value in documents(pattern)), {})

    verdict = document("statistics/verdict.json")
    results = Results(
        study=verdict.get("study", folder.name),
        summary=frames("statistics/summary.parquet"),
        pairwise=frames("statistics/pairwise.parquet"),
        hypotheses=frames("statistics/hypotheses.parquet"),
        frontier=frames("statistics/frontier.parquet"),
        passes=frames("*/*/passes.parquet", "domain", "arm"),
        judge=frames("*/*/judge.parquet", "domain", "arm"),
        train_logs=frames("*/*/seed-*/train_log.jsonl", "domain", "arm", "run"),
        verdict=verdict,
        power=document("statistics/power.json"),
        runs=[run for _, run in documents("*/*/seed-*/run.json")],
        funnels={parents[0]: value for parents, value in documents("*/data/funnel.json")},
        leakage={parents[0]: value for parents, value in documents("*/data/leakage.json")},
        calibrations={parents[0]: value for parents, value in documents("*/calibration.json")},
        audits={parents[:2]: value for parents, value in documents("*/*/audit.json")},
        files=files,
        folder=folder,
    )
    return results


def _matches(folder: Path, pattern: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path in sorted(folder.glob(pattern)):
        yield path, path.relative_to(folder).parts[:-1]


def read_parquet(path: Path, **options: Any) -> pd.DataFrame:
    """A parquet file as a frame; an unreadable one is named in the StudyError."""
    try:
        return pd.read_parquet(path, **options)
    except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of these two
        raise StudyError(f"{path}: not a readable parquet file ({error}). Delete it and re-run its rule.") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file as a dict; an unreadable one is named in the StudyError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise StudyError(f"{path}: not JSON ({error}). Delete it and re-run its rule.") from error
