"""Where the rows come from, how many were kept, and how well the verifiers separate right from wrong."""

from __future__ import annotations

import pandas as pd

from polychromic import labels
from polychromic.paper.results import Results
from polychromic.paper.table_formats import Table
from polychromic.paper.tables import table
from polychromic.paper.wording import mismatched, rate_interval

PARTS = ("train", "val", "test")


@table("data", title="Data")
def data(results: Results) -> Table | None:
    """Rows read, rejected by step, and kept in each part. None where nothing was curated."""
    if not results.funnels:
        return None
    rows, cells = [], []
    for domain in results.domains():
        funnel = results.funnels[domain]
        sources = ", ".join(dict.fromkeys(source["format"] for source in funnel["sources"]))
        rejected = [(step["filter"], int(step["rejected"])) for step in funnel["steps"] if step["rejected"]]
        largest = sorted(rejected, key=lambda step: -step[1])[:2]
        parts = funnel.get("parts", {})
        signature = f"rows|source:{sources}|seed:{funnel.get('seed', 'none')}"
        counts = {"read": int(funnel["read"]), **{part: int(parts.get(part, 0)) for part in PARTS}}
        rows += [(domain, "read", 0, counts["read"], counts["read"], signature)]
        rows += [
            (domain, step["filter"], int(step["rejected"]), int(step["out"]), counts["read"], signature)
            for step in funnel["steps"]
        ]
        cells.append(
            {
                "Domain": labels.domain(domain),
                "Sources": sources,
                "Read": f"{counts['read']:,}",
                "Rejected most": ", ".join(f"{name.replace('_', ' ')} −{count:,}" for name, count in largest) or "none",
                **{part.capitalize(): f"{counts[part]:,}" for part in PARTS},
                "Leaks": f"{results.leakage.get(domain, {}).get('leaks', 0):,}",
            }
        )
    return Table(
        pd.DataFrame(rows, columns=["domain", "step", "rejected", "left", "n", "signature"]),
        pd.DataFrame(cells),
        [""] * len(cells),
        "Rows of each domain: read, the two steps that rejected most, and the parts. Leaks: near-duplicates in two "
        "parts. The CSV has every step.",
    )


@table("calibration", title="Verifiers")
def calibration(results: Results) -> Table | None:
    """How often each verifier passes right and mismatched answers of the validation part."""
    if not results.calibrations:
        return None
    rows, cells = [], []
    for domain in (d for d in results.domains() if d in results.calibrations):
        found = results.calibrations[domain]
        line = {"Domain": labels.domain(domain), "Verifier": found["kind"]}
        line["Threshold"] = f"{found['threshold']:.2f}" if "threshold" in found else "–"
        for name, key, n in (
            ("Right answers pass", "true_pass", found["n_right"]),
            ("Mismatched answers pass", "false_pass", mismatched(found)),
        ):
            low, high = rate_interval(found[key], n)
            line[name] = f"{found[key]:.1%} [{low:.1%}, {high:.1%}]" if n else "undefined"
            line[f"n ({name.split()[0].lower()})"] = f"{n:,}"
            rows.append((domain, key, found[key], low, high, max(n, 1), f"calibration|verifier:{found['kind']}"))
        cells.append(line)
    return Table(
        pd.DataFrame(rows, columns=["domain", "rate", "value", "low", "high", "n", "signature"]),
        pd.DataFrame(cells),
        [""] * len(cells),
        "The verifiers on validation prompts, with 95 % Wilson intervals. Of two kinds of mismatched answers the one "
        "that passes more often is shown. Where there is a threshold, it was set on these answers.",
    )
