"""Print what Snakemake plans, as JSON: `python planned.py <target,...> <config file> ...` in a project's folder.

{job: {"needs": jobs whose outputs it reads, "files" and "folders": its outputs, "runs": whether it would run}}

Without arguments it plans for each line on its input, {"folder", "targets", "files", "out"}, in a fork of itself, which
saves the imports, and answers with the fork's exit code. Nothing of the project is loaded before the fork.
"""

import json
import os
import sys
from pathlib import Path

import phonenumbers  # noqa: F401
import pydantic  # noqa: F401
from snakemake.api import SnakemakeApi
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings


def name(job):
    return ".".join([job.rule.name, *job.wildcards_dict.values()])


def plan(targets: list[str], files: list[str]) -> dict[str, dict]:
    with SnakemakeApi(OutputSettings()) as api:
        config = ConfigSettings(configfiles=[Path(file) for file in files])
        workflow = api.workflow(ResourceSettings(cores=1), config)
        mtime = frozenset([RerunTrigger.MTIME])  # as profiles/default has it
        settings = DAGSettings(targets=set(targets), rerun_triggers=mtime, max_checksum_file_size=0)
        workflow.dag(settings).printrulegraph()  # builds the graph; Snakemake has no public way to hand it over
        dag = workflow._workflow.dag
        return {
            name(job): {
                "needs": sorted(map(name, dag.dependencies[job])),
                "files": [str(file) for file in job.output if not file.is_directory],
                "folders": [str(file) for file in job.output if file.is_directory],
                "runs": dag.needrun(job),
            }
            for job in dag.jobs
            if job.output
        }


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.chdir(request["folder"])
            sys.path.insert(0, request["folder"])
            print(json.dumps(plan(request["targets"].split(","), request["files"])))
            sys.exit()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(plan(sys.argv[1].split(","), sys.argv[2:])))
    else:
        serve()
