"""What the fork server of short jobs saves: the tests' tiny study with it and without it, in turn.

    python -m benchmarks.fork_server --folder /tmp/forks [--pairs 3] [--target generations]

The model has random weights; each run begins with an empty results folder. CPU time is that of Snakemake and all that
it started, the fork server too. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from benchmarks.gpu_models import random_base
from benchmarks.kills import ROOT, start
from tests.project import command, copy_project

PR_SET_CHILD_SUBREAPER = 36
FORKS = "            fork_server.start()\n"


def cpu_of_children() -> float:
    """Seconds of all descendants, once all have ended."""
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(project: Path, snakemake: list[str], forks: bool) -> dict[str, float]:
    """Wall and CPU seconds of one run."""
    shutil.rmtree(project / "results", ignore_errors=True)
    text = (ROOT / "rules/common.smk").read_text()
    assert FORKS in text, "rules/common.smk does not start the fork server in this line any more"
    (project / "rules/common.smk").write_text(text if forks else text.replace(FORKS, "            pass\n"))
    began, before = time.monotonic(), cpu_of_children()
    if start(project, snakemake).wait() != 0:
        raise SystemExit(f"the study failed: see {project}/snakemake.log")
    return {"wall_s": time.monotonic() - began, "cpu_s": cpu_of_children() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--target", default="generations")
    given = parser.parse_args()
    # Jobs are the fork server's children, which ends before Snakemake has waited for it: they become this process's.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    folder = given.folder.resolve()
    random_base(folder / "base", "tiny", "cpu")
    project = copy_project(folder / "project", folder / "base")
    snakemake = command(given.target, options=("--cores", str(os.cpu_count())))
    runs = {"with": [], "without": []}
    for pair in range(given.pairs):
        for name in (*runs,) if pair % 2 == 0 else (*reversed(runs),):
            runs[name].append(timed(project, snakemake, forks=name == "with"))
            print(f"{name:8} {runs[name][-1]['wall_s']:6.1f} s wall {runs[name][-1]['cpu_s']:6.1f} s CPU", flush=True)
    kinds = ("wall_s", "cpu_s")
    found = {name: {kind: round(median(run[kind] for run in own), 1) for kind in kinds} for name, own in runs.items()}
    saved = {kind: round(1 - found["with"][kind] / found["without"][kind], 3) for kind in kinds}
    print(json.dumps({"benchmark": "fork_server", "pairs": given.pairs, **found, "saved": saved}))


if __name__ == "__main__":
    main()
