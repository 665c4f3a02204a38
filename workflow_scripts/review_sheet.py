"""A sheet and a page of the curated rows, for a person to read and mark."""

from pathlib import Path

from _job import job, progress

from polychromic.records import read_records
from polychromic.review import write_page, write_sheet

with job(snakemake) as p:
    domain = snakemake.wildcards.domain
    records = read_records(snakemake.input.curated)
    write_sheet(records, snakemake.output.sheet)
    write_page(records, snakemake.output.page, title=f"Review: {domain}")
    progress(
        f"{len(records)} rows; save your decisions as {snakemake.params.decisions}, then open "
        f"{Path(snakemake.output.page).resolve()}"
    )
