"""Write the paper's sources, and its PDF where a LaTeX is installed."""

from _job import job, progress

from polychromic.files import appearing
from polychromic.paper.article import NO_TEX, build_pdf, write_paper

with job(snakemake):
    with appearing(snakemake.output.folder) as folder:
        write_paper(snakemake.params.results, folder)
        pdf = build_pdf(folder)
    progress(f"open {snakemake.output.folder}/{pdf.name}" if pdf else NO_TEX)
