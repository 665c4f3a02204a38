"""Make an adapter from a trained one, without training."""

import json
import shutil
from pathlib import Path

import _fork
from _job import job

from polychromic.files import appearing, write_json
from polychromic.method.adapter_merging import average_adapters, scale_adapter
from polychromic.method.model_card import write_model_card

with job(snakemake) as p:
    source = Path(snakemake.input.adapter)
    # The cost of a derived arm is that of the run it comes from.
    record = json.loads(Path(snakemake.input.record).read_text(encoding="utf-8"))
    record |= {
        "arm": snakemake.wildcards.arm,
        "derived": {key: p[key] for key in ("kind", "method", "source", "share")},
    }
    write_json(snakemake.output.record, record)
    with appearing(snakemake.output.adapter) as adapter:
        if p["method"] == "wise_ft":
            average_adapters(source / "early", source, adapter, share=p["share"])
        else:
            scale_adapter(source, adapter, share=p["share"])
        write_model_card(adapter, record)
        shutil.copy(snakemake.output.record, adapter)
