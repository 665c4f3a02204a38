"""Write the base model that a package carries as a folder that training and generation load."""

import _fork
from _job import job, progress

from polychromic.method.packaged_models import convert, find

with job(snakemake) as p:
    about = convert(find(p["name"]), snakemake.output.model)
    progress(", ".join(f"{value:,} {what}" for what, value in about.items()))
