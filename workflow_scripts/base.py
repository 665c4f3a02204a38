"""Train the tiny base model of an embedded study from scratch."""

import _fork
from _job import job, progress

from polychromic.demo.base import train_base

with job(snakemake) as p:
    import torch

    torch.set_num_threads(snakemake.threads)
    summary = train_base(
        snakemake.input.corpus,
        snakemake.output.model,
        seed=p["seed"],
        hidden=p["hidden"],
        layers=p["layers"],
        vocabulary=p["vocabulary"],
        epochs=p["epochs"],
        on_progress=progress,
    )
    progress(", ".join(f"{key} {value:.4g}" for key, value in summary.items()))
