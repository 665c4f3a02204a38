"""The paper: a LaTeX article, ready for arXiv, with every number taken from the study's files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from polychromic import labels
from polychromic.errors import StudyError
from polychromic.paper import table_formats, wording
from polychromic.paper.caveats import (
    CLAIMS,
    ablations_beside,
    claims,
    fine_tuning_cost,
    null_control,
    over_bases,
    placebo_line,
    plan_hashes,
    public_sets,
    remarks,
    training_cost,
    tries,
)
from polychromic.paper.checklist import checklist
from polychromic.paper.disclosures import disclosures_file, verbatim
from polychromic.paper.figures import FIGURES
from polychromic.paper.latex import environment, figure_of, latex, listed, part_file, table_of
from polychromic.paper.results import Results, read_results, settings
from polychromic.paper.samples import read_samples
from polychromic.paper.tables import TABLES

BIBLIOGRAPHY = Path(__file__).resolve().parents[2] / "docs" / "references.bib"
STYLE = Path(__file__).with_name("templates") / "polychromic.sty"
PLACED = ("verdict", "data", "calibration", "setup")
"""Tables of the paper's body; the others are in its last appendix."""
MEANINGS = {
    "generality": "The literal arm, whose settings are the same everywhere, is supported in every domain.",
    "cost_in_use": "The adapter has no more parameters, and answers are at most a tenth longer.",
    "trade_off": "Diversity among a prompt's samples is higher than LoRA's, and quality is not worse by the margin.",
    "robustness": "At every λ tried in that range Pass@k is above LoRA's, and Pass@1 is not worse by the margin.",
}
"""What each claim other than the deciding one asks."""
LONGEST = 75
"""Rows of the longest table that the paper shows; longer ones are in the study's tables/ alone."""
NO_TEX = (
    "No LaTeX was found, so no PDF was made. The folder is complete: compile main.tex elsewhere, or install one "
    "(Debian: apt-get install latexmk texlive-latex-recommended texlive-fonts-recommended)."
)


def write_paper(
    folder: str | Path,
    output: str | Path | None = None,
    *,
    bibliography: Path = BIBLIOGRAPHY,
    disclosures: Path | None = None,
) -> Path:
    """Write the paper's sources: main.tex, numbers.tex, polychromic.sty, tables/, figures/ and references.bib.

    Args:
        folder: results/<study>, with its statistics and drawn figures.
        output: where to write, `<folder>/paper` by default; replaced if it exists.
        disclosures: what the authors tried, gave up and changed; by default `data/disclosures/<study>.md` if it is
            there. Its words are included as they are.

    Returns:
        The folder written.

    Raises:
        StudyError: if a file of the study, its figures or the bibliography is missing, or a citation is
        not in it.
    """
    folder = Path(folder)
    output = Path(output) if output else folder / "paper"
    results = read_results(folder)
    results.require("verdict", "summary", "pairwise", "hypotheses", "runs")
    if not bibliography.is_file():
        raise StudyError(f"{bibliography}: no such file. Give the path of the project's docs/references.bib.")
    drawn = [name for name in FIGURES if (folder / "figures" / f"{name}.pdf").is_file()]
    if not drawn:
        raise StudyError(f"{folder / 'figures'}: no figures. Run `snakemake figures` first.")
    made = {name: table for name, make in TABLES.items() if (table := make(results)) is not None}
    made = {name: table_formats.parts(table) for name, table in made.items() if len(table.cells) <= LONGEST}
    captions = {name: (folder / "figures" / f"{name}.caption.md").read_text(encoding="utf-8").strip() for name in drawn}
    own = disclosures_file(results.study)
    text = article(results, made, captions, disclosures or (own if own.is_file() else None))
    _check_citations(text, bibliography)

    shutil.rmtree(output, ignore_errors=True)
    (output / "figures").mkdir(parents=True)
    (output / "tables").mkdir()
    (output / "main.tex").write_text(text, encoding="utf-8")
    shutil.copyfile(STYLE, output / STYLE.name)
    (output / "numbers.tex").write_text(macros(numbers(results)), encoding="utf-8")
    for name, table in made.items():
        for number, part in enumerate(table, start=1):
            file = output / "tables" / f"{part_file(name, number)}.tex"
            file.write_text(table_formats.latex(part), encoding="utf-8")
    for name in drawn:
        shutil.copyfile(folder / "figures" / f"{name}.pdf", output / "figures" / f"{name}.pdf")
    (output / "references.bib").write_text(_for_bibtex(bibliography.read_text(encoding="utf-8")), encoding="utf-8")
    return output


