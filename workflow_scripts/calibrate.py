"""How often the verifier of a domain is right, on validation prompts; for open text, its threshold."""

from importlib import import_module
from math import isnan

import _fork
from _encoder import load_encoder
from _job import job, progress
from _samples import read_prompts

from polychromic.embedding import save_embeddings
from polychromic.files import write_json
from polychromic.verifiers import VERIFIERS, make_verifier
from polychromic.verifiers.calibration import calibrate_verifier

with job(snakemake) as p:
    settings = p["verifier"]
    val, test = read_prompts(snakemake.input.val), read_prompts(snakemake.input.test)
    encoder = load_encoder(snakemake, p["encoder"])
    grades = None
    if "judge" in VERIFIERS[settings["kind"]].needs:
        model_judge = import_module("_judge").model_judge  # by name, as the stamp counts it where it is chosen
        grades = model_judge(p, snakemake.params.cache).grades
    result = calibrate_verifier(make_verifier(**settings, encode=encoder.encode, grades=grades), val)
    write_json(snakemake.output.calibration, {"kind": settings["kind"], **result})
    rates = {"true pass": result["true_pass"], "false pass": result["false_pass"]}
    found = [f"{name} {'unknown' if isnan(rate) else f'{rate:.3f}'}" for name, rate in rates.items()]
    progress(", ".join([*found, f"n = {result['n']}"]))
    for warning in result["warnings"]:
        progress(f"WARNING: {warning}")
    texts = [text for record in (*val, *test) for text in (record.prompt, record.target, *record.references)]
    save_embeddings(snakemake.output.references, texts, encoder)
