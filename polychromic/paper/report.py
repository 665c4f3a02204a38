"""The report page: one self-contained HTML file that opens from disk and makes no network requests."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jinja2

from polychromic import labels
from polychromic.files import file_digest
from polychromic.paper.caveats import (
    CLAIMS,
    MAX_SHARE,
    claims,
    fine_tuning_cost,
    null_control,
    over_bases,
    placebo_line,
    plan_hashes,
    remarks,
    training_cost,
)
from polychromic.paper.figures import FIGURES
from polychromic.paper.results import (
    Results,
    read_results,
)
from polychromic.paper.samples import read_samples
from polychromic.paper.tables import TABLES
from polychromic.paper.wording import machine, outcome

OF_TIMES = ("run.json", "train_log.jsonl")
"""Files that hold times, and so differ between two equal runs."""
TITLE = "Polychromic LoRA"


def write_report(
    folder: str | Path, output: str | Path | None = None, costs: str | Path | None = None, *, title: str = ""
) -> Path:
    """Write the report page of a study and, next to it, the page of its times and costs. Returns the report's path.

    Two equal runs give the same report, byte for byte: all that differs between them is on the other page.

    Args:
        folder: results/<study>, with its statistics, and the figures that were drawn.
        output: where to write the report, `<folder>/report.html` by default.
        costs: where to write times and costs, by default `costs.html` next to the report.
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
    common = _common(results, title, of_times=False)
    figures = common.pop("figures")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            **common,
            headline=headline(results),
            checks={domain: checks(value, results.control) for domain, value in results.verdict["domains"].items()},
            outcome=outcome,
            light=light(results),
            placebo_line=placebo_line(results),
            fine_tuning_cost=fine_tuning_cost(results),
            domains={domain: results.verdict["domains"][domain] for domain in results.domains()},
            claims=claims(results),
            claim_names=CLAIMS,
            null_control=null_control(results),
            bases=over_bases(results),
            remarks=remarks(results),
            front=next((figure for figure in figures if figure["name"] == "frontier"), None),
            figures=[figure for figure in figures if figure["name"] != "frontier"],
            at_a_glance=("decision", "placebos", "peers", "replication"),
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
    """What the pages share: tables, figures and files, those of times and costs or the others."""
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
    domains, pooled = results.verdict["domains"], results.verdict["pooled"]
    total, count = len(domains), sum(bool(value["supported"]) for value in domains.values())
    arm, k = labels.arm(results.primary), results.deepest.removeprefix("pass_at_")
    opening = "Supported" if pooled["supported"] else "Not supported"
    found = f"a passing answer among {k}"
    if pooled["superior"] or pooled["high"] < 0:
        gain = f"{arm} finds {found} {'more' if pooled['superior'] else 'less'} often than the tuned control"
    else:
        gain = f"no difference shown between {arm} and the tuned control in finding {found}"
    cost = (
        "its single answer is not worse"
        if pooled["noninferior"]
        else "that its single answer is not worse is not shown"
    )
    several = " over all domains" if total > 1 else ""
    alone = f" Supported in {count or 'none'} of {total} domains by itself." if several else ""
    return f"{opening}{several}: {gain} ({labels.effect(pooled)}); {cost}.{alone}"


def checks(value: dict[str, Any], control: str) -> list[tuple[str, str]]:
    """What the rule asks of a domain, as ("yes", "no" or "open", a few words)."""
    found = [
        ("yes" if value["over_control"]["low"] > 0 else "no", f"better than {labels.arm(control)}"),
        ("yes" if value["superior"] else "no", f"better than the tuned control, {labels.arm(value['tuned_control'])}"),
    ]
    for metric, loss in value["losses"].items():
        name = labels.metric(metric)
        if loss["kept"] is None:
            found.append(("open", f"{name}: a loss cannot be assessed"))
        else:
            found.append(("yes", f"{name} not worse") if loss["kept"] else ("no", f"{name}: non-inferiority not shown"))
    return found


def light(results: Results) -> str:
    """The colour of the headline: "good", "bad", "open", or "doubt" where a placebo is supported."""
    verdict = results.verdict
    if any(placebo["supported"] for placebo in verdict["placebos"]):
        return "doubt"
    if verdict["pooled"]["supported"]:
        return "good"
    return "bad" if any(value["harmed"] for value in verdict["domains"].values()) else "open"


def read_figures(folder: Path, *, of_times: bool) -> list[dict[str, str]]:
    """The drawn figures in reading order: name, section, title, SVG text with ids of its own, caption.

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
                    "title": draw.title,
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


def _audit_rows(results: Results) -> dict[str, Any]:
    """The audit's counts: of samples as shares of an arm's samples, else as they are."""
    numbers = [
        key for audit in results.audits.values() for key, value in audit.items() if isinstance(value, (int, float))
    ]
    keys = list(dict.fromkeys(["samples", *MAX_SHARE, *numbers]))

    def shown(audit: dict[str, Any], key: str) -> str:
        if key not in audit:
            return "–"
        value = audit[key]
        return f"{value / audit['samples']:.1%}" if key in MAX_SHARE and value else f"{value:,}"

    order = [(d, a) for d in results.domains() for a in results.arms(ablations=True) if (d, a) in results.audits]
    return {
        "columns": keys,
        "rows": [(domain, arm, [shown(results.audits[domain, arm], key) for key in keys]) for domain, arm in order],
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
    """JSON that may be inside a <script> element: no "</script>" or "<!--" of a sample can end it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("polychromic.paper", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["arm_name"] = labels.arm
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return environment
