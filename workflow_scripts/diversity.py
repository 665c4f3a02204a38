"""How the answers of each prompt differ."""

import _fork
from _job import job
from _samples import read_prompts, stacked

from polychromic.embedding import Embeddings
from polychromic.metrics.per_prompt_diversity import diversity_table
from polychromic.metrics.sample_tables import with_passes
from polychromic.parquet import read_parquet, write_parquet

with job(snakemake) as p:
    embeddings = Embeddings(snakemake.input.embeddings)
    table = diversity_table(
        with_passes(stacked(snakemake.input.samples), read_parquet(snakemake.input.passes)),
        read_prompts(snakemake.input.test),
        embeddings.encode,
        labelled=p["labelled"],
        semantic_at=None if p["everywhere"] else [p["temperature"]],
        encoder=embeddings.made_by,
    )
    write_parquet(snakemake.output.table, table)
