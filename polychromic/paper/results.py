"""A study's results folder, read once into plain values for figures, tables, the report and the paper.

Nothing is computed or written here. A missing file leaves its value empty; `require` raises for what a caller cannot do
without, naming the file and the target that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from polychromic.errors import StudyError
from polychromic.files import read_json
from polychromic.parquet import read_parquet

# The order in which arms are drawn and listed; arms that are not named here (ablations, new peers)
# follow by name.
ARM_ORDER = (
    "zero_shot",
    "few_shot",
    "lora",
    "lora_low_rate",
    "lora_again",
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
# Values of JSON reports that are numbers, null where undefined.
NUMBERS = ("true_pass", "false_pass", "difference", "low", "high", "p_holm")
# Studies of the same name and an ending, whose verdicts are shown beside the study's.
BESIDE = ("null", "ablations")


class Source(NamedTuple):
    """A kind of file: where it is, the target of the workflow that makes it, and what a reader needs in it."""

    file: str
    target: str
    needs: tuple[str, ...]


_MEANS = ("domain", "arm", "temperature", "n_prompts", "n_seeds", "signature")
_TESTS = (*_MEANS, "metric", "control", "difference", "low", "high", "p", "p_holm")
SOURCES = {
    "summary": Source(
        "statistics/summary.parquet", "statistics", (*_MEANS, "metric", "value", "low", "high", "n_samples")
    ),
    "pairwise": Source("statistics/pairwise.parquet", "statistics", (*_TESTS, "reading", "d_pooled", "d_paired")),
    "hypotheses": Source(
        "statistics/hypotheses.parquet", "statistics", (*_TESTS, "hypothesis", "control_temperature", "holds")
    ),
    "frontier": Source("statistics/frontier.parquet", "statistics", (*_MEANS, "gain_over_control_frontier", "defined")),
    "verdict": Source(
        "statistics/verdict.json",
        "statistics",
        (
            *("plan_sha256", "plan", "domains", "claims", "notes", "warnings"),
            *("tuned_control", "placebos", "peers", "pooled", "replication", "settings"),
        ),
    ),
    **{
        name: Source(f"<study>-{name}/statistics/verdict.json", "statistics", ("domains", "claims", "pooled"))
        for name in BESIDE
    },
    "sensitivity": Source(
        "sensitivity.csv",
        "python -m benchmarks.sensitivity",
        ("world_skew", "wrong_share", "domain", "gain", "low", "high", "lora_pass1", "zero_shot_pass1"),
    ),
    "power": Source("statistics/power.json", "statistics", ("sentence", "plan_sha256")),
    "passes": Source(
        "<domain>/<arm>/passes.parquet", "metrics", ("seed", "prompt_id", "temperature", "sample", "passed")
    ),
    "judge": Source(
        "<domain>/<arm>/judge.parquet", "metrics", ("winner", "first", "second", "parse_failures", "judge")
    ),
    "train_logs": Source("<domain>/<arm>/<run>/train_log.jsonl", "models", ("step",)),
    "runs": Source(
        "<domain>/<arm>/<run>/run.json",
        "models",
        (
            *("domain", "arm", "seed", "status", "config", "hardware", "seconds", "tokens"),
            *("gpu_hours", "dollars", "trainable_parameters", "peak_memory_bytes"),
        ),
    ),
    "funnels": Source("<domain>/data/funnel.json", "data", ("sources", "read", "steps")),
    "leakage": Source("<domain>/data/leakage.json", "data", ("leaks",)),
    "calibrations": Source(
        "<domain>/calibration.json", "data", ("true_pass", "false_pass", "n_right", "n_mismatched", "warnings")
    ),
    "audits": Source("<domain>/<arm>/audit.json", "metrics", ("samples", "warnings", "unjudged", "streams")),
}


@dataclass(frozen=True)
class Results:
    """Everything a reader of a study sees.

    Frames have one row per what their name says and carry `domain` (and `arm`) columns; dicts are keyed
    by domain, or by (domain, arm) where a file is per arm. null, ablations: the verdicts of the null and of the
    ablation study beside this one. left_out: arms whose files are there, but which the study's statistics do not hold.
    """

    study: str
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    pairwise: pd.DataFrame = field(default_factory=pd.DataFrame)
    hypotheses: pd.DataFrame = field(default_factory=pd.DataFrame)
    frontier: pd.DataFrame = field(default_factory=pd.DataFrame)
    passes: pd.DataFrame = field(default_factory=pd.DataFrame)
    judge: pd.DataFrame = field(default_factory=pd.DataFrame)
    train_logs: pd.DataFrame = field(default_factory=pd.DataFrame)
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdict: dict[str, Any] = field(default_factory=dict)
    power: dict[str, Any] = field(default_factory=dict)
    null: dict[str, Any] = field(default_factory=dict)
    ablations: dict[str, Any] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    funnels: dict[str, Any] = field(default_factory=dict)
    leakage: dict[str, Any] = field(default_factory=dict)
    calibrations: dict[str, Any] = field(default_factory=dict)
    audits: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    folder: Path | None = None

    def require(self, *names: str) -> None:
        """Raise a StudyError naming the first of these values that the folder did not hold."""
        for name in names:
            value = getattr(self, name)
            if value.empty if isinstance(value, pd.DataFrame) else not value:
                where, source = f"{self.folder}: " if self.folder else "", SOURCES[name]
                raise StudyError(
                    f"{where}no {source.file} of this study. Run `snakemake {source.target}` (or copy the whole "
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
    def roles(self) -> dict[str, str]:
        """By arm: "primary", "control" (a member of the family), "placebo", "peer" or "untrained"."""
        return {row["arm"]: row["role"] for rows in self.verdict["peers"].values() for row in rows}

    @property
    def temperature(self) -> float:
        """The sampling temperature of the published reading and of all metrics but the deciding ones."""
        return float(self._published()["temperature"].iloc[0])

    @property
    def deepest(self) -> str:
        """Pass@k at the largest k, "pass_at_10"."""
        return str(self._published()["metric"].iloc[0])

    def _published(self) -> pd.DataFrame:
        """The published readings; that of Pass@k comes first in each arm and domain."""
        self.require("verdict", "hypotheses")
        return self.hypotheses[self.hypotheses["hypothesis"] == "published"]

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


FACTORS = {"λ": "weight", "N": "samples", "m": "every", "rank": "rank"}
"""What an ablation arm may change: its sign, and its key in the verdict's `settings`."""


