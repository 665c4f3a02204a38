"""From raw rows to the parts."""

from __future__ import annotations

import json

from polychromic.data.pseudonyms import KEY_FILE, Pseudonyms
from polychromic.data.readers import files_of
from polychromic.workflow import choices
from polychromic.workflow.stage import (
    Stage,
    decisions_file,
    dump,
    is_embedded,
    output,
    raw_paths,
    results_folder,
    sources,
)
from polychromic.workflow.stages.inputs import judge_costs, parts


class Raw(Stage):
    name = "raw"
    outputs = {
        "rows": tuple(
            f"raw/{corpus}.{part}.jsonl"
            for corpus in ("social", "code", "creative", "qa")
            for part in ("train", "eval")
        )
    }

    def exists(self, study):
        return study.world is not None

    def settings(self, study):
        return dump(study.world, "skew", "seed", "raw_rows")


class Curate(Stage):
    name = "curate"
    scope = ("domain",)
    outputs = {
        "curated": "{domain}/data/curated.jsonl",
        "rejected": "{domain}/data/rejected.jsonl",
        "account": "{domain}/data/curation.json",
    }

    def reads(self, study, domain):
        made_here = any(is_embedded(study, path) for path in raw_paths(study, domain))
        return {"raw": [output("raw", "rows")] if made_here else []}

    def settings(self, study, domain):
        curation = dump(study.domains[domain], "curation")
        return {"seed": study.data_seed, "sources": sources(study, domain), **curation}

    def modules(self, study, domain):
        return choices.of_curation(study.domains[domain])

    def user_files(self, study, domain):
        own = [path for path in raw_paths(study, domain) if not is_embedded(study, path)]
        return [file for path in own for file in files_of(path)]

    def outdated(self, study, domain):
        account = results_folder(study) / self.outputs["account"].format(domain=domain)
        if not KEY_FILE.is_file() or not account.is_file():
            return []
        made_with = json.loads(account.read_text(encoding="utf-8")).get("pseudonym_key")
        fits = made_with in (None, Pseudonyms(KEY_FILE).key_digest)
        return [] if fits else [f"its pseudonyms were made with another key than {KEY_FILE}"]


class ReviewSheet(Stage):
    name = "review_sheet"
    scope = ("domain",)
    outputs = {
        "sheet": "{domain}/review/sheet.csv",
        "page": "{domain}/review/index.html",
        "rejected": "{domain}/review/rejected.html",
    }
    texts = ("polychromic/data/review.html",)
    on_request = True

    def reads(self, study, domain):
        return {name: output("curate", name, domain=domain) for name in ("curated", "rejected", "account")}


class Split(Stage):
    name = "split"
    scope = ("domain",)
    outputs = {
        "train": "{domain}/data/train.jsonl",
        "val": "{domain}/data/val.jsonl",
        "test": "{domain}/data/test.jsonl",
        "rejected": "{domain}/data/split_rejected.jsonl",
        "leakage": "{domain}/data/leakage.json",
        "funnel": "{domain}/data/funnel.json",
    }
    packed = ("leakage", "funnel")

    def reads(self, study, domain):
        return {
            "curated": output("curate", "curated", domain=domain),
            "curation": output("curate", "account", domain=domain),
        }

    def settings(self, study, domain):
        return {"seed": study.data_seed, **dump(study.domains[domain], "split")}

    def aside(self, study, domain):
        # A spread needs two prompts at least; the best temperature needs those it is chosen on.
        shots = max((getattr(arm, "shots", 0) for arm in study.arms.values()), default=0)
        return {"needs": {"train": max(1, shots), "test": 2, "val": study.sampling.validation_prompts}}

    def user_files(self, study, domain):
        return [decisions_file(domain)]


class Calibrate(Stage):
    name = "calibrate"
    scope = ("domain",)
    outputs = {"calibration": "{domain}/calibration.json", "references": "{domain}/references.npz"}
    packed = ("calibration",)

    def reads(self, study, domain):
        return parts(domain, "val", "test")

    def settings(self, study, domain):
        return choices.verifier_settings(study, study.domains[domain])

    def aside(self, study, domain):
        return judge_costs(study) if choices.judges(study.domains[domain]) else {}

    def modules(self, study, domain):
        return choices.of_verifier(study.domains[domain])
