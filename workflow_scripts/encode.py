"""Sentence embeddings of an arm's texts, each text once, and BERTScore at the primary temperature."""

import _fork
from _encoder import load_encoder
from _job import job, progress
from _samples import read_prompts, stacked

from polychromic.embedding import MINILM, save_embeddings
from polychromic.metrics.bertscore import bertscore_table
from polychromic.metrics.signed_tables import encoder_signature
from polychromic.parquet import write_parquet

with job(snakemake) as p:
    samples = stacked(snakemake.input.samples)
    encoder = load_encoder(snakemake, p["encoder"])
    temperatures = [p["temperature"]] if p["bertscore"] else []
    model = encoder if p["encoder"] == MINILM else MINILM
    scores = bertscore_table(samples, read_prompts(snakemake.input.test), temperatures, model)
    write_parquet(snakemake.output.bertscore, scores)
    if p["everywhere"]:
        texts = [*samples["text"], *stacked(snakemake.input.samples_val)["text"]]
    else:
        texts = list(samples.loc[samples["temperature"] == p["temperature"], "text"])
    count = save_embeddings(snakemake.output.embeddings, texts, encoder, made_by=encoder_signature(p["encoder"]))
    progress(f"{len(texts)} samples, {count} different texts")
