"""Write the synthetic corpus that the tiny base model is trained on."""

from _job import job, progress

from polychromic.demo.broad import write_broad

with job(snakemake) as p:
    rows = write_broad(snakemake.output.corpus, seed=p["seed"], rows=p["broad_rows"], wrong_share=p["wrong_share"])
    progress(f"{rows} lines")
