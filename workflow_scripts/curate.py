"""Raw rows of a domain's sources, through its filters, to curated records."""

import shutil
from pathlib import Path

from _job import job, progress

from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.funnel import shown
from polychromic.data.pseudonyms import KEY_FILE, Pseudonyms
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.errors import StudyError
from polychromic.files import write_json
from polychromic.records import write_jsonl, write_records

with job(snakemake) as p:
    domain, limits = snakemake.wildcards.domain, p["curation"]
    lock = f"{snakemake.params.results}/lock.json"
    sources = [make_source(source) for source in p["sources"]]
    filters = [make_filter(step).locked(lock) for step in limits["filters"]]
    hidden = next((step.hidden for step in filters if step.hides), str)
    pseudonym = Pseudonyms(KEY_FILE)
    result = curate(
        (row for source in sources for row in read_source(source, lock=lock, hidden=hidden)),
        filters,
        seed=p["seed"],
        target_size=limits["max_rows"],
        on_progress=lambda step, done: progress(f"{step}: {done} rows") if done % 10_000 == 0 else None,
        pseudonym=pseudonym,
    )
    funnel = {"sources": [{"format": s.format, "from": s.path or s.hub} for s in sources], **result.funnel}
    if pseudonym.used:
        funnel["pseudonym_key"] = pseudonym.used
    progress(f"curation of {domain}\n{shown(funnel)}")
    # Snakemake deletes the outputs of a job that fails: what was rejected is then kept next to them.
    failed = Path(snakemake.output.rejected).with_name("failed")
    few = f"{domain}: {funnel['kept']} rows are left after curation"
    if funnel["kept"] < limits["min_rows"] and not limits["allow_fewer"]:
        write_jsonl(failed / "rejected.jsonl", result.rejected)
        write_json(failed / "curation.json", funnel)
        worst = max(funnel["steps"], key=lambda step: step["rejected"])
        raise StudyError(
            f"{few}, domains.{domain}.curation.min_rows asks for {limits['min_rows']} (most were rejected by "
            f"{worst['filter']}: {worst['rejected']}). Read {failed / 'rejected.jsonl'}, then add more rows, loosen "
            "a filter, or set allow_fewer: true."
        )
    if funnel["kept"] < limits["min_rows"]:
        progress(f"WARNING: {few}, fewer than min_rows {limits['min_rows']}")
    write_jsonl(snakemake.output.rejected, result.rejected)
    write_json(snakemake.output.account, funnel)
    write_records(snakemake.output.curated, result.kept)
    shutil.rmtree(failed, ignore_errors=True)
