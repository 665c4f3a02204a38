"""Curated records to train, val and test, a person's review decisions applied."""

from pathlib import Path

from _job import job, progress

from polychromic.files import write_json
from polychromic.records import read_records, write_jsonl, write_records
from polychromic.review import apply_decisions, read_decisions
from polychromic.splitting import Split, split

with job(snakemake) as p:
    records = read_records(snakemake.input.curated)
    decisions = Path(snakemake.params.decisions)
    reviewed = {}
    if decisions.is_file():
        records, reviewed = apply_decisions(records, read_decisions(decisions))
        counts = {key: value for key, value in reviewed.items() if isinstance(value, int)}
        progress(f"review decisions of {decisions}: {counts}")
        for gone in reviewed["gone"]:
            progress(f"WARNING: {decisions}: {gone}")
    result = split(records, Split.model_validate(p["split"]), seed=p["seed"])
    for part, rows in result.parts.items():
        write_records(snakemake.output[part], rows)
    write_jsonl(snakemake.output.rejected, result.rejected)
    leakage = {**result.leakage, "review": reviewed}
    write_json(snakemake.output.leakage, leakage)
    progress(
        ", ".join(f"{part} {len(rows)}" for part, rows in result.parts.items())
        + f", {len(result.rejected)} rejected as leaks"
    )
