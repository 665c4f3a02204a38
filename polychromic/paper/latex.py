"""Plain text, figures and tables as LaTeX source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from polychromic.paper.table_formats import Table

# Characters that pdflatex cannot take as they are.
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "λ": r"$\lambda$",
    "α": r"$\alpha$", "●": r"$\bullet$", "✓": r"$\checkmark$", "✗": r"$\times$",
    "\u00a0": "~",
    "Δ": r"$\Delta$", "×": r"$\times$", "−": r"$-$", "–": "--", "≥": r"$\ge$", "≤": r"$\le$", "±": r"$\pm$",
    "→": r"$\to$", "↵": r"$\hookleftarrow$", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "·": r"$\cdot$",
}  # fmt: skip


def latex(text: str) -> str:
    """Plain text as LaTeX source: special characters escaped, Greek and mathematical signs translated."""
    text = re.sub(r"(?<![\w.])-(?=[.\d])", "−", text)  # a minus, not a hyphen that a line may break at
    text = re.sub(r"(?<=\d) (?=%)", "\u00a0", re.sub(r"\b([Tnpkλ]) ([=<]) (?=[.\d])", "\\1\u00a0\\2\u00a0", text))
    # Other scripts and signs can only come from a user's own names: shown by number.
    plain = (_LATEX.get(c) or (c if ord(c) < 0x180 else f"[U+{ord(c):04X}]") for c in text)
    return "".join(plain)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def figure_of(name: str, captions: Mapping[str, str]) -> str:
    """A figure's float, its caption beside it; "" where it was not drawn."""
    if name not in captions:
        return ""
    beside = rf"\beside{{{name}}}{{{latex(captions[name])}}}{{fig:{name}}}"
    return f"\\begin{{figure}}[tbp]\n{beside}\n\\end{{figure}}"


def table_of(name: str, tables: Mapping[str, Sequence[Table]]) -> str:
    """A table's floats, one for each of its parts; "" where it was not made."""
    floats = []
    for number, part in enumerate(tables.get(name, ()), start=1):
        head = rf"\caption{{{latex(part.caption)}}}\label{{tab:{name}}}"
        if number > 1:
            head = r"\ContinuedFloat\caption{(continued)}"
        body = rf"\fit{{\input{{tables/{part_file(name, number)}}}}}"
        floats.append(f"\\begin{{table}}[tbp]\n\\tabletext\n{head}\n{body}\n\\end{{table}}")
    return "\n".join(floats)


def part_file(name: str, number: int) -> str:
    """The file of a table's part, without its ending; parts count from 1."""
    return f"{name}-{number}" if number > 1 else name


def environment() -> jinja2.Environment:
    """Templates of LaTeX: << value >>, <% statement %>, <# comment #>."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("polychromic.paper", "templates"),
        undefined=jinja2.StrictUndefined,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
    )
