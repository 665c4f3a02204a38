"""Write the report page."""

from _job import job, progress

from polychromic.files import appearing
from polychromic.paper.report import write_report

with job(snakemake) as p:
    with appearing(snakemake.output.page) as page, appearing(snakemake.output.costs) as costs:
        write_report(snakemake.params.results, page, costs, title=p["title"])
    progress(f"open {snakemake.output.page}")
