"""Curated records to train, val and test, a person's review decisions applied; the funnel goes on to the parts."""

import json
from pathlib import Path

from _job import job, progress

from polychromic.data import funnel
from polychromic.data.review import apply_decisions, read_decisions
from polychromic.data.splitting import Split, split
from polychromic.errors import StudyError
from polychromic.files import write_json
from polychromic.records import read_records, write_jsonl, write_records

with job(snakemake) as p:
    records = read_records(snakemake.input.curated)
    decisions = Path(snakemake.params.decisions)
    steps, dropped, account = [], [], {}
    # A file that is not here counts in the stamp as it was when the job was done: the done file would say that its
    # decisions were applied.
    is_there = decisions.exists() or decisions.is_symlink()  # a folder or a broken link is not an absent file
    if not is_there and p["upstream"].get(str(decisions), "missing") != "missing":
        raise StudyError(
            f"{decisions} is not there, and its decisions were applied before. Put the file back, or leave an empty "
            "one in its place to undo them."
        )
    if is_there:
        reviewed = apply_decisions(records, read_decisions(decisions))
        steps.append(funnel.step("review", len(records), len(reviewed.kept), changed=reviewed.counts["edit"]))
        records, dropped = reviewed.kept, reviewed.rejected
        account = {"review": {**reviewed.counts, "gone": reviewed.gone}}
        progress(f"review decisions of {decisions}: {reviewed.counts}")
        for gone in reviewed.gone:
            progress(f"WARNING: {gone}")
    result = split(records, Split.model_validate(p["split"]), seed=p["seed"], needs=p.get("needs"))
    steps.append(funnel.step("split", len(records), len(records) - len(result.rejected)))
    curation = json.loads(Path(snakemake.input.curation).read_text(encoding="utf-8"))
    whole = funnel.extended(curation, steps, result.leakage["rows"])
    for part, rows in result.parts.items():
        write_records(snakemake.output[part], rows)
    write_jsonl(snakemake.output.rejected, [*dropped, *result.rejected])
    write_json(snakemake.output.leakage, result.leakage)
    write_json(snakemake.output.funnel, {**whole, **account})
    progress(
        ", ".join(f"{part} {len(rows)}" for part, rows in result.parts.items())
        + f", {len(result.rejected)} rejected as leaks"
    )
