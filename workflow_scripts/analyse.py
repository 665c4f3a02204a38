"""Intervals, tests, frontier and the verdict, from the cached tables alone."""

from pathlib import Path

from _job import job, progress

from polychromic.files import read_json, write_json
from polychromic.parquet import read_parquet, write_parquet
from polychromic.statistics.analysis import analyse
from polychromic.statistics.verdict import verdict

with job(snakemake) as p:
    results = Path(snakemake.params.results)
    names = ("passes", "passes_val", "diversity", "quality", "judge")
    tables = {
        domain: {
            arm: {
                name: read_parquet(file)
                for name in names
                if (file := results / domain / arm / f"{name}.parquet").is_file()
            }
            for arm in p["arms"]
        }
        for domain in p["domains"]
    }
    analysis = analyse(tables, p)
    for name in ("summary", "pairwise", "hypotheses", "frontier"):
        write_parquet(snakemake.output[name], getattr(analysis, name))
    registered = read_json(snakemake.input.power)["plan_sha256"]
    replications = {}
    for name in p["plan"]["replications"]:
        file = results.parent / name / "statistics" / "verdict.json"
        replications[name] = read_json(file) if file.is_file() else None
    decided = verdict(analysis, p, registered=registered, replications=replications)
    write_json(snakemake.output.verdict, decided)
    progress(decided["pooled"]["sentence"])
    for domain, found in decided["domains"].items():
        progress(f"{domain}: {found['sentence']}")
