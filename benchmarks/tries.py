"""Try other settings of an arm: train it with them and read the validation prompts, where settings are chosen.

    python -m benchmarks.tries [--study results/demo] [--arm lora] [--domains code qa] [--seeds 42 123]
                               [--temperatures 0.7 1.0 1.3] [--set learning_rate=5e-4 rank=8]

Settings are keys of the config's `training` and `objective`; what is not named is as in the finished study. The
samples are of all validation prompts, drawn as in the study. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml

from benchmarks.embedded import STUDY, base_folder, diversity_measure, rows_of, settings
from polychromic.embedding import Encoder
from polychromic.method.finetune import finetune, lora_settings, trainer_settings
from polychromic.method.models import encode_prompt, load_base
from polychromic.method.sampling import sample_groups
from polychromic.metrics.passk import pass_at_k
from polychromic.seeds import derive_seed
from polychromic.verifiers import make_verifier, verify_all

ENCODER = Encoder()


def with_changes(params: dict[str, Any], changes: dict[str, str]) -> dict[str, Any]:
    """The parameters of a training with some settings changed, each given as YAML."""
    training, objective = dict(params["training"]), dict(params["objective"])
    for key, value in changes.items():
        section = training if key in training else objective
        if key not in section:
            raise SystemExit(f"{key} is not a setting of training or objective: {', '.join([*training, *objective])}")
        section[key] = type(section[key])(yaml.safe_load(value))  # YAML takes 5e-4 for a text
    return params | {"training": training, "objective": objective}


def train(study: Path, domain: str, params: dict[str, Any], seed: int):
    """(model, tokenizer) with the adapter trained."""
    own = {key: params["model"][key] for key in ("precision", "attention")}
    model, tokenizer = load_base(base_folder(study), **own, device="cpu")
    measure = diversity_measure(params, ENCODER.encode)
    with tempfile.TemporaryDirectory() as folder:
        args = trainer_settings(
            params["training"],
            params["objective"],
            output_dir=folder,
            seed=seed,
            seed_scope=f"tries/{domain}",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            use_cpu=True,
        )
        rows, adapter = rows_of(study, domain, params), lora_settings(params["training"])
        finetune(model, tokenizer, rows, args, adapter, f"{folder}/adapter", measure=measure)
    return model, tokenizer


def passes(study: Path, domain: str, params: dict, model, tokenizer, seed: int, temperature: float) -> list[list[bool]]:
    """Which of the samples of every validation prompt pass."""
    rows, generating = rows_of(study, domain, params, "val"), settings(study, "generate", domain, "lora")
    sampling = generating["sampling"]
    groups = sample_groups(
        model,
        tokenizer,
        [encode_prompt(tokenizer, row["prompt"]) for row in rows],
        [
            [derive_seed("tries", seed, row["record"].id, temperature, i) for i in range(sampling["samples"])]
            for row in rows
        ],
        temperature=temperature,
        top_p=sampling["top_p"],
        max_new_tokens=generating["max_new_tokens"],
        batch_size=sampling["batch_size"],
    )
    verifying = params["verifier"] | {"encode": ENCODER.encode}
    if verifying["kind"] == "similarity":
        verifying["threshold"] = json.loads((study / domain / "calibration.json").read_text())["threshold"]
    answers = [
        ([sample.text for sample in group], row["record"], [sample.finish for sample in group])
        for group, row in zip(groups, rows, strict=True)
    ]
    return [[outcome.passed for outcome in outcomes] for outcomes in verify_all(make_verifier(**verifying), answers)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--arm", default="lora")
    parser.add_argument("--domains", nargs="+", default=["social", "code", "creative", "qa"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 123])
    parser.add_argument("--temperatures", nargs="+", type=float, default=[0.7, 1.0, 1.3])
    parser.add_argument("--set", nargs="+", default=[], metavar="setting=value")
    options = parser.parse_args()
    changes = dict(change.split("=", 1) for change in options.set)
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    found = []
    for domain in options.domains:
        params = with_changes(settings(options.study, "train", domain, options.arm), changes)
        results = {temperature: [] for temperature in options.temperatures}
        for seed in options.seeds:
            model, tokenizer = train(options.study, domain, params, seed)
            for temperature, found_so_far in results.items():
                found_so_far += passes(options.study, domain, params, model, tokenizer, seed, temperature)
        for temperature, rows in results.items():
            means = {f"pass@{k}": sum(pass_at_k(len(r), sum(r), k) for r in rows) / len(rows) for k in (1, 5, 10)}
            prompts = len(rows) // len(options.seeds)
            found.append({"domain": domain, "temperature": temperature, "prompts": prompts, **means})
    print(pd.DataFrame(found).to_string(index=False, float_format="{:.3f}".format))
    about = {"benchmark": "tries", "arm": options.arm, "seeds": options.seeds, "changes": changes}
    print(json.dumps({**about, "domains": found}))


if __name__ == "__main__":
    main()
