"""What curation rejected, as one page: the funnel, then for each step some of its rows and why they are out."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from jinja2 import Environment

ROWS_PER_STEP = 50
"""Rows that the page shows of a step; all are in rejected.jsonl."""
LONGEST = 600
"""Characters that it shows of a text."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; vertical-align: top; padding: .3em .6em; border-bottom: 1px solid #ccc; }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
  td.text { white-space: pre-wrap; overflow-wrap: anywhere; }
  .where { color: #555; font-size: .85em; overflow-wrap: anywhere; }
  summary { font-size: 1.2em; cursor: pointer; margin: .6em 0; }
</style>
<h1>{{ title }}</h1>
<p>Read {{ funnel.read }}, kept {{ funnel.kept }}, rejected {{ funnel.rejected }}. All rejected rows are in
<code>data/rejected.jsonl</code>; a step shows {{ most }} at most.</p>
<table>
  <tr><th>step<th class="number">in<th class="number">rejected<th class="number">changed<th class="number">out
  {% for step in funnel.steps %}
  <tr><td>{{ step.filter }}<td class="number">{{ step.in }}<td class="number">{{ step.rejected }}
    <td class="number">{{ step.changed }}<td class="number">{{ step.out }}
  {% endfor %}
</table>
{% for name, rows in steps.items() %}
<details open>
  <summary>{{ name }}: {{ counts[name] }}</summary>
  <table>
    <tr><th>row<th>found<th>asked for<th>prompt<th>target
    {% for row in rows %}
    <tr><td>{{ row.id or "" }}<div class="where">{{ row.where }}</div>
      <td class="text">{{ row.value | short }}<td class="text">{{ row.bound | short }}
      <td class="text">{{ (row.record or {}).prompt | short }}<td class="text">{{ (row.record or {}).target | short }}
    {% endfor %}
  </table>
</details>
{% endfor %}
</html>
"""


def write_rejected_page(rejected: str | Path, account: str | Path, path: str | Path, title: str) -> None:
    """Write the page, which needs no network, from curation's rejected rows (JSON lines) and its funnel."""
    steps: dict[str, list[dict[str, Any]]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    with Path(rejected).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            counts[row["filter"]] += 1
            if counts[row["filter"]] <= ROWS_PER_STEP:
                steps[row["filter"]].append(row)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["short"] = _short
    funnel = json.loads(Path(account).read_text(encoding="utf-8"))
    page = environment.from_string(_PAGE).render(
        title=title, funnel=funnel, steps=steps, counts=counts, most=ROWS_PER_STEP
    )
    Path(path).write_text(page, encoding="utf-8")


def _short(value: Any) -> str:
    """A value as the page shows it, cut where it is long."""
    text = "" if value is None or not isinstance(value, str | int | float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