def build_pdf(folder: str | Path) -> Path | None:
    """Compile main.tex and return the PDF, or None where no LaTeX is installed (say `NO_TEX` then).

    The bibliography is left as main.bbl, as arXiv wants it; other by-products are removed.

    Raises:
        StudyError: if LaTeX fails, with the end of its log.
    """
    folder = Path(folder)
    if not shutil.which("latexmk") or not shutil.which("pdflatex"):
        return None
    # A fixed date in the PDF: the same sources give the same bytes.
    fixed = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
    command = ["latexmk", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, env=fixed, capture_output=True, text=True, errors="replace", timeout=300)
    if done.returncode:
        log = folder / "main.log"
        lines = (log.read_text(errors="replace") if log.is_file() else done.stdout).splitlines()
        errors = [line for line in lines if line.startswith("!")] or lines[-10:]
        raise StudyError(f"{folder / 'main.tex'}: LaTeX failed: {' '.join(errors)[:500]}. The whole log is in {log}.")
    for ending in ("aux", "blg", "fdb_latexmk", "fls", "log", "out"):
        (folder / f"main.{ending}").unlink(missing_ok=True)
    return folder / "main.pdf"


def article(
    results: Results,
    made: dict[str, list[table_formats.Table]],
    captions: dict[str, str],
    disclosures: Path | None = None,
) -> str:
    """main.tex as text. made: the tables in parts; captions: of the drawn figures, in order; disclosures: a file."""
    before, now = plan_hashes(results)
    body = [name for name in captions if FIGURES[name].in_body]
    temperatures = sorted(results.frontier["temperature"].unique()) if len(results.frontier) else [results.temperature]
    samples = {}
    if results.folder:
        arms = [arm for arm in (results.control, results.primary) if arm in results.arms()]
        samples = read_samples(results.folder, arms, results.temperature)
    further = [name for name in made if name not in PLACED]
    others = [name for name in captions if name not in body]
    return (
        environment()
        .get_template("paper.tex.j2")
        .render(
            results=results,
            names=labels,
            tex=latex,
            deciding=_deciding,
            outcome=wording.outcome,
            float=lambda name: figure_of(name, captions),
            tabular=lambda name: table_of(name, made),
            domains=results.domains(),
            deep=labels.metric(results.deepest),
            pooled=results.verdict["pooled"],
            bases=over_bases(results),
            claims=claims(results),
            claim_names=CLAIMS,
            claim_meanings=MEANINGS,
            family=listed([labels.arm(arm) for arm in results.verdict["tuned_control"]["family"]]),
            tries=tries(results),
            placebos=placebo_line(results),
            peers=ablations_beside(results),
            public=public_sets(results),
            training_cost=training_cost(results),
            untrained=fine_tuning_cost(results),
            null_control=null_control(results),
            tables=made,
            drawn=list(captions),
            body=body,
            placed=PLACED,
            floats_named=_named(captions, body),
            further=_pointers(further, others),
            remarks=[remark for remark in remarks(results) if remark.topic != "power"],
            power=results.power.get("sentence", ""),
            temperatures=", ".join(f"$T = {t:g}$" for t in temperatures),
            epochs=settings(results)["Epochs"],
            checklist=checklist(results),
            samples={domain: found["prompts"][0] for domain, found in samples.items() if found["prompts"]},
            disclosures=verbatim(disclosures.read_text(encoding="utf-8")) if disclosures else "",
            disclosures_file=disclosures_file(results.study).as_posix(),
            plan_held=bool(before) and before == now,
            plan_changed=bool(before) and before != now,
        )
    )


def _named(captions: dict[str, str], body: list[str]) -> str:
    """The rest of a sentence that names every figure of the body but the schematic."""
    parts = [f"Figure~\\ref{{fig:{name}}} {latex(FIGURES[name].title)}" for name in body if name != "method"]
    return "".join(f"{', ' if part != parts[-1] or len(parts) == 1 else ' and '}{part}" for part in parts)


def _pointers(tables: list[str], figures: list[str]) -> str:
    """A sentence that refers to every float of the last appendix."""
    named = [f"Table~\\ref{{tab:{name}}}: {latex(TABLES[name].title.lower())}" for name in tables]
    named += [f"Figure~\\ref{{fig:{name}}}: {latex(FIGURES[name].title)}" for name in figures]
    return "; ".join(named) + "." if named else ""


