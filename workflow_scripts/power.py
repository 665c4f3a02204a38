"""What the configured study can see, before anything is trained."""

from _job import job, progress

from polychromic.files import write_json
from polychromic.power import power_of_plan

with job(snakemake) as p:
    result = {**power_of_plan(p), "plan_sha256": p["plan_sha256"]}
    write_json(snakemake.output.power, result)
    progress(result["sentence"])
