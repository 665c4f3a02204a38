"""A sheet and a page of the curated rows, for a person to read and mark; and a page of what curation rejected."""

from pathlib import Path

from _job import job, progress

from polychromic.data.rejected_page import write_rejected_page
from polychromic.data.review import write_page, write_sheet
from polychromic.files import appearing
from polychromic.records import read_records

with job(snakemake) as p:
    domain = snakemake.wildcards.domain
    records = read_records(snakemake.input.curated)
    with appearing(snakemake.output.sheet) as sheet, appearing(snakemake.output.page) as page:
        write_sheet(records, sheet)
        write_page(records, page, title=f"Review: {domain}")
    with appearing(snakemake.output.rejected) as page:
        write_rejected_page(snakemake.input.rejected, snakemake.input.account, page, title=f"Rejected: {domain}")
    progress(
        f"{len(records)} rows to read in {Path(snakemake.output.page).resolve()}; save your decisions as "
        f"{snakemake.params.decisions}. What curation rejected is in rejected.html next to it"
    )