def numbers(results: Results) -> dict[str, str]:
    """The numbers of the running text by macro name."""
    domains, verdict = results.domains(), results.verdict["domains"]
    rows = results.at_temperature(results.summary)
    rows = rows[rows["metric"].eq("pass_at_1") & rows["arm"].eq(results.primary) & rows["domain"].isin(domains)]
    cost = TABLES["cost"](results).data
    trained = cost[~cost["derived"]].sum(numeric_only=True)
    found = {
        "NumDomains": len(domains),
        "NumPrompts": labels.span(rows["n_prompts"]),
        "NumSeeds": labels.span(rows["n_seeds"]),
        "NumSamples": labels.span(rows["n_samples"]),
        "NumRuns": int((~cost["derived"]).sum()),
        "Temperature": f"{results.temperature:g}",
        "Margin": f"{results.plan['margin']:g}",
        "Alpha": f"{results.plan['alpha']:g}",
        "PlanHash": " ".join(re.findall(".{1,16}", results.verdict["plan_sha256"])),  # lines may break
        "TotalSpent": wording.spent(*(trained[name] for name in ("hours", "gpu_hours", "dollars"))),
        **settings(results),
    }
    pooled, placebos = results.verdict["pooled"], results.verdict["placebos"]
    bases = over_bases(results)
    for column, name in (("difference", "Gain"), ("low", "GainLow"), ("high", "GainHigh")):
        found[f"{name}Pooled"] = f"{pooled[column]:+.3f}".replace("-", "−")
        if bases:
            found[f"{name}Bases"] = f"{bases[column]:+.3f}".replace("-", "−")
    found |= {"NumBases": bases["studies"]} if bases else {}
    found |= {"NumPlacebos": len(placebos), "NumPlacebosSupported": sum(p["supported"] for p in placebos)}
    found["NumUntrainedAbove"] = sum(bool(verdict[domain]["untrained_above"]) for domain in domains)
    for flag, name in (
        ("superior", "Superior"),
        ("noninferior", "Noninferior"),
        ("supported", "Supported"),
    ):
        found[f"Num{name}"] = sum(bool(verdict[domain][flag]) for domain in domains)
    for domain in domains:
        for column, name in (("difference", "Gain"), ("low", "GainLow"), ("high", "GainHigh")):
            found[f"{name}{macro_key(domain)}"] = f"{verdict[domain][column]:+.3f}".replace("-", "−")
    return {name: str(value) for name, value in found.items()}


def macros(values: dict[str, str]) -> str:
    """numbers.tex: one \\newcommand a number."""
    lines = [rf"\newcommand{{\{name}}}{{{latex(value)}}}" for name, value in values.items()]
    return "% Generated from the study's files.\n" + "\n".join(lines) + "\n"


def macro_key(domain: str) -> str:
    """A domain as part of a macro's name, which may hold letters only: `qa_2` -> "QaTwo"."""
    digits = dict(
        zip(
            "0123456789",
            ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"),
            strict=True,
        )
    )
    return "".join(digits.get(c, c) for part in domain.split("_") for c in part[:1].upper() + part[1:])


def _deciding(verdict: dict[str, Any]) -> str:
    """The readings of a domain that decide: the gain and the losses."""
    text = "; ".join(verdict["readings"][: 1 + len(verdict["losses"])])
    return f"{text[:1].upper()}{text[1:]}."


def _for_bibtex(bibliography: str) -> str:
    """Without comments, which BibTeX does not have, and with arXiv numbers where its plain styles show them."""
    entries = "\n".join(line for line in bibliography.splitlines() if not line.startswith("%"))
    return re.sub(r"(  eprint = \{(.*)\},)", r"\1\n  howpublished = {arXiv:\2},", entries).strip() + "\n"


def _check_citations(text: str, bibliography: Path) -> None:
    cited = {key.strip() for keys in re.findall(r"\\cite[tp]?\{([^}]*)\}", text) for key in keys.split(",")}
    known = set(re.findall(r"@\w+\{([^,\s]+),", bibliography.read_text(encoding="utf-8")))
    if missing := sorted(cited - known):
        raise StudyError(f"{bibliography}: the paper cites {', '.join(missing)}, which it does not hold. Add them.")
