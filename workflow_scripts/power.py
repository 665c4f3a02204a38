"""What the configured study can see, and the plan's hash, before anything is trained."""

import json
from pathlib import Path

from _job import job, progress

from polychromic.files import write_json
from polychromic.statistics.power import power_of_plan

with job(snakemake) as p:
    registered = json.loads(Path(snakemake.params.registered).read_text(encoding="utf-8"))
    result = {**power_of_plan(p["plan_full"]), "plan_sha256": registered["plan_sha256"]}
    write_json(snakemake.output.power, result)
    progress(result["sentence"])
