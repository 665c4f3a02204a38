"""The last words of a run: where to look and how long it took. `python -m polychromic summary results/demo`."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

from polychromic import labels
from polychromic.errors import StudyError
from polychromic.files import read_json


def stage_seconds(results: Path) -> dict[str, tuple[int, float]]:
    """{rule: (jobs, summed wall seconds)} from the benchmark files of the jobs."""
    stages: dict[str, tuple[int, float]] = {}
    for file in sorted((results / "benchmarks").glob("*.tsv")):
        with file.open(newline="") as rows:
            seconds = sum(float(row["s"]) for row in csv.DictReader(rows, delimiter="\t"))
        jobs, total = stages.get(file.name.split(".")[0], (0, 0.0))
        stages[file.name.split(".")[0]] = (jobs + 1, total + seconds)
    return stages


def busy(results: Path, cores: int) -> tuple[float, float]:
    """(wall seconds from the first job's start to the last one's end, the share of the cores' time that jobs took).

    A job counts from the start of its process, so with its imports. From the benchmark files, which are written when
    a job ends: times of files that were copied say nothing.
    """
    spans = []
    for file in (results / "benchmarks").glob("*.tsv"):
        end = file.stat().st_mtime
        with file.open(newline="") as rows:
            spans.append((end - sum(float(row["s"]) for row in csv.DictReader(rows, delimiter="\t")), end))
    wall = max(end for _, end in spans) - min(start for start, _ in spans)
    return wall, sum(end - start for start, end in spans) / (cores * wall)


def summarize(results: Path) -> str:
    """The verdict in words, where the results are, and the time by stage.

    Raises:
        StudyError: if the study has not got that far.
    """
    file = results / "statistics" / "verdict.json"
    if not file.is_file():
        raise StudyError(f"{results} has no verdict yet: run the study to its end first.")
    verdict = read_json(file)
    missing = {"study", "primary_arm", "pooled", "domains", "placebos"} - set(verdict)
    if missing:
        raise StudyError(f"{file} has no {', '.join(sorted(missing))}: another version wrote it. Run the study again.")
    primary = labels.arm(verdict["primary_arm"])
    lines = [f"{verdict['study']}: {primary} against what LoRA can do without a diversity term", ""]
    for name, found in {"pooled": verdict["pooled"], **verdict["domains"]}.items():
        lines += _verdict_lines(name, found)
    won = [placebo["name"] for placebo in verdict["placebos"] if placebo["supported"]]
    of_all = f"{len(won)} of {len(verdict['placebos'])} supported"
    lines.append(
        f"  {'placebos':<10} {of_all}" + (f", and must not be: {', '.join(won)}" if won else ", as it must be")
    )
    lines += ["", "Where to look:"]
    for what, path in {
        "verdict": "statistics/verdict.json",
        "table": "tables/main.md",
        "figures": "figures/",
        "report": "report.html",
    }.items():
        lines.append(f"  {what:<10} {results / path}")
    stages = stage_seconds(results)
    lines += ["", "Time by stage (sum over jobs, seconds):"]
    for rule, (jobs, seconds) in sorted(stages.items(), key=lambda item: -item[1][1]):
        lines.append(f"  {rule:<14}{seconds:8.1f}   {jobs} job{'s' if jobs > 1 else ''}")
    lines.append(f"  {'all':<14}{sum(s for _, s in stages.values()):8.1f}")
    if stages:
        cores = os.cpu_count()
        wall, share = busy(results, cores)
        lines.append(f"\n{wall:.0f} s from first to last; jobs took {share:.0%} of the time of {cores} cores.")
    return "\n".join(lines)


def _verdict_lines(name: str, found: dict[str, Any]) -> list[str]:
    """A domain's verdict, or the pooled one, in two lines."""
    word = "supported" if found["supported"] else "not supported"
    p = found.get("p_holm", found.get("p"))
    over = f" over {labels.arm(found['tuned_control'])}" if "tuned_control" in found else ""
    losses = []
    for metric, loss in found["losses"].items():
        margin = loss.get("value", found.get("margins", {}).get(metric))
        bound = f"may lose {margin:.3f}" if margin else "a loss cannot be assessed"
        losses.append(f"{labels.metric(metric)} {labels.effect(loss)} ({bound})")
    return [
        f"  {name:<10} {word}: best Pass@k {labels.effect(found)}{over}, {labels.p_value(p)}",
        f"  {'':<10} {'; '.join(losses)}",
    ]


def main(arguments: list[str]) -> int:
    try:
        print(summarize(Path(arguments[0] if arguments else "results/demo")))
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
