"""What the authors tried, gave up and changed: a person's file, included in the paper word for word."""

from __future__ import annotations

import re
from pathlib import Path

from polychromic.paper.latex import latex


def disclosures_file(study: str) -> Path:
    """Where a person puts the disclosures of a study; no rule writes it."""
    return Path("data", "disclosures", f"{study}.md")


def verbatim(markdown: str) -> str:
    """A Markdown file with its words unchanged: headings, list items and paragraphs set as such, marks kept."""
    lines, inside = [], False
    for line in markdown.splitlines():
        heading, item = re.match(r"#+\s+(.*)", line), re.match(r"[-*]\s+(.*)", line)
        if inside and not item and not line.startswith(" "):
            lines.append(r"\end{itemize}")
            inside = False
        if item and not inside:
            lines.append(r"\begin{itemize}\setlength{\itemsep}{0pt}\setlength{\parskip}{1pt}")
            inside = True
        if heading:
            lines.append(rf"\paragraph{{{latex(heading[1])}}}")
        else:
            lines.append(rf"\item {latex(item[1])}" if item else latex(line))
    return "\n".join([*lines, *([r"\end{itemize}"] if inside else [])])
