"""Write every table that the study has data for."""

from _job import job, progress

from polychromic.files import appearing
from polychromic.paper.results import read_results
from polychromic.paper.table_formats import save
from polychromic.paper.tables import TABLES

with job(snakemake) as p:
    results = read_results(snakemake.params.results)
    written = []
    with appearing(snakemake.output.folder) as folder:
        for name, make in TABLES.items():
            if table := make(results):
                save(table, folder / name)
                written.append(name)
    progress(f"{len(written)} tables: {', '.join(written)}")
