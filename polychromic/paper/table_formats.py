"""A table and how it is written: CSV, LaTeX (booktabs) and Markdown, and numbers as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from polychromic import labels
from polychromic.files import write_atomic
from polychromic.paper.latex import latex as escaped

VALUES = ["domain", "metric", "arm", "value", "low", "high", "n", "signature"]
"""Columns of a CSV with a row per domain, metric and arm."""


@dataclass(frozen=True)
class Table:
    """`data` is the CSV; `cells` is for reading: text, with its group; `best` is the bold (row, column)s."""

    data: pd.DataFrame
    cells: pd.DataFrame
    groups: list[str]
    caption: str
    best: set[tuple[int, str]] = field(default_factory=set)


def save(table: Table, base: str | Path) -> list[Path]:
    """Write `<base>.csv`, `.tex` and `.md`; returns the three paths."""
    base = Path(base)
    base.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        "csv": table.data.to_csv(index=False, lineterminator="\n"),
        "tex": latex(table),
        "md": markdown(table),
    }
    paths = []
    for extension, text in texts.items():
        path = base.with_name(f"{base.name}.{extension}")
        write_atomic(path, text)
        paths.append(path)
    return paths


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown with its caption below."""
    columns = ["Domain", *table.cells.columns]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    previous = None
    for number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        cells = [f"**{text}**" if (number, column) in table.best else text for column, text in row.items()]
        lines.append("| " + " | ".join([group if group != previous else "", *cells]) + " |")
        previous = group
    return "\n".join(lines) + f"\n\n{table.caption}\n"


def latex(table: Table) -> str:
    """The table as a booktabs tabular (no float: the paper places it)."""
    columns = list(table.cells.columns)
    align = "l" + "".join("l" if column in ("Arm", "Metric", "Setting") else "r" for column in columns[1:])
    head = " & ".join(escaped(column) for column in columns)
    lines = [rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}", r"\toprule", head + r" \\"]
    previous = None
    for number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        if group != previous:
            lines += [
                r"\midrule",
                rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{escaped(group)}}}}} \\",
            ]
            previous = group
        cells = [
            rf"\textbf{{{escaped(text)}}}" if (number, column) in table.best else escaped(text)
            for column, text in row.items()
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def number(value: float, *, sign: bool = False) -> str:
    """Three decimals, no leading zero: .523, +.041, −.008; "–" where undefined."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return text.replace("0.", ".", 1).replace("-", "−") if abs(value) < 1 else text.replace("-", "−")


def with_interval(value: float, low: float, high: float, *, sign: bool = False) -> str:
    return f"{number(value, sign=sign)} [{number(low, sign=sign)}, {number(high, sign=sign)}]"


def p_cell(p: float) -> str:
    """A p-value without its "p": ".021", "< .001"; "–" where undefined."""
    return "–" if pd.isna(p) else labels.p_value(p).removeprefix("p ").removeprefix("= ").replace("0.", ".", 1)
