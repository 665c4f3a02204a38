"""Base model, adapters and samples."""

from __future__ import annotations

from polychromic.config.study import DerivedArm, PromptArm, TrainArm
from polychromic.method.packaged_models import PACKAGED_MODELS
from polychromic.workflow import choices
from polychromic.workflow.stage import Stage, dump, output, prompt_settings
from polychromic.workflow.stages.inputs import base_model, parts


class Broad(Stage):
    name = "broad"
    outputs = {"corpus": "base/broad.txt"}

    def exists(self, study):
        return study.world is not None

    def settings(self, study):
        return dump(study.world, "seed", "broad_rows", "wrong_share")


class Base(Stage):
    name = "base"
    outputs = {"model": "base/model/"}

    def exists(self, study):
        return study.world is not None

    def reads(self, study):
        return {"corpus": output("broad", "corpus")}

    def settings(self, study):
        return dump(study.world, "seed", "hidden", "layers", "vocabulary", "epochs")


class Packaged(Stage):
    name = "packaged"
    outputs = {"model": "base/packaged/"}

    def exists(self, study):
        return study.model.name in PACKAGED_MODELS

    def settings(self, study):
        return {"name": study.model.name, "sha256": PACKAGED_MODELS[study.model.name].sha256}


class Train(Stage):
    name = "train"
    scope = ("domain", "arm", "seed")
    outputs = {
        "adapter": "{domain}/{arm}/seed-{seed}/adapter/",
        "record": "{domain}/{arm}/seed-{seed}/run.json",
        "log": "{domain}/{arm}/seed-{seed}/train_log.jsonl",
    }
    packed = ("record", "log")

    def exists(self, study, domain, arm, seed):
        return isinstance(study.arms[arm], TrainArm)

    def reads(self, study, domain, arm, seed):
        return {"base": base_model(study), **parts(domain, "train")}

    def settings(self, study, domain, arm, seed):
        return {
            "model": dump(study.model),
            "objective": dump(study.objective_of(arm, domain)),
            "training": dump(study.training_of(arm)),
            "study": study.study,
            "verifier": dump(study.domains[domain].verifier),
            "encoder": study.metrics.encoder,
            "gpus": study.gpus_per_job,
            **prompt_settings(study, study.domains[domain]),
        }

    def aside(self, study, domain, arm, seed):
        return {"price_per_gpu_hour": study.cost.price_per_gpu_hour}

    def modules(self, study, domain, arm, seed):
        return choices.of_objective(study.objective_of(arm, domain), study.domains[domain])


class Derive(Stage):
    name = "derive"
    scope = ("domain", "arm", "seed")
    outputs = {key: Train.outputs[key] for key in ("adapter", "record")}
    packed = ("record",)

    def exists(self, study, domain, arm, seed):
        return isinstance(study.arms[arm], DerivedArm)

    def reads(self, study, domain, arm, seed):
        run = {"domain": domain, "arm": study.arms[arm].source, "seed": seed}
        return {key: output("train", key, **run) for key in ("adapter", "record")}

    def settings(self, study, domain, arm, seed):
        return dump(study.arms[arm])


class Generate(Stage):
    name = "generate"
    scope = ("domain", "arm", "seed")
    outputs = {
        "samples": "{domain}/{arm}/seed-{seed}/samples.parquet",
        "samples_val": "{domain}/{arm}/seed-{seed}/samples_val.parquet",
        "reference_nll": "{domain}/{arm}/seed-{seed}/reference_nll.parquet",
    }

    def reads(self, study, domain, arm, seed):
        kind = study.arms[arm]
        maker = "train" if isinstance(kind, TrainArm) else "derive"
        made = [] if isinstance(kind, PromptArm) else output(maker, "adapter", domain=domain, arm=arm, seed=seed)
        return {"base": base_model(study), "adapter": made, **parts(domain, "train", "val", "test")}

    def settings(self, study, domain, arm, seed):
        shots = getattr(study.arms[arm], "shots", 0)
        return {
            "model": dump(study.model),
            "trained": not isinstance(study.arms[arm], PromptArm),
            "shots": shots,
            "sampling": dump(study.sampling),
            "temperatures": list(study.temperatures_of(arm)),
            "max_new_tokens": study.domains[domain].max_new_tokens,
            "study": study.study,
            "split_seed": study.data_seed,
            **prompt_settings(study, study.domains[domain], shots),
        }
