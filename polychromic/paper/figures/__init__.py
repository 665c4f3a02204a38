"""The study's figures: each a function from `Results` to a `Drawing` (a matplotlib figure and its caption).

    for name, draw in FIGURES.items():
        if drawing := draw(results):
            save(drawing, folder / name)

A function returns None where the study did not run what it shows (no judge, no ablation arms) and raises
StudyError where a file that every study has is missing.
"""

from __future__ import annotations

from collections.abc import Callable

from polychromic.paper.figures.candidates import pass_counts, passk_curves
from polychromic.paper.figures.data import calibration, curation_funnel
from polychromic.paper.figures.effects import ablations, forest, judge
from polychromic.paper.figures.style import Drawing, save
from polychromic.paper.figures.tradeoff import cost_gain, diversity_quality, frontier
from polychromic.paper.figures.training import training_dynamics
from polychromic.paper.results import Results

FIGURES: dict[str, Callable[[Results], Drawing | None]] = {
    "passk_curves": passk_curves,
    "frontier": frontier,
    "forest": forest,
    "diversity_quality": diversity_quality,
    "pass_counts": pass_counts,
    "judge": judge,
    "cost_gain": cost_gain,
    "ablations": ablations,
    "training_dynamics": training_dynamics,
    "curation_funnel": curation_funnel,
    "calibration": calibration,
}
"""In the order in which a reader meets them; `names.FIGURE_SECTIONS` groups them."""

__all__ = ["FIGURES", "Drawing", "save"]
