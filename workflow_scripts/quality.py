"""How good a single answer is."""

import _fork
import pandas as pd
from _job import job
from _samples import read_per_seed, read_prompts, stacked

from polychromic.metrics.per_prompt_quality import quality_table
from polychromic.parquet import read_parquet, write_parquet

with job(snakemake) as p:
    nll = pd.concat([frame.assign(seed=s) for s, frame in read_per_seed(snakemake.input.reference_nll).items()])
    table = quality_table(
        stacked(snakemake.input.samples),
        read_prompts(snakemake.input.test),
        bertscores=read_parquet(snakemake.input.bertscore),
        answers=p["answers"],
        nll=nll,
    )
    write_parquet(snakemake.output.table, table)
