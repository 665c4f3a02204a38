"""How the answers of each prompt differ."""

import pandas as pd
from _job import job
from _samples import stacked, write_parquet

from polychromic.embedding import Embeddings
from polychromic.metrics.tables import diversity_table, with_passes
from polychromic.records import read_records

with job(snakemake) as p:
    joined = with_passes(stacked(snakemake.input.samples), pd.read_parquet(snakemake.input.passes))
    encode = Embeddings(snakemake.input.embeddings).encode
    write_parquet(diversity_table(joined, read_records(snakemake.input.test), encode), snakemake.output.table)
