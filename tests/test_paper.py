"""The paper: numbers are macros from the files, citations are in the bibliography, and TeX compiles it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from study_fixture import make_study

from polychromic import paper
from polychromic.errors import StudyError
from polychromic.figures import FIGURES, save
from polychromic.results import read_results


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("results") / "toy", prompts=12)
    results = read_results(folder)
    for name in ("passk_curves", "calibration"):
        save(FIGURES[name](results), folder / "figures" / name)
    return folder


@pytest.fixture(scope="module")
def written(study) -> Path:
    return paper.write_paper(study)


def test_the_folder_is_complete(written):
    text = (written / "main.tex").read_text()
    for name in re.findall(r"\\input\{([^}]*)\}", text):
        assert (written / f"{name}.tex").is_file(), name
    for name in re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", text):
        assert (written / "figures" / f"{name}.pdf").is_file(), name
    assert (written / "references.bib").is_file()


def test_every_macro_of_the_text_is_defined_from_the_files(study, written):
    defined = set(re.findall(r"\\newcommand\{\\(\w+)\}", (written / "numbers.tex").read_text()))
    used = set(
        re.findall(
            r"\\((?:Num|Gain|Total)\w+|Temperature|Margin|Alpha|PlanHash|LoraRank|BaseModel)\b",
            (written / "main.tex").read_text(),
        )
    )
    assert used <= defined
    gain = json.loads((study / "statistics" / "verdict.json").read_text())["domains"]["code"]["difference"]
    assert rf"\GainCode}}{{{gain:+.3f}}}".replace("-", "$-$") in (written / "numbers.tex").read_text()


def test_no_number_of_the_abstract_is_typed(written):
    abstract = re.search(r"\\begin\{abstract\}(.*?)\\end\{abstract\}", (written / "main.tex").read_text(), re.DOTALL)[1]
    typed = re.findall(r"(?<!Pass@)\b\d+(?:\.\d+)?", abstract)
    assert not typed


def test_an_embedded_study_says_so_on_page_one(written):
    text = (written / "main.tex").read_text()
    assert text.index("Synthetic study") < text.index(r"\begin{abstract}")


def test_limitations_are_what_the_files_show(study, tmp_path):
    copied = shutil.copytree(study, tmp_path / "toy")
    audit = copied / "qa" / "lora" / "audit.json"
    audit.write_text(json.dumps(json.loads(audit.read_text()) | {"samples": 100, "truncated": 40}))
    text = (paper.write_paper(copied) / "main.tex").read_text()
    assert r"Question answering, LoRA: 40.0\% of 100 samples are counted as truncated." in text


def test_a_citation_without_an_entry_is_named(study, tmp_path):
    bibliography = tmp_path / "few.bib"
    bibliography.write_text("@misc{hu2021lora, title = {LoRA}}\n")
    with pytest.raises(StudyError, match=r"few\.bib: the paper cites .*chen2021codex"):
        paper.write_paper(study, tmp_path / "paper", bibliography=bibliography)


def test_without_figures_it_says_what_to_run(study, tmp_path):
    copied = shutil.copytree(study, tmp_path / "toy", ignore=shutil.ignore_patterns("figures", "paper"))
    with pytest.raises(StudyError, match="snakemake figures"):
        paper.write_paper(copied)


def test_without_tex_there_is_no_pdf_and_no_error(written, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert paper.build_pdf(written) is None


def test_macro_names_hold_letters_only():
    assert paper.macro_key("my_qa_2") == "MyQaTwo"


@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX here")
def test_it_compiles_without_undefined_references(written, tmp_path):
    copied = shutil.copytree(written, tmp_path / "paper")
    pdf = paper.build_pdf(copied)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert (copied / "main.bbl").is_file()
    assert not list(copied.glob("*.aux"))


@pytest.mark.skipif(not shutil.which("latexmk"), reason="no LaTeX here")
def test_a_latex_error_is_told(tmp_path):
    (tmp_path / "main.tex").write_text(r"\documentclass{article}\begin{document}\nonsense\end{document}")
    with pytest.raises(StudyError, match="Undefined control sequence"):
        paper.build_pdf(tmp_path)
