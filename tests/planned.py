"""Print what Snakemake plans, as JSON: `python planned.py <target,...> <config file> ...` in a project's folder.

{job: {"needs": jobs whose outputs it reads, "files" and "folders": its outputs, "runs": whether it would run}}
"""

import json
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings


def name(job):
    return ".".join([job.rule.name, *job.wildcards_dict.values()])


targets, files = sys.argv[1].split(","), [Path(file) for file in sys.argv[2:]]
with SnakemakeApi(OutputSettings()) as api:
    workflow = api.workflow(ResourceSettings(cores=1), ConfigSettings(configfiles=files))
    mtime = frozenset([RerunTrigger.MTIME])  # as profiles/default has it
    settings = DAGSettings(targets=set(targets), rerun_triggers=mtime, max_checksum_file_size=0)
    workflow.dag(settings).printrulegraph()  # builds the graph of jobs; Snakemake has no public way to hand it over
    dag = workflow._workflow.dag
    plan = {
        name(job): {
            "needs": sorted(map(name, dag.dependencies[job])),
            "files": [str(file) for file in job.output if not file.is_directory],
            "folders": [str(file) for file in job.output if file.is_directory],
            "runs": dag.needrun(job),
        }
        for job in dag.jobs
        if job.output
    }
print(json.dumps(plan))
