"""The method as a diagram."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from polychromic.paper.figures import figure, style
from polychromic.paper.figures.style import Drawing
from polychromic.paper.results import Results, settings

TEXT = {"ha": "center", "va": "center"}


@figure("method", section="Method", title="one training step", in_body=True)
def method(results: Results) -> Drawing:
    """One step of training: cross-entropy on the target, and credits for the model's own samples."""
    results.require("runs")
    figure, ((ax,),) = style.panels(1, 1, height=2.05)
    ax.set_axis_off()
    ax.set_xlim(0, 100)
    ax.set_ylim(0, 60)
    _box(ax, (10, 30), (16, 12), "prompt $x$", "#F1F1F1")
    _box(ax, (38, 51), (24, 11), "its target $y^*$", "#F1F1F1")
    _box(ax, (79, 51), (36, 11), "cross-entropy\n$L_{quality}$", "#DCE9F5")
    for y, text in ((34, "sample $y_1$"), (24, "sample $y_2$"), (14, "…  $y_N$")):
        _box(ax, (38, y), (24, 8), text, "#FBE3D6")
    _box(ax, (79, 30), (36, 13), "distances $d_{ij}$, zero if\na sample fails the gate", "#FBE3D6")
    _box(ax, (79, 12), (36, 11), "credits\n$A_i = D(Y) - D(Y\\backslash i)$", "#F6C5AC")
    _arrow(ax, (18, 34), (26, 49))
    for y in (34, 24, 14):
        _arrow(ax, (18, 30), (26, y))
        _arrow(ax, (50, y), (61, 30))
    _arrow(ax, (50, 51), (61, 51))
    _arrow(ax, (79, 23.5), (79, 17.5))
    ax.text(11, 15, "the model\nanswers $N$ times", fontsize=5.8, color="#555555", **TEXT)
    total = r"$\nabla L = \nabla L_{quality} - \lambda\, \sum_i A_i\, \nabla \log \pi_\theta(y_i|x)$"
    ax.text(50, 1.5, total, fontsize=7, **TEXT)
    found = settings(results)
    return Drawing(
        figure,
        "One step. The target gives the usual loss (blue). The model also answers the prompt N times, and an answer is "
        "made likelier by as much as the set is more diverse with it than without it (orange). Distances are taken in "
        "the space in which answers are judged; an answer that is off task adds none. Here "
        f"λ = {found['DiversityWeight']} and N = {found['GroupSize']}.",
    )


def _box(ax: Axes, centre: tuple[float, float], size: tuple[float, float], text: str, colour: str) -> None:
    (x, y), (width, height) = centre, size
    style_of_box = "round,pad=0,rounding_size=1.5"
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(
        FancyBboxPatch(corner, width, height, style_of_box, facecolor=colour, edgecolor="#9A9A9A", linewidth=0.6)
    )
    ax.text(x, y, text, fontsize=6.3, **TEXT)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 6, "linewidth": 0.7, "color": "#555555"}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=1, **look))
