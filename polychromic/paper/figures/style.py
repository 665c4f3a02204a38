"""The style of all figures: sizes, colours, markers, and how a drawing is saved.

Figures fit one column of a two-column page (3.35 in) at 7 pt, so the same file is readable in print, on a phone and
enlarged on a desktop. Arms differ in colour (Okabe & Ito's colour-blind safe set), marker *and* line style, so that
they can be distinguished in grey.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from polychromic import labels

COLUMN = 3.35
"""Width of one column in inches."""

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
GREY = "#8A8A8A"


@dataclass(frozen=True)
class Look:
    """An arm's name, colour, marker and line style."""

    name: str
    colour: str
    marker: str
    line: str | tuple[float, tuple[float, ...]]


LOOKS = {  # colour, marker, line style; the control and its family are black and grey
    "zero_shot": (BLUE, "X", ":"),
    "few_shot": (SKY, "^", (0, (4, 1.2, 1, 1.2))),
    "lora": (BLACK, "o", "-"),
    "lora_low_rate": ("#555555", "v", (0, (4, 1.5))),
    "lora_again": (YELLOW, "8", "-"),
    "scaled": (GREY, "p", (0, (1, 1))),
    "polychromic": (RED, "D", "-"),
    "polychromic_literal": (ORANGE, "s", (0, (4, 1.5))),
    "gem": (GREEN, "v", (0, (4, 1.5))),
    "polychromic_gem": (PINK, "P", "-"),
    "dco": (GREEN, "<", (0, (1, 1))),
    "entropy": (PINK, ">", (0, (5, 1))),
    "wise_ft": (GREEN, "h", (0, (4, 1.2, 1, 1.2))),
}
OUTCOMES = {"good": "#00734F", "bad": "#B3420A", "open": "#5A6068"}
"""Colours of `wording.outcome`."""
_SPARE = ((PINK, "*"), (GREEN, "d"), (BLUE, "8"), (ORANGE, "X"))

DOMAIN_LOOKS = {"social": (BLUE, "o"), "code": (RED, "D"), "creative": (GREEN, "^"), "qa": (PINK, "s")}


def look(arm: str) -> Look:
    """The look of an arm; arms that are not in `LOOKS` get a spare one chosen by their name."""
    spare = (*_SPARE[sum(map(ord, arm)) % len(_SPARE)], (0, (3, 1, 1, 1)))
    return Look(labels.arm(arm), *LOOKS.get(arm, spare))


def domain_look(domain: str) -> tuple[str, str]:
    """Colour and marker of a domain."""
    return DOMAIN_LOOKS.get(domain, _SPARE[sum(map(ord, domain)) % len(_SPARE)])


@dataclass(frozen=True)
class Drawing:
    """A figure and the caption that goes with it (one paragraph of plain text)."""

    figure: Figure
    caption: str


def panels(rows: int, columns: int, *, height: float, **options: object) -> tuple[Figure, list[list[Axes]]]:
    """A figure of one column's width with rows x columns axes, in the house style."""
    sns.set_theme(
        context="paper",
        style="ticks",
        rc={
            "font.family": "DejaVu Sans",
            "font.size": 7,
            "axes.titlesize": 7.5,
            "axes.labelsize": 7,
            "xtick.labelsize": 6.5,
            "ytick.labelsize": 6.5,
            "legend.fontsize": 6.5,
            "legend.frameon": False,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlepad": 4,
            "axes.linewidth": 0.6,
            "axes.labelpad": 2,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "xtick.major.pad": 2,
            "ytick.major.pad": 2,
            "lines.linewidth": 1.1,
            "lines.markersize": 3.2,
            "axes.grid": True,
            "grid.color": "#E6E6E6",
            "grid.linewidth": 0.5,
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.w_pad": 0.06,
            "figure.constrained_layout.h_pad": 0.06,
            "savefig.dpi": 220,
            "svg.hashsalt": "polychromic",
            "pdf.fonttype": 42,
            "svg.fonttype": "path",
        },
    )
    figure, axes = plt.subplots(rows, columns, figsize=(COLUMN, height), squeeze=False, **options)
    sns.despine(figure)
    return figure, axes.tolist()


