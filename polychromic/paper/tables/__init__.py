"""The study's tables: each a function from `Results` to a `Table`.

    for name, make in TABLES.items():
        if table := make(results):
            table_formats.save(table, folder / name)

To add one write a function in a module of its own and add a line to `TABLES`. It returns None where the study did not
run what it shows. The CSV carries every number in full with its n and signature; the other formats are for reading. A
value is set in bold only where a test supports it: it is best in its column and differs from the next by the
Holm-adjusted test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polychromic.registry import Registry

_HERE = "polychromic.paper.tables"
TABLES: Registry[Callable[..., Any]] = Registry(
    "table",
    {
        "main": f"{_HERE}.main",
        "pairwise": f"{_HERE}.pairwise",
        "frontier": f"{_HERE}.frontier",
        "chosen_temperature": f"{_HERE}.frontier",
        "judge": f"{_HERE}.judge",
        "ablations": f"{_HERE}.ablations",
        "cost": f"{_HERE}.cost",
    },
)
"""In the order in which a reader meets them."""


def table(name: str, *, title: str, of_times: bool = False) -> Callable[[Callable], Callable]:
    """Declare the decorated function as a table.

    Args:
        title: its heading in the report.
        of_times: whether it shows times or costs, which differ between two equal runs.
    """

    def declare(make: Callable) -> Callable:
        make.title, make.of_times = title, of_times
        return TABLES.register(name)(make)

    return declare
