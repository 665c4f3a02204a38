"""The report page: one self-contained HTML file that opens from disk and makes no network requests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from polychromic import labels
from polychromic.files import file_digest
from polychromic.paper.caveats import claims, fine_tuning_cost, null_control, plan_hashes, remarks, training_cost
from polychromic.paper.figures import FIGURES
from polychromic.paper.results import (
    DOMAIN_ORDER,
    Results,
    ordered,
    read_results,
)
from polychromic.paper.tables import TABLES
from polychromic.paper.wording import machine
from polychromic.parquet import read_parquet
from polychromic.records import read_records
from polychromic.seeds import derive_seed

OF_TIMES = ("run.json", "train_log.jsonl")
"""Files that hold times, and so differ between two equal runs."""
PROMPTS_SHOWN = 40
"""Prompts a domain whose samples are shown, chosen by a hash of their id: more make the page heavy."""
TITLE = "Polychromic LoRA"


def write_report(
    folder: str | Path, output: str | Path | None = None, costs: str | Path | None = None, *, title: str = ""
) -> Path:
    """Write the report page of a study and, beside it, the page of its times and costs. Returns the report's path.

    Two equal runs give the same report, byte for byte: all that differs between them stands on the other page.

    Args:
        folder: results/<study>, with its statistics, and the figures that were drawn.
        output: where to write the report, `<folder>/report.html` by default.
        costs: where to write times and costs, by default `costs.html` beside the report.
        title: of the study, shown at the top.

    Raises:
        StudyError: if the verdict or the statistics are missing, naming the file.
    """
    folder = Path(folder)
    output = Path(output) if output else folder / "report.html"
    costs = Path(costs) if costs else output.with_name("costs.html")
    results = read_results(folder)
    pages = {
        output: render(results, read_samples(folder, results.arms(), results.temperature), title=title),
        costs: render_costs(results, title=title),
    }
    for path, page in pages.items():
        # Model-written text may hold lone surrogates, which UTF-8 cannot.
        path.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    return output


def render(results: Results, samples: dict[str, Any], *, title: str = "") -> str:
    """The report as text. `samples` is what `read_samples` returns."""
    results.require("verdict", "summary", "pairwise", "hypotheses")
    before, now = plan_hashes(results)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            **_common(results, title, of_times=False),
            headline=headline(results),
            fine_tuning_cost=fine_tuning_cost(results),
            domains={domain: results.verdict["domains"][domain] for domain in results.domains()},
            claims=claims(results),
            null_control=null_control(results),
            remarks=remarks(results),
            samples=samples,
            samples_json=_inside_script(samples),
            arm_names={arm: labels.arm(arm) for shown in samples.values() for arm in shown["arms"]},
            temperature=f"{results.temperature:g}",
            audits=_audit_rows(results),
            plan={"before": before, "now": now},
        )
    )


def render_costs(results: Results, *, title: str = "") -> str:
    """The page of times and costs as text."""
    page = _environment().get_template("costs.html.j2")
    return page.render(**_common(results, title, of_times=True), spent=training_cost(results))


def _common(results: Results, title: str, *, of_times: bool) -> dict[str, Any]:
    """What the pages share: tables, figures and files, those that tell times and costs or the others."""
    made = {name: make(results) for name, make in TABLES.items() if make.of_times == of_times}
    return {
        "title": title or TITLE,
        "results": results,
        "names": labels,
        "machine": machine,
        "tables": {name: table for name, table in made.items() if table is not None},
        "table_titles": {name: make.title for name, make in TABLES.items()},
        "figures": read_figures(results.folder / "figures", of_times=of_times) if results.folder else [],
        "runs": results.runs,
        "files": [file for file in provenance(results) if (Path(file["path"]).name in OF_TIMES) == of_times],
    }


def headline(results: Results) -> str:
    """The verdict in one sentence, from verdict.json alone."""
    domains = results.verdict["domains"]
    arm = labels.arm(results.primary)
    total, k = len(domains), results.deepest.removeprefix("pass_at_")

    def among(flag: str) -> str:
        count = sum(bool(value[flag]) for value in domains.values())
        return f"all {total}" if count == total > 1 else f"none of {total}" if count == 0 else f"{count} of {total}"

    return (
        f"Supported in {among('supported')}{' domains' if total > 1 else ''}: {arm} finds a passing "
        f"answer among {k} more "
        f"often than {labels.arm(results.control)} in {among('superior')}, and costs the single answer no "
        f"more than "
        f"the margin in "
        f"{among('noninferior')}."
    )


def read_figures(folder: Path, *, of_times: bool) -> list[dict[str, str]]:
    """The drawn figures in reading order: name, section, SVG text with ids of its own, caption.

    of_times: whether to read those that show times and costs, or the others.
    """
    figures = []
    for name, draw in FIGURES.items():
        if draw.of_times != of_times:
            continue
        svg, caption = folder / f"{name}.svg", folder / f"{name}.caption.md"
        if svg.is_file():
            figures.append(
                {
                    "name": name,
                    "section": draw.section,
                    "svg": inline_svg(svg.read_text(encoding="utf-8"), name),
                    "caption": caption.read_text(encoding="utf-8").strip(),
                }
            )
    return figures


def inline_svg(svg: str, name: str) -> str:
    """An SVG file as an element of a page: no prolog, ids of its own, size left to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{name.replace("_", " ")}">{rest}'


