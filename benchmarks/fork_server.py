"""What the fork server of short jobs saves: a small study with it and without it, in turn.

    python -m benchmarks.fork_server --folder /tmp/forks [--pairs 2] [--overlay profiles/demo/smoke.yaml one.yaml]

Each run begins with an empty results folder. CPU time is that of Snakemake and all that it started. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from statistics import median

from benchmarks.kills import ROOT, SNAKEMAKE, start

PR_SET_CHILD_SUBREAPER = 36
FORKS = "            fork_server.start()\n"
ONE_DOMAIN = """
study: forks
world: {raw_rows: 300, broad_rows: 1000, hidden: 32, layers: 1, vocabulary: 300}
domains: {social: null, creative: null, qa: null}
"""


def cpu_of_children() -> float:
    """Seconds of all ended descendants; those that outlive Snakemake are waited for."""
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(project: Path, command: list[str], forks: bool) -> dict[str, float]:
    """Wall and CPU seconds of the whole study."""
    shutil.rmtree(project / "results", ignore_errors=True)
    rules = project / "rules/common.smk"
    text = (ROOT / "rules/common.smk").read_text()
    assert FORKS in text, "rules/common.smk does not start the fork server in this line any more"
    rules.write_text(text if forks else text.replace(FORKS, "            pass\n"))
    began, before = time.monotonic(), cpu_of_children()
    if start(project, command).wait() != 0:
        raise SystemExit(f"the study failed: see {project}/snakemake.log")
    return {"wall_s": time.monotonic() - began, "cpu_s": cpu_of_children() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--overlay", nargs="+", default=["profiles/demo/smoke.yaml", "one.yaml"])
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    project = given.folder / "project"
    subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(project)], check=True)
    (project / "one.yaml").write_text(ONE_DOMAIN)
    command = [SNAKEMAKE, "--profile", "profiles/demo", "--cores", str(os.cpu_count()), "--configfile"]
    command += ["profiles/demo/study.yaml", *given.overlay, "--", "all"]
    runs = {"with": [], "without": []}
    for pair in range(given.pairs):
        for name in (*runs,) if pair % 2 == 0 else (*reversed(runs),):
            runs[name].append(timed(project, command, forks=name == "with"))
            print(f"{name:8} {runs[name][-1]['wall_s']:6.0f} s wall {runs[name][-1]['cpu_s']:6.0f} s CPU", flush=True)
    kinds = ("wall_s", "cpu_s")
    found = {name: {kind: round(median(run[kind] for run in own), 1) for kind in kinds} for name, own in runs.items()}
    saved = {kind: round(1 - found["with"][kind] / found["without"][kind], 3) for kind in kinds}
    print(json.dumps({"benchmark": "fork_server", "pairs": given.pairs, **found, "saved": saved}))


if __name__ == "__main__":
    main()
