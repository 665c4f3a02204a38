"""Make the raw rows of the embedded world."""

from pathlib import Path

from _job import job

from polychromic.demo.raw import write_raw

with job(snakemake) as p:
    write_raw(Path(snakemake.output.rows[0]).parent, skew=p["skew"], seed=p["seed"], rows=p["raw_rows"])