def is_ablation(arm: str) -> bool:
    """Whether the arm is a point of a grid over λ, N, m or rank: polychromic_l010, polychromic_n2, lora_r8."""
    tail = arm.rpartition("_")[2]
    return len(tail) > 1 and tail[0] in "lnmr" and tail[1:].isdigit()


def ablation_grid(verdict: dict[str, Any]) -> pd.DataFrame:
    """Which one setting each ablation arm of a verdict changes: a row an arm with `factor` and `level`.

    The primary arm itself is a level of every factor that some ablation arm changes, and the control is the level 0 of
    λ where nothing else differs. Arms that change more than one setting count for none.
    """
    settings, (primary, control) = verdict["settings"], (verdict["plan"][name] for name in ("primary", "control"))
    base, rows = settings.get(primary), []
    for arm, own in settings.items():
        changed = [key for key in own if base and own[key] != base[key]]
        factor = next((sign for sign, key in FACTORS.items() if changed == [key]), None)
        if factor and (is_ablation(arm) or (arm == control and own["weight"] == 0)):
            rows.append({"arm": arm, "factor": factor, "level": own[FACTORS[factor]]})
    varied = {row["factor"] for row in rows if is_ablation(row["arm"])}
    rows = [row for row in rows if row["factor"] in varied]
    rows += [{"arm": primary, "factor": factor, "level": base[FACTORS[factor]]} for factor in varied]
    rows.sort(key=lambda row: (list(FACTORS).index(row["factor"]), row["level"]))
    return pd.DataFrame(rows, columns=["arm", "factor", "level"])


def settings(results: Results) -> dict[str, str]:
    """Settings of the primary arm's runs; where its domains differ, all values."""
    runs = [run["config"] for run in results.runs if run["arm"] == results.primary]
    wanted = {
        "BaseModel": ("model", "name"),
        "LoraRank": ("training", "rank"),
        "Epochs": ("training", "epochs"),
        "LearningRate": ("training", "learning_rate"),
        "DiversityWeight": ("objective", "weight"),
        "GroupSize": ("objective", "samples"),
    }
    return {
        name: " or ".join(dict.fromkeys(plain(run[section][key]) for run in runs))
        for name, (section, key) in wanted.items()
    }


