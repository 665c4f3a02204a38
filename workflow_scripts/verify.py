"""Which samples pass; and an audit of what can be wrong with samples."""

from importlib import import_module

import _fork
import pandas as pd
from _job import job, progress
from _samples import read_prompts, stacked

from polychromic.embedding import Embeddings
from polychromic.files import read_json, write_json
from polychromic.metrics.audit import audit_samples
from polychromic.metrics.signed_tables import sign, verdict_signature
from polychromic.parquet import write_parquet
from polychromic.verifiers import VERIFIERS, make_verifier, verify_all

COLUMNS = ["seed", "prompt_id", "temperature", "sample", "passed", "status", "score", "label"]

with job(snakemake) as p:
    settings = p["verifier"]
    needs, given, encoder = VERIFIERS[settings["kind"]].needs, {}, ""
    if "calibration" in needs:
        vectors = Embeddings(*snakemake.input.embeddings)
        given["encode"], encoder = vectors.encode, vectors.made_by
        given["threshold"] = read_json(snakemake.input.calibration)["threshold"]
    if "judge" in needs:
        model_judge = import_module("_judge").model_judge  # by name, as the stamp counts it where it is chosen
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
        write_parquet(target, sign(passes, {"pass_at": verdict_signature(settings["kind"], encoder)}))
        if part == "test":
            audit = audit_samples(samples, records, passes)
            write_json(snakemake.output.audit, audit)
            progress(f"{passes['passed'].mean():.3f} of {len(passes)} samples pass")
            for warning in audit["warnings"]:
                progress(f"WARNING: {warning}")
