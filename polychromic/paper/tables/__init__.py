"""The study's tables: each a function from `Results` to a `Table`.

    for name, make in TABLES.items():
        if table := make(results):
            table_formats.save(table, folder / name)

To add one write a function in its own module and add a line to `TABLES`. It returns None where the study did not
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
        "verdict": f"{_HERE}.verdict",
        "decision": f"{_HERE}.verdict",
        "main": f"{_HERE}.main",
        "placebos": f"{_HERE}.verdict",
        "peers": f"{_HERE}.verdict",
        "replication": f"{_HERE}.verdict",
        "ablations": f"{_HERE}.ablations",
        "frontier": f"{_HERE}.frontier",
        "pairwise": f"{_HERE}.pairwise",
        "judge": f"{_HERE}.judge",
        "data": f"{_HERE}.data",
        "calibration": f"{_HERE}.data",
        "setup": f"{_HERE}.setup",
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