def plain(setting: Any) -> str:
    """A setting as text: "yes" or "no" for a switch, no digits that are not needed."""
    if isinstance(setting, bool):
        return "yes" if setting else "no"
    return f"{setting:g}" if isinstance(setting, float) else str(setting)


def ordered(names: set[str], order: tuple[str, ...]) -> list[str]:
    """Names in the given order, then the unknown ones by name."""
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def read_results(folder: str | Path) -> Results:
    """Read `results/<study>/`. Adapters, models and sample texts are not touched.

    Where the folder has statistics, only arms that these hold are read: others are of another plan, or unfinished.

    Raises:
        StudyError: if the folder is not there, or one of its files cannot be read or lacks what another version
        of the project would have put there, naming the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise StudyError(f"{folder}: no such results folder. Run the study first, or give the path of results/<study>.")
    files: list[Path] = []
    summary_file = folder / "statistics" / "summary.parquet"
    arms = set(read_parquet(summary_file, columns=["arm"])["arm"]) if summary_file.is_file() else None
    left_out: set[str] = set()

    def found(name: str) -> Iterator[tuple[Path, dict[str, str]]]:
        """Each file of a kind with its domain, arm and run."""
        file = SOURCES[name].file.replace("<study>", folder.name)
        keys = re.findall(r"<(\w+)>", file)
        for path in sorted((folder.parent if name in BESIDE else folder).glob(re.sub(r"<\w+>", "*", file))):
            of = dict(zip(keys, path.relative_to(folder).parts, strict=False)) if keys else {}
            if arms is not None and of.get("arm", next(iter(arms))) not in arms:
                left_out.add(of["arm"])
                continue
            files.append(path)
            yield path, of

    def frames(name: str) -> pd.DataFrame:
        parts = []
        for path, of in found(name):
            frame = FORMATS.get(path.suffix, read_parquet)(path)
            _check(path, SOURCES[name], frame.columns)
            parts.append(frame.assign(**of))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def documents(name: str) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        for path, of in found(name):
            value = read_json(path)
            _check(path, SOURCES[name], value)
            yield tuple(of.values()), _with_nan(value)

    def document(name: str) -> dict[str, Any]:
        return next((value for _, value in documents(name)), {})

    verdict = document("verdict")
    return Results(
        study=verdict.get("study", folder.name),
        **{name: frames(name) for name in ("summary", "pairwise", "hypotheses", "frontier")},
        **{name: frames(name) for name in ("passes", "judge", "train_logs", "sensitivity")},
        verdict=verdict,
        power=document("power"),
        **{name: document(name) for name in BESIDE},
        runs=[run for _, run in documents("runs")],
        **{name: {of[0]: v for of, v in documents(name)} for name in ("funnels", "leakage", "calibrations")},
        audits=dict(documents("audits")),
        files=files,
        left_out=ordered(left_out, ARM_ORDER),
        folder=folder,
    )


def _with_nan(value: Any) -> Any:
    """NaN where a report holds null for a number: of the rates of a calibration and the effects of a verdict."""
    if not isinstance(value, dict):
        return value
    return {key: nan if inner is None and key in NUMBERS else _with_nan(inner) for key, inner in value.items()}


def _read_log(path: Path) -> pd.DataFrame:
    try:
        return pd.read_json(path, lines=True)
    except ValueError as error:  # not JSON, or not UTF-8
        raise StudyError(f"{path}: not JSON lines ({error}). Delete it and run `snakemake models`.") from error


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except ValueError as error:  # no table, or not UTF-8
        raise StudyError(f"{path}: not a CSV table ({error}). Delete it and make it again.") from error


FORMATS = {".jsonl": _read_log, ".csv": _read_csv}


def _check(path: Path, source: Source, found: Container[str]) -> None:
    """Refuse a file of another version of the project."""
    if not isinstance(found, (dict, pd.Index)):
        raise StudyError(f"{path}: not a JSON object. Delete it and run `snakemake {source.target}`.")
    absent = [name for name in source.needs if name not in found]
    if absent:
        raise StudyError(
            f"{path} has no {absent[0]}: another version of the project wrote it. Read the study with that version, "
            f"or delete the file and run `snakemake {source.target}`."
        )
