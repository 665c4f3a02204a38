"""Preference between an arm's sample and the control's, asked in both orders."""

import _fork
from _job import job, progress
from _samples import read_prompts, stacked

from polychromic.metrics.judge import ReferenceSimilarity, judge_arm
from polychromic.parquet import write_parquet

with job(snakemake) as p:
    if p["provider"] == "offline":
        from polychromic.embedding import Embeddings

        files = (snakemake.input.embeddings, snakemake.input.control_embeddings, snakemake.input.references)
        judge = ReferenceSimilarity(Embeddings(*files).encode)
    else:
        from _judge import model_judge

        judge = model_judge(p, snakemake.params.cache)
    table = judge_arm(
        stacked(snakemake.input.samples),
        stacked(snakemake.input.control),
        read_prompts(snakemake.input.test),
        judge,
        p["seed"],
        temperature=p["temperature"],
        prompts=p["prompts"],
    )
    table = table.assign(arm=snakemake.wildcards.arm, control=p["control"])
    write_parquet(snakemake.output.table, table)
    progress(f"{len(table)} comparisons by {judge.name}")
