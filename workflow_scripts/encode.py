"""Sentence embeddings of an arm's texts, each text once, and their BERTScore at the primary temperature."""

import pandas as pd
from _job import job, progress
from _samples import read_prompts, stacked, write_parquet

from polychromic.embedding import Encoder, save_embeddings
from polychromic.metrics.bertscore import bertscore_table

with job(snakemake) as p:
    samples = stacked(snakemake.input.samples)
    texts = pd.concat([samples["text"], stacked(snakemake.input.samples_val)["text"]])
    count = save_embeddings(snakemake.output.embeddings, texts, Encoder(p["encoder"]))
    progress(f"{len(texts)} samples, {count} different texts")
    temperatures = [p["temperature"]] if p["bertscore"] else []
    scores = bertscore_table(samples, read_prompts(snakemake.input.test), temperatures, p["encoder"])
    write_parquet(scores, snakemake.output.bertscore)
