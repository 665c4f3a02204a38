"""From the cached tables of a study to arrays [prompts, seeds], checked against the plan and each other.

What does not fit (a missing arm or seed, other prompts in one arm, a hole) is refused by name, never left out
in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.errors import StudyError
from polychromic.metric_registry import column_of
from polychromic.metrics.passk import pass_at_k
from polychromic.statistics.win_rate import POINTS

Array = np.ndarray
Tables = Mapping[str, Mapping[str, Mapping[str, pd.DataFrame]]]
Key = tuple[str, str, float, str]
CELL = ["temperature", "prompt_id", "seed"]
COUNTS = ("samples", "passing")  # columns of the diversity table that are not metrics
JUDGE = "judge_win_rate"


@dataclass(frozen=True)
class Values:
    """A study's metrics as [prompts, seeds] arrays, prompts by id and seeds as in the plan.

    test, validation: by (domain, arm, temperature, metric). A NaN is a value that is undefined by nature
    (distinct-2 of one-word answers, diversity among passing samples where none passed); undefined: in how many
    of how many prompts. fewer_seeds: a sentence for each arm that lacks some of the plan's seeds.
    """

    test: dict[Key, Array] = field(default_factory=dict)
    validation: dict[Key, Array] = field(default_factory=dict)
    undefined: dict[Key, tuple[int, int]] = field(default_factory=dict)
    fewer_seeds: list[str] = field(default_factory=list)

    def by_temperature(self, domain: str, arm: str, metric: str, *, validation: bool = False) -> dict[float, Array]:
        """The arm's arrays of one metric, by temperature in rising order."""
        store = self.validation if validation else self.test
        found = {t: array for (d, a, t, m), array in store.items() if (d, a, m) == (domain, arm, metric)}
        return dict(sorted(found.items()))

    def split_off(self, arm: str, temperature: float, name: str) -> Values:
        """The same values with one arm's at one temperature as a separate arm, called `name`."""

        def moved(store: dict[Key, Array]) -> dict[Key, Array]:
            return {
                (d, name if (a, t) == (arm, temperature) else a, t, m): array for (d, a, t, m), array in store.items()
            }

        return replace(self, test=moved(self.test), validation=moved(self.validation))

    def of_one_seed(self) -> set[str]:
        """Arms that have, in some domain, one seed where others have several: they are not compared."""
        seeds: dict[str, int] = {}
        for (_, arm, _, metric), array in self.test.items():
            if metric == "pass_at_1":
                seeds[arm] = min(seeds.get(arm, array.shape[1]), array.shape[1])
        return {arm for arm, count in seeds.items() if count == 1 < max(seeds.values())}

    def notes(self) -> list[str]:
        """What is missing or undefined by nature, a sentence a kind; `n_prompts` of the tables counts what remains."""
        kinds: dict[str, list[Key]] = {}
        for key in self.undefined:
            kinds.setdefault(_why_undefined(key[3]), []).append(key)
        return [*self.fewer_seeds, *(self._note(why, keys) for why, keys in kinds.items())]

    def _note(self, why: str, keys: list[Key]) -> str:
        metrics = ", ".join(dict.fromkeys(labels.metric(key[3]) for key in keys))
        domains = ", ".join(dict.fromkeys(labels.domain(key[0]) for key in keys))
        holes, sizes = zip(*(self.undefined[key] for key in keys), strict=True)
        return (
            f"{why}: {metrics}. In {domains}, {labels.span(holes)} of {labels.span(sizes)} prompts have no value "
            f"({len(keys)} combination{'s' if len(keys) > 1 else ''} of arm, temperature and metric) and are left "
            "out of its means and comparisons."
        )


def _why_undefined(name: str) -> str:
    """When a metric may have no value, in words."""
    if name.endswith("_passing"):
        return "Diversity among passing samples is undefined where too few of a prompt's samples pass"
    return _declared_undefined(name) or f"{labels.metric(name)} has no value"


def _declared_undefined(name: str) -> str:
    column = column_of(name)
    return column.metric.undefined if column else ""