def read_samples(folder: str | Path, arms: Sequence[str], temperature: float) -> dict[str, Any]:
    """Answers side by side: {domain: {"seed", "arms", "prompts": [{id, prompt, references, answers}], "of"}}.

    `answers` holds per arm a list of [text, passed, count]: equal answers stand once. They are of the first
    training seed, drawn at `temperature`.
    """
    folder = Path(folder)
    shown: dict[str, Any] = {}
    for path in sorted(folder.glob("*/data/test.jsonl")):
        domain = path.parts[-3]
        records = {record.id: record for record in read_records(path)}
        found = {arm: _first_seed(folder / domain / arm / "passes.parquet", temperature) for arm in arms}
        frames = {arm: frame for arm, frame in found.items() if frame is not None}
        if not frames:
            continue
        sampled = set.intersection(*(set(frame["prompt_id"]) for frame in frames.values())) & set(records)
        chosen = sorted(sampled, key=lambda key: derive_seed("report", key))[:PROMPTS_SHOWN]
        grouped = {arm: dict(iter(frame.groupby("prompt_id"))) for arm, frame in frames.items()}
        shown[domain] = {
            "seed": int(next(iter(frames.values()))["seed"].iloc[0]),
            "of": len(sampled),
            "arms": list(frames),
            "prompts": [
                {
                    "id": key,
                    "prompt": records[key].prompt,
                    "references": list(records[key].references or (records[key].target,))[:3],
                    "answers": {arm: _distinct(grouped[arm][key]) for arm in frames},
                }
                for key in sorted(chosen)
            ],
        }
    return {domain: shown[domain] for domain in ordered(set(shown), DOMAIN_ORDER)}


def _first_seed(passes: Path, temperature: float) -> pd.DataFrame | None:
    """Texts and verdicts of an arm's first seed at the primary temperature; None where there are no texts."""
    if not passes.is_file():
        return None
    verdicts = read_parquet(passes)
    verdicts = verdicts[np.isclose(verdicts["temperature"], temperature)]
    seed = verdicts["seed"].min()
    texts = passes.parent / f"seed-{seed}" / "samples.parquet"
    if not texts.is_file():
        return None
    drawn = read_parquet(texts, columns=["prompt_id", "temperature", "sample", "text"])
    keys = ["prompt_id", "temperature", "sample"]
    return verdicts[verdicts["seed"] == seed].merge(drawn, on=keys, how="inner", validate="one_to_one")


def _distinct(rows: pd.DataFrame) -> list[list[Any]]:
    """[text, passed, count] of the different answers, the passing first, then the frequent ones."""
    counts: dict[tuple[str, bool], int] = {}
    for row in rows.sort_values("sample").itertuples():
        key = (row.text, bool(row.passed))
        counts[key] = counts.get(key, 0) + 1
    return [
        [text, passed, count]
        for (text, passed), count in sorted(counts.items(), key=lambda item: (not item[0][1], -item[1]))
    ]


def _audit_rows(results: Results) -> dict[str, Any]:
    keys = list(
        dict.fromkeys(
            key for audit in results.audits.values() for key, value in audit.items() if isinstance(value, (int, float))
        )
    )
    order = [(d, a) for d in results.domains() for a in results.arms(ablations=True) if (d, a) in results.audits]
    return {
        "columns": keys,
        "rows": [(domain, arm, [results.audits[domain, arm].get(key) for key in keys]) for domain, arm in order],
    }


def provenance(results: Results) -> list[dict[str, Any]]:
    """Path, bytes and SHA-256 of every file that the page was made from."""
    if results.folder is None:
        return []
    data = sorted(results.folder.glob("*/data/*.jsonl")) + sorted(results.folder.glob("*/*/seed-*/samples.parquet"))
    return [
        {
            "path": Path(os.path.relpath(path, results.folder)).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in sorted({*results.files, *data})
    ]


def _inside_script(value: Any) -> str:
    """JSON that may stand inside a <script> element: no "</script>" or "<!--" of a sample can end it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polychromic.paper", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return environment
