"""Draw every figure that the study has data for."""

from _job import job, progress

from polychromic.files import appearing
from polychromic.paper.figures import FIGURES
from polychromic.paper.figures.style import save
from polychromic.paper.results import read_results

with job(snakemake) as p:
    results = read_results(snakemake.params.results)
    drawn = []
    with appearing(snakemake.output.folder) as folder:
        for name, draw in FIGURES.items():
            if drawing := draw(results):
                save(drawing, folder / name)
                drawn.append(name)
    progress(f"{len(drawn)} figures: {', '.join(drawn)}")