def read_values(tables: Tables, plan: Mapping[str, Any]) -> Values:
    """Shape the tables of a study (see `analysis.analyse`) into arrays.

    Trained arms are read at every temperature of the plan, prompt arms (`arm_kinds`) at those they have.

    Raises:
        StudyError: for tables that do not hold what the plan asks for, naming the file and what is wrong.
    """
    values = Values()
    control, primary = plan["plan"]["control"], plan["sampling"]["temperature"]
    for domain in plan["domains"]:
        missing = [arm for arm in plan["arms"] if arm not in tables.get(domain, {})]
        if missing:
            raise StudyError(f"{domain}: no tables of {', '.join(missing)}. Run `snakemake metrics`.")
        prompts: dict[str, pd.Index] = {}  # of the control, which every arm must share
        for arm in [control, *(a for a in plan["arms"] if a != control)]:
            frames, where = tables[domain][arm], f"{domain}/{arm}"
            vital = arm in (control, plan["plan"]["primary"])
            own = plan if vital else _with_its_seeds(values, plan, domain, arm, frames)
            _add_passes(values.test, frames, "passes", domain, arm, own, prompts)
            prompted = plan["arm_kinds"][arm] == "prompt"
            for temperature in (primary, *(() if prompted else plan["sampling"]["frontier"])):
                if (domain, arm, temperature, f"pass_at_{plan['k'][0]}") not in values.test:
                    raise StudyError(
                        f"{where}/passes.parquet: no samples at T = {temperature}, which the plan draws. "
                        "Delete the file and re-run."
                    )
            if len(frames.get("passes_val", ())):
                _add_passes(values.validation, frames, "passes_val", domain, arm, own, prompts)
            for measured in ("diversity", "quality"):
                file = f"{where}/{measured}.parquet"
                for temperature, columns in _arrays(frames, measured, file, own, prompts["passes"]).items():
                    for metric, array in columns.items():
                        if metric not in COUNTS:
                            values.test[domain, arm, temperature, metric] = array
            if len(frames.get("judge", ())):
                judged = frames["judge"].assign(temperature=primary)
                judged[JUDGE] = judged["winner"].map(POINTS)
                ids = pd.Index(sorted(judged["prompt_id"].unique()))  # a judge may see only some of the prompts
                columns = _arrays({"judge": judged[[*CELL, JUDGE]]}, "judge", f"{where}/judge.parquet", own, ids)
                values.test[domain, arm, primary, JUDGE] = columns[primary][JUDGE]
        _settle_undefined(values, domain, tables[domain])
    return values


def _with_its_seeds(
    values: Values, plan: Mapping[str, Any], domain: str, arm: str, frames: Mapping[str, pd.DataFrame]
) -> Mapping[str, Any]:
    """The plan with the seeds that an arm has, where training failed in some: read over the others, and said."""
    found = set(frames["passes"]["seed"]) if "seed" in frames.get("passes", ()) else set()
    lost = [seed for seed in plan["seeds"] if seed not in found]
    left = [seed for seed in plan["seeds"] if seed in found]
    if not lost or not left:
        return plan
    values.fewer_seeds.append(
        f"{labels.domain(domain)}, {labels.arm(arm)}: no samples of seed {', '.join(map(str, lost))}; "
        + ("one is left, which is not compared with several." if len(left) == 1 else f"read over {len(left)} seeds.")
    )
    return {**plan, "seeds": left}


def _add_passes(store, frames, kind, domain, arm, plan, prompts) -> None:
    """Pass@k of every prompt and seed, after checking that each has the n samples that the plan drew."""
    file = f"{domain}/{arm}/{kind}.parquet"
    frame, n = _table(frames, kind, file, "passed"), plan["sampling"]["samples"]
    if frame["passed"].isna().any():
        raise StudyError(f"{file}: `passed` is empty in {_name(frame[frame['passed'].isna()].iloc[0])}. Verify again.")
    counts = frame.assign(passed=frame["passed"].astype(bool)).groupby(CELL)["passed"].agg(["sum", "size"])
    odd = counts[counts["size"] != n]
    if len(odd):
        cell = dict(zip(CELL, odd.index[0], strict=True))
        raise StudyError(
            f"{file}: {odd['size'].iloc[0]} samples of {_name(cell)}, the plan draws {n}; {len(odd)} such "
            "cells. Delete the file and re-run."
        )
    counted = counts.reset_index()[[*CELL, "sum"]]
    shared = prompts.setdefault(kind, pd.Index(sorted(counted["prompt_id"].unique())))
    for temperature, columns in _arrays({kind: counted}, kind, file, plan, shared).items():
        for k in plan["k"]:
            store[domain, arm, temperature, f"pass_at_{k}"] = pass_at_k(n, columns["sum"], k)


