"""Write the paper's sources, and its PDF where a LaTeX is installed."""

from _job import job, progress

from polychromic.paper import NO_TEX, build_pdf, write_paper

with job(snakemake):
    folder = write_paper(snakemake.params.results, snakemake.output.folder)
    pdf = build_pdf(folder)
    progress(f"open {pdf}" if pdf else NO_TEX)
