"""Write the report page."""

from _job import job, progress

from polychromic.report import write_report

with job(snakemake) as p:
    page = write_report(snakemake.params.results, snakemake.output.page, title=p["title"])
    progress(f"open {page}")
