"""What Snakemake costs around the work: planning by number of jobs, a no-op, and the start of a job.

    python -m benchmarks.orchestration [--folder /tmp/orchestration]

Plans the published study with more and more seeds and, for comparison, as many jobs of a workflow that only has
chains of five empty rules; plans a study of which everything is done; and times what each kind of job imports before it
works. Seconds are of CPU time (user and system) and of wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from polychromic.config.loading import load_study
from polychromic.workflow.stages import all_jobs

ROOT = Path(__file__).resolve().parent.parent
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
COPIED = ("Snakefile", "config.yaml", "docs/report", "polychromic", "profiles", "requirements.lock", "rules")

CHAINS = """
rule all:
    input: expand("{{chain}}.4", chain=range({chains}))
rule first:
    output: "{{chain}}.0"
    shell: "touch {{output}}"
"""
LINK = """
rule link{i}:
    input: "{{chain}}.{before}"
    output: "{{chain}}.{i}"
    shell: "touch {{output}}"
"""


def timed(command: list[str], folder: Path) -> tuple[float, float, str]:
    """(CPU seconds, wall seconds, output) of a command that must succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - began, done.stdout + done.stderr


def plan(project: Path, overlay: str) -> tuple[float, float, str]:
    """(CPU seconds, wall seconds, output) of a dry run of `all data`."""
    command = [SNAKEMAKE, "--profile", "profiles/workstation", "-n", "--quiet", "rules"]
    return timed([*command, "--configfile", overlay, "--", "all", "data"], project)


def plan_chains(folder: Path, jobs: int) -> float:
    """CPU seconds of a dry run of about `jobs` jobs in chains of five."""
    folder.mkdir()
    links = "".join(LINK.format(i=i, before=i - 1) for i in range(1, 5))
    (folder / "Snakefile").write_text(CHAINS.format(chains=jobs // 5) + links)
    return timed([SNAKEMAKE, "-n", "--quiet", "rules", "--cores", "1"], folder)[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.orchestration")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "orchestration")
    project = parser.parse_args().folder
    shutil.rmtree(project, ignore_errors=True)
    for name in (*COPIED, "workflow_scripts"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, project / name)

    planned = []
    for seeds in (3, 30, 300):
        overlay = project / f"seeds-{seeds}.yaml"
        overlay.write_text(f"study: of-{seeds}\nseeds: {list(range(seeds))}\n")
        cpu, wall, _ = plan(project, overlay.name)
        jobs = len(all_jobs(load_study(project / "config.yaml", overlay)))
        bare = plan_chains(project / f"chains-{jobs}", jobs)
        planned.append({"jobs": jobs, "cpu_s": round(cpu, 2), "wall_s": round(wall, 2), "bare_cpu_s": round(bare, 2)})
        print(f"plan {jobs:>6} jobs: {cpu:6.1f} s of CPU, {wall:6.1f} s; chains of empty rules {bare:6.1f} s of CPU")

    study = load_study(project / "config.yaml", project / "seeds-3.yaml")
    stamps = project / "results/of-3/.stamps"
    _, _, listed = timed([sys.executable, str(ROOT / "tests/planned.py"), "all,data", "seeds-3.yaml"], project)
    for name, job in json.loads(next(line for line in listed.splitlines() if line.startswith("{"))).items():
        for folder in job["folders"]:
            (project / folder).mkdir(parents=True, exist_ok=True)
        for file in map(project.joinpath, job["files"]):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        shutil.copyfile(stamps / f"{name}.json", stamps / f"{name}.done.json")
    cpu, wall, output = plan(project, "seeds-3.yaml")
    if "Nothing to be done" not in output:
        raise SystemExit(f"nothing should be left to do, but:\n{output[-2000:]}")
    print(f"no-op of the published study ({len(all_jobs(study))} jobs): {cpu:.1f} s of CPU, {wall:.1f} s")

    starts = {}
    for script in sorted((project / "workflow_scripts").glob("[a-z]*.py")):
        imports = [line for line in script.read_text().splitlines() if re.match(r"(from|import) (?!_)", line)]
        starts[script.stem] = round(timed([sys.executable, "-c", "\n".join(imports)], project)[0], 2)
    print("imports at the top of a job, seconds of CPU: " + ", ".join(f"{k} {v}" for k, v in starts.items()))
    print(
        json.dumps(
            {"plan": planned, "noop": {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2)}, "imports_cpu_s": starts}
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
