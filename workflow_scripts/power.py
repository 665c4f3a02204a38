"""What the configured study can see, before anything is trained."""

import json

from _job import job, progress

from polychromic.power import power_of_plan
from polychromic.staleness import write_atomic

with job(snakemake) as p:
    result = {**power_of_plan(p), "plan_sha256": p["plan_sha256"]}
    write_atomic(snakemake.output.power, json.dumps(result, indent=1) + "\n")
    progress(result["sentence"])
