"""A sheet and a page of the curated rows, for a person to read and mark."""

from pathlib import Path

from _job import job, progress

from polychromic.data.review import write_page, write_sheet
from polychromic.files import appearing
from polychromic.records import read_records

with job(snakemake) as p:
    domain = snakemake.wildcards.domain
    records = read_records(snakemake.input.curated)
    with appearing(snakemake.output.sheet) as sheet, appearing(snakemake.output.page) as page:
        write_sheet(records, sheet)
        write_page(records, page, title=f"Review: {domain}")
    progress(
        f"{len(records)} rows; save your decisions as {snakemake.params.decisions}, then open "
        f"{Path(snakemake.output.page).resolve()}"
    )
