"""The paper: numbers are macros from the files, citations are in the bibliography, and TeX compiles it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from polychromic.errors import StudyError
from polychromic.paper import article
from polychromic.paper.caveats import ablations_beside


@pytest.fixture(scope="module")
def written(toy_study) -> Path:
    return article.write_paper(toy_study)


def test_the_folder_is_complete(written):
    text = (written / "main.tex").read_text()
    assert "[U+" not in text, "a sign of our own that LaTeX cannot show"
    for name in re.findall(r"\\input\{([^}]*)\}", text):
        assert (written / f"{name}.tex").is_file(), name
    for name in re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", text):
        assert (written / "figures" / f"{name}.pdf").is_file(), name
    assert (written / "references.bib").is_file()


def test_every_macro_of_the_text_is_defined_from_the_files(toy_study, written):
    defined = set(re.findall(r"\\newcommand\{\\(\w+)\}", (written / "numbers.tex").read_text()))
    used = set(
        re.findall(
            r"\\((?:Num|Gain|Total)\w+|Temperature|Margin|Alpha|PlanHash|LoraRank|BaseModel)\b",
            (written / "main.tex").read_text(),
        )
    )
    assert used <= defined
    gain = json.loads((toy_study / "statistics" / "verdict.json").read_text())["domains"]["code"]["difference"]
    assert rf"\GainCode}}{{{gain:+.3f}}}".replace("-", "$-$") in (written / "numbers.tex").read_text()


def test_no_number_of_the_abstract_is_typed(written):
    abstract = re.search(r"\\begin\{abstract\}(.*?)\\end\{abstract\}", (written / "main.tex").read_text(), re.DOTALL)[1]
    typed = re.findall(r"(?<!Pass@)\b\d+(?:\.\d+)?", abstract)
    assert not typed


def test_an_embedded_study_says_so_on_page_one(written):
    text = (written / "main.tex").read_text()
    assert text.index("Synthetic study") < text.index(r"\begin{abstract}")


def test_limitations_are_what_the_files_show(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy")
    audit = copied / "qa" / "lora" / "audit.json"
    audit.write_text(json.dumps(json.loads(audit.read_text()) | {"samples": 100, "truncated": 40}))
    text = (article.write_paper(copied) / "main.tex").read_text()
    assert r"counted as truncated: Question answering, LoRA 40.0\% of 100." in text


def test_a_plan_that_changed_is_not_called_fixed(written, toy_study, tmp_path):
    assert "by a plan that was fixed before training" in (written / "main.tex").read_text()
    copied = shutil.copytree(toy_study, tmp_path / "toy", ignore=shutil.ignore_patterns("paper"))
    power = copied / "statistics" / "power.json"
    power.write_text(json.dumps(json.loads(power.read_text()) | {"plan_sha256": "0" * 64}))
    text = (article.write_paper(copied) / "main.tex").read_text()
    assert "by a plan that was fixed before training" not in text
    assert "The plan was changed after training had begun." in text
    assert "not changed since" not in text


def test_that_fine_tuning_cost_pass_at_k_is_said_in_abstract_and_results(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy", ignore=shutil.ignore_patterns("paper"))
    file = copied / "statistics" / "verdict.json"
    verdict = json.loads(file.read_text())
    verdict["domains"]["code"]["untrained_above"] = ["zero_shot"]
    file.write_text(json.dumps(verdict))
    written = article.write_paper(copied)
    text = (written / "main.tex").read_text()
    abstract, rest = text.split(r"\end{abstract}")
    assert r"In \NumUntrainedAbove{} of the domains an untrained arm is above LoRA: fine-tuning itself" in abstract
    assert r"\newcommand{\NumUntrainedAbove}{1}" in (written / "numbers.tex").read_text()
    assert (
        "Fine-tuning itself cost Pass@10 in 1 of 4 domains, where untrained arms are above LoRA (Code: Zero-shot)"
        in rest
    )


def test_every_float_is_referenced_and_every_reference_has_a_float(written):
    text = (written / "main.tex").read_text()
    labelled = set(re.findall(r"\\label\{((?:fig|tab):\w+)\}", text)) | set(
        re.findall(r"\\beside\{.*\}\{((?:fig|tab):\w+)\}", text)
    )
    referred = set(re.findall(r"\\ref\{((?:fig|tab):\w+)\}", text))
    assert labelled == referred


def test_a_table_longer_than_a_page_is_continued(toy_study, tmp_path, monkeypatch):
    monkeypatch.setattr(article.table_formats.parts, "__defaults__", (6,))
    written = article.write_paper(toy_study, tmp_path / "paper")
    text = (written / "main.tex").read_text()
    assert r"\ContinuedFloat\caption{(continued)}" in text
    parts = re.findall(r"\\input\{(tables/main[-\d]*)\}", text)
    assert parts[:2] == ["tables/main", "tables/main-2"]
    assert all((written / f"{part}.tex").is_file() for part in parts)
    assert text.count(r"\label{tab:main}") == 1


def test_claims_come_before_results_and_the_tuned_control_first_in_the_abstract(written):
    text = (written / "main.tex").read_text()
    marks = [r"\begin{abstract}", r"\GainPooled", r"\NumSupported", r"\paragraph{Claims.}", r"\label{sec:results}"]
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_other_bases_are_in_abstract_results_limits_and_conclusion(written, toy_study, tmp_path):
    assert "NumBases" not in (written / "main.tex").read_text()
    copied = shutil.copytree(toy_study, tmp_path / "toy", ignore=shutil.ignore_patterns("paper"))
    file = copied / "statistics" / "verdict.json"
    verdict = json.loads(file.read_text())
    row = {"differences": {"toy": 0.1, "toy-2": -0.02}, "difference": 0.04, "low": -0.06, "high": 0.14}
    verdict["replication"] = {"studies": ["toy", "toy-2"], "missing": [], "rows": {"pooled": row}}
    file.write_text(json.dumps(verdict))
    written = article.write_paper(copied)
    text = (written / "main.tex").read_text()
    said = r"Over \NumBases{} base models, this one among them, the mean gain is "
    said += r"\GainBases{} [\GainLowBases, \GainHighBases], not shown to differ from zero."
    abstract, rest = text.split(r"\end{abstract}")
    assert said in " ".join(abstract.split())
    assert " ".join(rest.split()).count(said) == 2, "results and conclusion"
    assert "One base model" not in text
    assert r"\newcommand{\GainLowBases}{$-$0.060}" in (written / "numbers.tex").read_text()


def test_no_number_is_lost_in_the_subtitle_of_a_claim_that_does_not_hold(written):
    assert "General Training Objective" not in (written / "main.tex").read_text()


def test_disclosures_are_included_word_for_word(written, toy_study, tmp_path):
    said = "# Tried\n\nTwenty settings & 3 worlds; 50 % were given up.\n\n- λ = 1: collapsed\n- N = 2\n"
    file = tmp_path / "said.md"
    file.write_text(said)
    text = (article.write_paper(toy_study, tmp_path / "paper", disclosures=file) / "main.tex").read_text()
    assert r"Twenty settings \& 3 worlds; 50~\% were given up." in text
    assert r"\item $\lambda$~=~1: collapsed" in text
    assert text.count(r"\begin{itemize}") == text.count(r"\end{itemize}")
    assert "No disclosures were written" in (written / "main.tex").read_text()


def test_references_show_their_arxiv_numbers(written):
    assert "howpublished = {arXiv:2106.09685}" in (written / "references.bib").read_text()


def test_a_citation_without_an_entry_is_named(toy_study, tmp_path):
    bibliography = tmp_path / "few.bib"
    bibliography.write_text("@misc{hu2021lora, title = {LoRA}}\n")
    with pytest.raises(StudyError, match=r"few\.bib: the paper cites .*chen2021codex"):
        article.write_paper(toy_study, tmp_path / "paper", bibliography=bibliography)


def test_without_figures_it_says_what_to_run(toy_study, tmp_path):
    copied = shutil.copytree(toy_study, tmp_path / "toy", ignore=shutil.ignore_patterns("figures", "paper"))
    with pytest.raises(StudyError, match="snakemake figures"):
        article.write_paper(copied)


def test_without_tex_there_is_no_pdf_and_no_error(written, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert article.build_pdf(written) is None


def test_macro_names_hold_letters_only():
    assert article.macro_key("my_qa_2") == "MyQaTwo"


@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX here")
def test_it_compiles_without_undefined_references(written, tmp_path):
    copied = shutil.copytree(written, tmp_path / "paper")
    pdf = article.build_pdf(copied)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert (copied / "main.bbl").is_file()
    assert not list(copied.glob("*.aux"))


@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX here")
def test_a_switch_hides_the_authors(written, tmp_path):
    copied = shutil.copytree(written, tmp_path / "paper")
    main = copied / "main.tex"
    main.write_text(main.read_text().replace(r"\usepackage{polychromic}", r"\usepackage[anonymous]{polychromic}"))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "main.tex"]
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True)  # once: no reference depends on it
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX here")
def test_a_latex_error_is_shown(tmp_path):
    (tmp_path / "main.tex").write_text(r"\documentclass{article}\begin{document}\nonsense\end{document}")
    with pytest.raises(StudyError, match="Undefined control sequence"):
        article.build_pdf(tmp_path)


def test_the_ablations_verdict_by_their_own_family_is_said(results):
    assert ablations_beside(replace(results, ablations={})) == ""
    said = ablations_beside(replace(results, ablations=results.verdict))
    family = len(results.verdict["tuned_control"]["family"])
    assert said.startswith(
        f"In toy-ablations, with {family} controls to choose from: {results.verdict['pooled']['sentence']}"
    )
