"""A table and how it is written: CSV, LaTeX (booktabs) and Markdown, and numbers as text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from polychromic import labels
from polychromic.files import write_atomic
from polychromic.paper.latex import latex as escaped

TEXTS = (
    "Arm",
    "Metric",
    "Setting",
    "Value",
    "Role",
    "Verifier",
    "Supported in",
    "Tuned control",
    "Claim",
    "Domain",
    "Sources",
    "Rejected most",
)
"""Columns of words."""
INTERVAL = (
    r"\providecommand{\interval}[2]{\begin{tabular}[t]{@{}r@{}}#1\\[-2pt]{\fontsize{6}{7}\selectfont #2}\end{tabular}}"
)
LINES = r"\providecommand{\lines}[2]{\begin{tabular}[b]{@{}r@{}}#1\\#2\end{tabular}}"
ONE_LINE = 9
"""Characters of a column of numbers' longest name that is set on one line."""
ROWS = 30
"""Rows of a part of a table at most: what a page holds at a readable size."""
UNDEFINED = "undefined"
VALUES = ["domain", "metric", "arm", "value", "low", "high", "n", "signature"]
"""Columns of a CSV with a row per domain, metric and arm."""


@dataclass(frozen=True)
class Table:
    """`data` is the CSV; `cells` is for reading: text, with its group; `best` is the bold (row, column)s.

    groups: of each row; "" where the table has none. by: what the groups are.
    """

    data: pd.DataFrame
    cells: pd.DataFrame
    groups: list[str]
    caption: str
    best: set[tuple[int, str]] = field(default_factory=set)
    by: str = "Domain"

    @staticmethod
    def is_text(column: str) -> bool:
        """Whether a column holds words, which are set to the left."""
        return column in TEXTS


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


def parts(table: Table, rows: int = ROWS) -> list[Table]:
    """The table in parts of at most about so many rows each, for pages; a group stays whole unless it is longer."""
    starts = [0]
    blocks = [at for at in range(1, len(table.groups)) if table.groups[at] != table.groups[at - 1]]
    for begin, end in zip([0, *blocks], [*blocks, len(table.groups)], strict=True):
        if end - starts[-1] > rows and begin > starts[-1]:
            starts.append(begin)
        starts += range(begin + rows, end, rows)
    return [
        replace(
            table,
            cells=table.cells.iloc[begin:end],
            groups=table.groups[begin:end],
            best={(row - begin, column) for row, column in table.best if begin <= row < end},
        )
        for begin, end in zip(starts, [*starts[1:], len(table.groups)], strict=True)
    ]


def markdown(table: Table) -> str:
    """The table as GitHub-flavoured Markdown with its caption below."""
    grouped = any(table.groups)
    columns = [*([table.by] if grouped else []), *table.cells.columns]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    previous = None
    for number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        cells = [f"**{text}**" if (number, column) in table.best else text for column, text in row.items()]
        lines.append("| " + " | ".join([*([group if group != previous else ""] if grouped else []), *cells]) + " |")
        previous = group
    return "\n".join(lines) + f"\n\n{table.caption}\n"


def latex(table: Table) -> str:
    """The table as a booktabs tabular (no float: the paper places it); an interval is set below its number."""
    columns = list(table.cells.columns)
    align = "l" + "".join("l" if table.is_text(column) else "r" for column in columns[1:])
    head = " & ".join(escaped(column) if table.is_text(column) else _head(column) for column in columns)
    lines = [
        INTERVAL,
        LINES,
        rf"\begin{{tabular}}{{@{{}}{align}@{{}}}}",
        r"\toprule",
        head + r" \\",
        *([] if any(table.groups) else [r"\midrule"]),
    ]
    previous = ""
    for row_number, (group, row) in enumerate(zip(table.groups, table.cells.to_dict("records"), strict=True)):
        if group != previous:
            lines += [
                r"\midrule",
                rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{escaped(group)}}}}} \\",
            ]
            previous = group
        cells = [_latex_cell(text, bold=(row_number, column) in table.best) for column, text in row.items()]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _head(column: str) -> str:
    """A column's name, on two lines where it is long: broken at the space nearest to its middle."""
    spaces = [at for at, character in enumerate(column) if character == " "]
    if len(column) <= ONE_LINE or not spaces:
        return escaped(column)
    at = min(spaces, key=lambda space: abs(space - len(column) / 2))
    return rf"\lines{{{escaped(column[:at])}}}{{{escaped(column[at + 1 :])}}}"


def _latex_cell(text: str, *, bold: bool) -> str:
    value, _, interval = text.partition(" [")
    shown = rf"\textbf{{{escaped(value)}}}" if bold else escaped(value)
    return rf"\interval{{{shown}}}{{{escaped('[' + interval)}}}" if interval else shown


def number(value: float, *, sign: bool = False) -> str:
    """Three decimals, no leading zero: .523, +.041, −.008; "undefined" where it is."""
    if pd.isna(value):
        return UNDEFINED
    text = f"{value:+.3f}" if sign else f"{value:.3f}"
    return text.replace("0.", ".", 1).replace("-", "−") if abs(value) < 1 else text.replace("-", "−")


def with_interval(value: float, low: float, high: float, *, sign: bool = False) -> str:
    """A number with its interval, where it has one: ".523 [.480, .561]"."""
    if pd.isna(value) or pd.isna(low) or pd.isna(high):
        return number(value, sign=sign)
    return f"{number(value, sign=sign)} [{number(low, sign=sign)}, {number(high, sign=sign)}]"


def p_cell(p: float) -> str:
    """A p-value without its "p": ".021", "< .001"; "–" where undefined."""
    return "–" if pd.isna(p) else labels.p_value(p).removeprefix("p ").removeprefix("= ").replace("0.", ".", 1)
