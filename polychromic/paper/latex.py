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
    "α": r"$\alpha$", "●": r"$\bullet$", "✓": r"$\checkmark$",
    "Δ": r"$\Delta$", "×": r"$\times$", "−": r"$-$", "–": "--", "≥": r"$\ge$", "≤": r"$\le$", "±": r"$\pm$",
    "→": r"$\to$", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "·": r"$\cdot$",
}  # fmt: skip


def latex(text: str) -> str:
    """Plain text as LaTeX source: special characters escaped, Greek and mathematical signs translated."""
    text = re.sub(r"(?<![\w.])-(?=[.\d])", "−", text)  # a minus, not a hyphen that a line may break at
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


def table_of(name: str, tables: Mapping[str, Table]) -> str:
    """A table's float; "" where it was not made."""
    if name not in tables:
        return ""
    head = rf"\caption{{{latex(tables[name].caption)}}}\label{{tab:{name}}}"
    return f"\\begin{{table}}[tbp]\n\\tabletext\n{head}\n\\fit{{\\input{{tables/{name}}}}}\n\\end{{table}}"


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