def domain_panels(domains: list[str], *, panel_height: float = 1.35, **options: object) -> tuple[Figure, list[Axes]]:
    """One titled panel a domain: side by side, two in a row. Returns the figure and one axes per domain."""
    columns = min(2, len(domains))
    rows = -(-len(domains) // columns)
    figure, grid = panels(rows, columns, height=rows * panel_height + 0.45, **options)
    axes = [ax for row in grid for ax in row]
    for ax in axes[len(domains) :]:
        ax.set_visible(False)
    for ax, domain in zip(axes, domains, strict=False):
        ax.set_title(labels.domain(domain))
    return figure, axes[: len(domains)]


def legend(figure: Figure, axes: Sequence[Axes], *, columns: int = 3) -> None:
    """One legend below all panels, each label once. A long legend makes the figure taller, not its panels smaller."""
    found: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    for count in range(min(columns, len(found)), 0, -1):
        drawn = figure.legend(
            found.values(),
            found.keys(),
            loc="outside lower center",
            ncols=count,
            handlelength=2.6,
            columnspacing=1.2,
            handletextpad=0.5,
            borderaxespad=0.2,
        )
        if count == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            break
        drawn.remove()
    if found:
        rows = -(-len(found) // count)
        figure.set_figheight(figure.get_figheight() + 0.14 * max(0, rows - 2))


def whiskers(value: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Interval ends as the [2, n] lengths that matplotlib expects, none negative by rounding."""
    return np.maximum(0.0, np.vstack([np.subtract(value, low), np.subtract(high, value)]))


def frame(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[float, float]:
    """Limits of an axis that show all values and every ordinary interval; very long intervals are cut off.

    NaN values are ignored, and a NaN end counts as the value itself. (0, 1) without any value, as for an empty axis.
    """
    values, low, high = (np.asarray(part, dtype=float) for part in (values, low, high))
    if np.isnan(values).all():
        return 0.0, 1.0
    low, high = (np.where(np.isnan(ends), values, ends) for ends in (low, high))
    room = 1.5 * np.nanmedian(np.maximum(values - low, high - values))
    least, most = np.nanmin(values), np.nanmax(values)
    margin = 0.05 * (most - least) or 0.05
    return max(np.nanmin(low), least - room) - margin, min(np.nanmax(high), most + room) + margin


def left(axes: list[Axes]) -> list[Axes]:
    """The axes of the first column: they carry the y label."""
    return [ax for ax in axes if ax.get_subplotspec().is_first_col()]


def bottom(axes: list[Axes]) -> list[Axes]:
    """The lowest axes of each column: they carry the x label."""
    lowest = {ax.get_subplotspec().colspan.start: ax for ax in axes}  # later rows replace earlier ones
    return list(lowest.values())


def mark(ax: Axes, x: float, y: float, text: str) -> None:
    """Put an invisible dot on a value, for which browsers show `text` on hover."""
    tip(ax.plot([x], [y], marker="o", markersize=7, alpha=0, linestyle="none")[0], text)


def tip(artist: Artist, text: str) -> None:
    """Give an artist a text that browsers show on hover (SVG only)."""
    artist.set_gid(f"tip:{text}")


def save(drawing: Drawing, base: str | Path) -> list[Path]:
    """Write `<base>.pdf`, `.svg`, `.png` and `.caption.md`; the same drawing gives the same bytes.

    Returns the four paths. The figure is closed.
    """
    base = Path(base)
    base.parent.mkdir(parents=True, exist_ok=True)
    # Dates are the only thing that would differ between two runs.
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": None}
    paths = [base.with_name(f"{base.name}.{extension}") for extension in undated]
    with matplotlib.rc_context({"svg.hashsalt": base.name}):
        for path, metadata in zip(paths, undated.values(), strict=True):
            drawing.figure.savefig(path, metadata=metadata)
    plt.close(drawing.figure)
    svg = paths[1]
    svg.write_text(_titled(svg.read_text(encoding="utf-8")), encoding="utf-8")
    caption = base.with_name(f"{base.name}.caption.md")
    caption.write_text(drawing.caption.strip() + "\n", encoding="utf-8")
    return [*paths, caption]


def _titled(svg: str) -> str:
    """Turn the ids that `tip` set into <title> elements, which browsers show on hover."""
    return re.sub(r'<g id="tip:([^"]*)">', r'<g class="tip"><title>\1</title>', svg)
