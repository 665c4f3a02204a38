"""Intervals, tests, frontier and the verdict, from the cached tables alone."""

import json
from pathlib import Path

import pandas as pd
from _job import job, progress
from _samples import write_parquet

from polychromic.files import write_json
from polychromic.statistics.analysis import analyse
from polychromic.statistics.verdict import verdict

with job(snakemake) as p:
    results = Path(snakemake.params.results)
    names = ("passes", "passes_val", "diversity", "quality", "judge")
    tables = {
        domain: {
            arm: {
                name: pd.read_parquet(file)
                for name in names
                if (file := results / domain / arm / f"{name}.parquet").is_file()
            }
            for arm in p["arms"]
        }
        for domain in p["domains"]
    }
    analysis = analyse(tables, p, encoder=p["encoder"])
    for name in ("summary", "pairwise", "hypotheses", "frontier"):
        write_parquet(getattr(analysis, name), snakemake.output[name])
    registered = json.loads(Path(snakemake.input.power).read_text(encoding="utf-8"))["plan_sha256"]
    replications = {}
    for name in p["plan"]["replications"]:
        file = results.parent / name / "statistics" / "verdict.json"
        replications[name] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    decided = verdict(analysis, p, registered=registered, replications=replications)
    write_json(snakemake.output.verdict, decided)
    progress(decided["pooled"]["sentence"])
    for domain, found in decided["domains"].items():
        progress(f"{domain}: {found['sentence']}")
