"""Make an adapter from a trained one, without training."""

import json
import shutil
from pathlib import Path

from _job import job

from polychromic.derived import average_adapters, scale_adapter
from polychromic.files import write_json
from polychromic.modelcard import write_model_card

with job(snakemake) as p:
    source = Path(snakemake.input.adapter)
    if p["method"] == "wise_ft":
        average_adapters(source / "early", source, snakemake.output.adapter, share=p["share"])
    else:
        scale_adapter(source, snakemake.output.adapter, share=p["share"])
    # The cost of a derived arm is that of the run it comes from.
    record = json.loads(Path(snakemake.input.record).read_text(encoding="utf-8"))
    record |= {"arm": snakemake.wildcards.arm, "derived": dict(p)}
    write_json(snakemake.output.record, record)
    write_model_card(snakemake.output.adapter, record)
    shutil.copy(snakemake.output.record, snakemake.output.adapter)
