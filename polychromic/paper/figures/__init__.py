"""The study's figures: each a function from `Results` to a `Drawing` (a matplotlib figure and its caption).

    for name, draw in FIGURES.items():
        if drawing := draw(results):
            save(drawing, folder / name)

To add one write a function in its own module and add a line to `FIGURES`. It returns None where the study did not
run what it shows (no judge, no ablation arms) and raises StudyError where a file that every study has is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polychromic.registry import Registry

_HERE = "polychromic.paper.figures"
FIGURES: Registry[Callable[..., Any]] = Registry(
    "figure",
    {
        "method": f"{_HERE}.method",
        "frontier": f"{_HERE}.front",
        "forest": f"{_HERE}.effects",
        "passk_curves": f"{_HERE}.candidates",
        "pass_counts": f"{_HERE}.candidates",
        "diversity_quality": f"{_HERE}.tradeoff",
        "judge": f"{_HERE}.judge",
        "ablations": f"{_HERE}.ablations",
        "sensitivity": f"{_HERE}.sensitivity",
        "equal_compute": f"{_HERE}.cost",
        "training_dynamics": f"{_HERE}.training",
        "calibration": f"{_HERE}.data",
    },
)
"""In the order in which a reader meets them."""


def figure(
    name: str, *, section: str, title: str, in_body: bool = False, of_times: bool = False
) -> Callable[[Callable], Callable]:
    """Declare the decorated function as a figure.

    Args:
        section: the report's section that shows it.
        title: what it shows, in a few words.
        in_body: whether the paper's body shows it; else its appendix does.
        of_times: whether it shows times or costs, which differ between two equal runs.
    """

    def declare(draw: Callable) -> Callable:
        draw.section, draw.title, draw.in_body, draw.of_times = section, title, in_body, of_times
        return FIGURES.register(name)(draw)

    return declare
