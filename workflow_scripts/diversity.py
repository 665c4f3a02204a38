"""How the answers of each prompt differ."""

import _fork
import pandas as pd
from _job import job
from _samples import read_prompts, stacked, write_parquet

from polychromic.embedding import Embeddings
from polychromic.metrics.per_prompt_diversity import diversity_table
from polychromic.metrics.sample_tables import with_passes

with job(snakemake) as p:
    joined = with_passes(stacked(snakemake.input.samples), pd.read_parquet(snakemake.input.passes))
    encode = Embeddings(snakemake.input.embeddings).encode
    at = None if p["everywhere"] else [p["temperature"]]
    write_parquet(
        diversity_table(joined, read_prompts(snakemake.input.test), encode, labelled=p["labelled"], semantic_at=at),
        snakemake.output.table,
    )
