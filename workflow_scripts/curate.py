"""Raw rows of a domain's sources, through its filters, to curated records."""

from _job import job, progress
from pydantic import TypeAdapter

from polychromic.data.curation import curate
from polychromic.data.filters.steps import AnyFilter
from polychromic.data.sources import Source, read_source
from polychromic.errors import StudyError
from polychromic.files import write_json
from polychromic.records import write_jsonl, write_records

with job(snakemake) as p:
    sources = TypeAdapter(list[Source]).validate_python(p["sources"])
    filters = TypeAdapter(list[AnyFilter]).validate_python(p["curation"]["filters"])
    lock = f"{snakemake.params.results}/lock.json"
    filters = [step.locked(lock) for step in filters]
    rows = (row for source in sources for row in read_source(source, lock=lock))
    result = curate(
        rows,
        filters,
        seed=p["seed"],
        target_size=p["curation"]["max_rows"],
        on_progress=lambda step, done: progress(f"{step}: {done} rows") if done % 10_000 == 0 else None,
    )
    funnel = {"sources": [{"format": s.format, "from": s.path or s.hub} for s in sources], **result.funnel}
    write_jsonl(snakemake.output.rejected, result.rejected)
    write_json(snakemake.output.account, funnel)
    progress(f"read {funnel['read']}, kept {funnel['kept']}, rejected {funnel['rejected']}")
    for step in funnel["steps"]:
        print(f"  {step['filter']:<24}{step['in']:>8} -> {step['out']:>8}")
    few = f"{snakemake.wildcards.domain}: {funnel['kept']} rows are left after curation"
    if funnel["kept"] < p["curation"]["min_rows"] and not p["curation"]["allow_fewer"]:
        worst = max(funnel["steps"], key=lambda step: step["rejected"], default=None)
        raise StudyError(
            f"{few}, domains.{snakemake.wildcards.domain}.curation.min_rows asks for {p['curation']['min_rows']}"
            + (f" (most were rejected by {worst['filter']}: {worst['rejected']})" if worst else "")
            + ". Bring more rows, loosen a filter, or set allow_fewer: true."
        )
    if funnel["kept"] < p["curation"]["min_rows"]:
        progress(f"WARNING: {few}, fewer than min_rows {p['curation']['min_rows']}")
    write_records(snakemake.output.curated, result.kept)