def _arrays(frames, kind, file, plan, prompts: pd.Index) -> dict[float, dict[str, Array]]:
    """{temperature: {column: [prompts, seeds]}} of a table with one row a (temperature, prompt, seed)."""
    frame, seeds = _table(frames, kind, file), list(plan["seeds"])
    for what, found, wanted in (
        ("training seeds", set(frame["seed"]), set(seeds)),
        ("prompts", set(frame["prompt_id"]), set(prompts)),
    ):
        if found != wanted:
            raise StudyError(
                f"{file}: {what} differ from the plan and the control arm: missing {_few(wanted - found)}, "
                f"unknown {_few(found - wanted)}. Re-run the stages of this arm."
            )
    temperatures = sorted(frame["temperature"].unique())
    grid = pd.MultiIndex.from_product([temperatures, prompts, seeds], names=CELL)
    indexed = frame.set_index(CELL)
    if indexed.index.has_duplicates:
        raise StudyError(f"{file}: two rows of {_name(frame[frame.duplicated(CELL)].iloc[0])}. Delete it and re-run.")
    absent = grid.difference(indexed.index)
    if len(absent):
        raise StudyError(f"{file}: no row of {_name(dict(zip(CELL, absent[0], strict=True)))}; {len(absent)} such.")
    metrics = indexed.select_dtypes("number").columns
    cube = indexed.loc[grid, metrics].to_numpy(float).reshape(len(temperatures), len(prompts), len(seeds), -1)
    return {t: {m: cube[i, ..., j] for j, m in enumerate(metrics)} for i, t in enumerate(temperatures)}


def _settle_undefined(values: Values, domain: str, tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
    """Drop metrics that no arm has at a temperature; note undefined diversity, refuse holes in quality."""
    groups: dict[tuple[float, str], list[Key]] = {}
    for key in values.test:
        if key[0] == domain:
            groups.setdefault(key[2:], []).append(key)
    for (temperature, metric), keys in groups.items():
        sampled = {key[1] for key in groups[temperature, "pass_at_1"]} if metric != JUDGE else set()
        if lacking := sorted(sampled - {key[1] for key in keys}):
            raise StudyError(
                f"{domain}/{lacking[0]}: no {metric} at T = {temperature}, which {keys[0][1]} has: another version "
                "wrote its diversity.parquet or quality.parquet. Delete them and re-run."
            )
        holes = {key: np.isnan(values.test[key]) for key in keys}
        if all(hole.all() for hole in holes.values()):  # not measured at this temperature, in any arm
            for key in keys:
                del values.test[key]
            continue
        for key, hole in holes.items():
            arm = key[1]
            if not hole.any():
                continue
            if metric in tables[arm]["quality"].columns and not _declared_undefined(metric):
                _whole(values.test[key], f"{domain}/{arm}/quality.parquet, T = {temperature}", metric)
            values.undefined[key] = int(hole.any(1).sum()), len(hole)


def _whole(array: Array, file: str, metric: str) -> Array:
    if np.isnan(array).any():
        raise StudyError(f"{file}: {metric} is NaN in {int(np.isnan(array).sum())} cells. Delete the file and re-run.")
    return array


def _table(frames: Mapping[str, pd.DataFrame], kind: str, file: str, *columns: str) -> pd.DataFrame:
    if kind not in frames:
        raise StudyError(f"{file} is missing. Run `snakemake metrics`.")
    absent = [column for column in (*CELL, *columns) if column not in frames[kind].columns]
    if absent:
        raise StudyError(f"{file} has no column {absent[0]}: another version wrote it. Delete the file and re-run.")
    return frames[kind]


def _few(names: set) -> str:
    shown = ", ".join(map(str, sorted(names)[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "none"


def _name(row: Mapping[str, Any]) -> str:
    return f"prompt {row['prompt_id']!r}, seed {row['seed']}, T = {row['temperature']}"
