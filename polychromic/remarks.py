"""What a reader must know before believing a study: remarks found in its files, none of them typed by hand.

The report shows them under the verdict; the paper's limitations are made of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from polychromic import names
from polychromic.results import CONTROL, PRIMARY, PRIMARY_TEMPERATURE, Results

FLOOR, CEILING = 0.02, 0.95
"""Pass@1 below, or Pass@5 above: the verifier leaves no room in which arms could differ."""
MAX_SHARE = {"truncated": 0.05, "empty": 0.01, "copied": 0.05, "extraction_failures": 0.05}
"""Shares of an arm's samples above which an audit count is worth a remark."""
MAX_FALSE_PASS = 0.05


@dataclass(frozen=True)
class Remark:
    """topic: a few words; text: a sentence; serious: whether it may overturn a conclusion."""

    topic: str
    text: str
    serious: bool = False


def remarks(results: Results) -> list[Remark]:
    """Everything about the study that limits what it shows, the serious first."""
    found = [
        *_scope(results),
        *_plan(results),
        *_gaps(results),
        *_headroom(results),
        *_verifiers(results),
        *_audits(results),
        *_training(results),
    ]
    return sorted(found, key=lambda remark: not remark.serious)


def plan_hashes(results: Results) -> tuple[str, str]:
    """SHA-256 of the analysis plan before training (in power.json) and at the verdict; "" if not recorded."""
    return results.power.get("plan_sha256", ""), results.verdict.get("plan_sha256", "")


def _scope(results: Results) -> list[Remark]:
    found = []
    if results.synthetic:
        found.append(
            Remark(
                "synthetic",
                "This study was run in the embedded world: synthetic corpora and a tiny model. It shows that "
                "the method and the analysis work as described, not how large the effect is elsewhere.",
            )
        )
    if len(results.summary) and results.summary["n_seeds"].max() == 1:
        found.append(
            Remark(
                "one seed",
                "Each arm has one training seed: intervals are over prompts only and speak of these "
                "adapters, "
                "not of the method.",
                serious=True,
            )
        )
    if sentence := results.power.get("sentence"):
        found.append(Remark("power", sentence))
    return found


def _plan(results: Results) -> list[Remark]:
    before, now = plan_hashes(results)
    if before and now and before != now:
        return [
            Remark(
                "plan changed",
                f"The analysis plan was {before[:12]} before training and {now[:12]} at the "
                "verdict: it changed in between, so the tests below were not fixed in advance.",
                serious=True,
            )
        ]
    return []


def _gaps(results: Results) -> list[Remark]:
    """Arms with fewer prompts or seeds than others, undefined values, runs that did not finish."""
    found = []
    for domain, rows in results.summary[~results.summary["domain"].eq("pooled")].groupby("domain"):
        rows = rows[rows["temperature"].eq(PRIMARY_TEMPERATURE)]
        for column, unit in (("n_prompts", "prompts"), ("n_seeds", "seeds")):
            counts = rows.groupby("arm")[column].max()
            short = counts[counts < counts.max()]
            for arm, count in short.items():
                found.append(
                    Remark(
                        f"fewer {unit}",
                        f"{names.domain(domain)}, {names.arm(arm)}: {count} {unit} where "
                        f"other arms have {counts.max()}.",
                        serious=arm in (CONTROL, PRIMARY),
                    )
                )
        undefined = rows[rows["value"].isna()]
        for row in undefined.itertuples():
            found.append(
                Remark(
                    "undefined",
                    f"{names.domain(domain)}, {names.arm(row.arm)}: {names.metric(row.metric)} is "
                    "undefined and shown as a dash.",
                )
            )
        missing = set(results.arms()) - set(rows["arm"])
        for arm in sorted(missing):
            found.append(
                Remark(
                    "missing arm",
                    f"{names.domain(domain)} has no results of the arm {names.arm(arm)}.",
                    serious=arm in (CONTROL, PRIMARY),
                )
            )
    for run in results.runs:
        if run["status"] != "finished":
            found.append(
                Remark(
                    "unfinished run",
                    f"{names.domain(run['domain'])}, {names.arm(run['arm'])}, seed "
                    f"{run['seed']}: training is recorded as {run['status']}.",
                    serious=True,
                )
            )
    return found


def _headroom(results: Results) -> list[Remark]:
    found = []
    rows = results.summary[
        results.summary["temperature"].eq(PRIMARY_TEMPERATURE)
        & results.summary["arm"].isin([CONTROL, PRIMARY])
    ]
    for row in rows.itertuples():
        where = f"{names.domain(row.domain)}, {names.arm(row.arm)}"
        if row.metric == "pass_at_1" and row.value < FLOOR:
            found.append(
                Remark(
                    "floor",
                    f"{where}: Pass@1 is {row.value:.1%}, below {FLOOR:.0%}. Hardly anything passes, so "
                    "arms can hardly differ.",
                    serious=True,
                )
            )
        if row.metric == "pass_at_5" and row.value > CEILING:
            found.append(
                Remark(
                    "ceiling",
                    f"{where}: Pass@5 is {row.value:.1%}, above {CEILING:.0%}. Nearly everything "
                    "passes, so arms can hardly differ.",
                    serious=True,
                )
            )
    return found


def _verifiers(results: Results) -> list[Remark]:
    found = []
    for domain, value in results.calibrations.items():
        if value["false_pass"] > MAX_FALSE_PASS:
            found.append(
                Remark(
                    "false passes",
                    f"{names.domain(domain)}: the verifier lets {value['false_pass']:.1%} of "
                    f"mismatched answers pass, more than {MAX_FALSE_PASS:.0%}.",
                    serious=True,
                )
            )
    for domain, value in results.leakage.items():
        if leaks := sum(count for count in value.values() if isinstance(count, int)):
            found.append(
                Remark(
                    "leakage",
                    f"{names.domain(domain)}: {leaks} (near-)duplicates stand in two parts of the split.",
                    serious=True,
                )
            )
    return found


def _audits(results: Results) -> list[Remark]:
    found = []
    for (domain, arm), audit in results.audits.items():
        where, total = f"{names.domain(domain)}, {names.arm(arm)}", audit["samples"]
        if audit.get("duplicate_streams"):
            found.append(
                Remark(
                    "duplicate streams",
                    f"{where}: {audit['duplicate_streams']} pairs of sample streams are "
                    "identical: they shared their random numbers.",
                    serious=True,
                )
            )
        for key, limit in MAX_SHARE.items():
            if total and audit.get(key, 0) / total > limit:
                found.append(
                    Remark(
                        key.replace("_", " "),
                        f"{where}: {audit[key] / total:.1%} of {total:,} samples are counted "
                        f"as {key.replace('_', ' ')}.",
                    )
                )
    return found


def _training(results: Results) -> list[Remark]:
    """Warnings that the training itself wrote into its log."""
    if "warnings" not in results.train_logs:
        return []
    found = []
    logged = results.train_logs.dropna(subset=["warnings"])
    for row in logged.itertuples():
        messages = json.loads(row.warnings) if isinstance(row.warnings, str) else row.warnings
        found += [
            Remark("training", f"{names.domain(row.domain)}, {names.arm(row.arm)}, {row.run}: {message}")
            for message in messages
        ]
    return found
