"""Which samples pass; and an audit of what can be wrong with samples."""

import json
from pathlib import Path

import _fork
import pandas as pd
from _job import job, progress
from _samples import read_prompts, stacked, write_parquet

from polychromic.embedding import Embeddings
from polychromic.files import write_json
from polychromic.metrics.audit import audit_samples
from polychromic.verifiers import VERIFIERS, make_verifier, verify_all

COLUMNS = ["seed", "prompt_id", "temperature", "sample", "passed", "status", "score", "label"]

with job(snakemake) as p:
    settings = p["verifier"]
    needs, given = VERIFIERS[settings["kind"]].needs, {}
    if "calibration" in needs:
        calibration, *embeddings = snakemake.input.similarity
        given["encode"] = Embeddings(*embeddings).encode
        given["threshold"] = json.loads(Path(calibration).read_text(encoding="utf-8"))["threshold"]
    if "judge" in needs:
        from _judge import model_judge

        given["grades"] = model_judge(p, snakemake.params.cache).grades
    verifier = make_verifier(**settings, **given)

    def verify(samples, records):
        by_id = {record.id: record for record in records}
        groups = list(samples.groupby("prompt_id", sort=True))
        answers = [(list(group["text"]), by_id[prompt_id], list(group["finish"])) for prompt_id, group in groups]
        rows = []
        for (prompt_id, group), outcomes in zip(groups, verify_all(verifier, answers), strict=True):
            keys = zip(group["seed"], group["temperature"], group["sample"], strict=True)
            for (seed, temperature, sample), o in zip(keys, outcomes, strict=True):
                rows.append((seed, prompt_id, temperature, sample, o.passed, o.status, o.score, o.label))
        return pd.DataFrame(rows, columns=COLUMNS)

    for part, target in (("test", snakemake.output.passes), ("val", snakemake.output.passes_val)):
        files = snakemake.input.samples if part == "test" else snakemake.input.samples_val
        samples, records = stacked(files), read_prompts(snakemake.input[part])
        passes = verify(samples, records)
        write_parquet(passes, target)
        if part == "test":
            audit = audit_samples(samples, records, passes)
            write_json(snakemake.output.audit, audit)
            progress(f"{passes['passed'].mean():.3f} of {len(passes)} samples pass")
            for warning in audit["warnings"]:
                progress(f"WARNING: {warning}")
