"""What a person marks, by spreadsheet or in a real browser, is what is applied."""

from __future__ import annotations

import csv
import html
import os
import re
import shutil
import subprocess

import pytest

from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.rejected_page import write_rejected_page
from polychromic.data.review import COLUMNS, apply_decisions, read_decisions, write_page, write_sheet
from polychromic.data.rows import BadRow
from polychromic.errors import StudyError
from polychromic.files import write_json
from polychromic.records import Record, write_jsonl

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ROWS = [
    Record("r0", "Say hi", "Hi", ("Hi", "Hello")),
    Record("r1", 'A "quoted", </script><b>bold</b>\nprompt', "مرحبا 👩‍👩‍👧"),
    Record("r2", "Third", "3"),
    Record("r3", "Fourth", "4"),
]


def decide(tmp_path, *lines):
    path = tmp_path / "social.csv"
    path.write_text("\n".join(["id,decision,note,prompt,target", *lines]) + "\n")
    return path


def test_decisions_are_applied_and_counted(tmp_path):
    path = decide(tmp_path, "r0,keep,,,", "r1,Drop,too odd,,", 'r2,edit,,"Third, new",three', "r3,,,Fourth,4")
    reviewed = apply_decisions(ROWS, read_decisions(path))
    assert reviewed.kept == [ROWS[0], Record("r2", "Third, new", "three"), ROWS[3]]
    assert reviewed.counts == {"keep": 1, "drop": 1, "edit": 1, "undecided": 1}
    assert reviewed.gone == []


def test_a_dropped_row_is_kept_among_the_rejected_with_its_reason(tmp_path):
    path = decide(tmp_path, "r1,drop,too odd,,", "r3,drop,,,")
    reviewed = apply_decisions(ROWS, read_decisions(path))
    assert len(reviewed.kept) + len(reviewed.rejected) == len(ROWS)
    assert [(row["id"], row["filter"], row["value"]) for row in reviewed.rejected] == [
        ("r1", "review", "too odd"),
        ("r3", "review", "no note"),
    ]
    assert reviewed.rejected[0]["bound"] == f"dropped at {path}, line 2"
    assert reviewed.rejected[0]["record"]["target"] == ROWS[1].target


def test_an_edited_target_is_edited_among_the_references(tmp_path):
    edited = apply_decisions(ROWS, read_decisions(decide(tmp_path, "r0,edit,,Say hi,Hey"))).kept[0]
    assert edited.references == ("Hey", "Hello")


def test_a_row_that_is_gone_is_named_by_its_line(tmp_path):
    reviewed = apply_decisions(ROWS, read_decisions(decide(tmp_path, "r0,keep,,,", "r77,drop,,,")))
    assert reviewed.kept == ROWS
    [gone] = reviewed.gone
    assert re.search(r"social.csv, line 3: 'r77' is not among the curated rows", gone)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["r0,dorp,,,"], "line 2: unknown decision 'dorp'; known: keep, drop, edit"),
        (["r0,keep,,,", "r1,,,,", "r0,drop,,,"], "line 4: 'r0' was decided before, at .*line 2"),
        (["r0,edit,,new,"], "line 2: edit needs the new prompt and the new target"),
        (["r0,keep"], "line 2: 2 cells under 5 columns"),
    ],
)
def test_a_decision_that_cannot_be_used_is_named_by_its_line(tmp_path, lines, message):
    with pytest.raises(StudyError, match=message):
        read_decisions(decide(tmp_path, *lines))


def test_a_file_without_the_columns_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("row,verdict\nr0,keep\n")
    with pytest.raises(StudyError, match="no column id and decision"):
        read_decisions(tmp_path / "x.csv")


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", "id,decision,note,prompt,target\n", "id;decision"])
def test_a_file_without_rows_takes_the_decisions_back(tmp_path, text):
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")
    assert read_decisions(tmp_path / "x.csv") == []


def test_a_decision_under_no_header_is_not_passed_over(tmp_path):
    (tmp_path / "x.csv").write_text("r0,drop\n")
    with pytest.raises(StudyError, match="no column id and decision"):
        read_decisions(tmp_path / "x.csv")


def test_the_sheet_reads_back_as_no_decisions(tmp_path):
    write_sheet(ROWS, tmp_path / "sheet.csv")
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["prompt"] for row in rows] == [row.prompt for row in ROWS]
    assert read_decisions(tmp_path / "sheet.csv") == []


def browse(tmp_path, script):
    """What `report(...)` was given after the page ran `script`, in headless Chromium."""
    assert CHROMIUM, "the review page is tested in Chromium: apt-get install chromium"
    write_page(ROWS, tmp_path / "index.html", "social")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    steps = f"""<pre id="report"></pre><script>
      const press = (key, at = document.body) =>
        at.dispatchEvent(new KeyboardEvent("keydown", {{key, bubbles: true}}));
      const write = (field, text) => {{ field.value = text; field.dispatchEvent(new Event("input")); }};
      const report = (text) => document.getElementById("report").textContent = text;
      window.onerror = (message) => report("error: " + message);
      {script}
    </script></body>"""
    (tmp_path / "driven.html").write_text(page.replace("</body>", steps), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
               "--dump-dom", f"file://{tmp_path}/driven.html"]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    return html.unescape(re.search(r'<pre id="report">(.*?)</pre>', dom, re.DOTALL)[1]), dom


@pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs chromium (apt-get install)")
def test_the_page_in_a_browser(tmp_path):
    report, dom = browse(
        tmp_path,
        """
        press("1");                                         // keep r0, on to r1
        press("n");
        write(document.activeElement, 'so "odd", no');      // a note
        press("2", document.activeElement);                 // a digit in a field is text, not a decision
        press("Escape", document.activeElement);
        press("2");                                         // drop r1, on to r2
        press("3");                                         // edit r2
        write(document.activeElement, "three,\\nor 3");
        press("Escape", document.activeElement);
        press("j");
        press("2");
        press("k"); press("j"); press("0");                 // undo r3
        report(toCsv());
        """,
    )
    path = tmp_path / "social.csv"
    path.write_text(report, newline="")
    reviewed = apply_decisions(ROWS, read_decisions(path))
    assert [(row["id"], row["value"]) for row in reviewed.rejected] == [("r1", 'so "odd", no')]
    assert [row.target for row in reviewed.kept] == ["Hi", "three,\nor 3", "4"]
    assert reviewed.counts["undecided"] == 1
    assert dom.count("<article") == len(ROWS)
    assert "3 of 4 decided" in dom
    assert "<b>bold</b>" not in dom  # texts are shown, never run
    assert "or: Hello" in dom


def test_the_page_of_rejected_rows_shows_each_step_its_rows_and_their_reasons(tmp_path):
    rows = [Record(f"r{n}", f"<b>prompt</b> {n}", "x" * n, meta={"origin": f"a.csv, line {n}"}) for n in range(80)]
    result = curate([*rows, BadRow("a.csv, line 99", "broken")], [make_filter({"filter": "length", "min": 60})], seed=0)
    write_jsonl(tmp_path / "rejected.jsonl", result.rejected)
    write_json(tmp_path / "curation.json", result.funnel)
    write_rejected_page(tmp_path / "rejected.jsonl", tmp_path / "curation.json", tmp_path / "page.html", "Rejected: qa")
    page = (tmp_path / "page.html").read_text()
    assert "unusable: 1" in page
    assert "length: 60" in page
    assert "a.csv, line 7<" in page
    assert "broken" in page
    assert "&gt;= 60" in page
    assert "<b>prompt" not in page
    assert page.count("&lt;b&gt;prompt") == 50
