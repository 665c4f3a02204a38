"""From samples to numbers."""

from __future__ import annotations

from polychromic.metric_registry import modules_of
from polychromic.workflow import choices
from polychromic.workflow.stage import Stage, dump, output
from polychromic.workflow.stages.inputs import encoded_at, judge_costs, parts, sampled


class OfArm(Stage):
    """A stage with one job for each domain and arm, all seeds together."""

    scope = ("domain", "arm")


class Encode(OfArm):
    name = "encode"
    outputs = {"embeddings": "{domain}/{arm}/embeddings.npz", "bertscore": "{domain}/{arm}/bertscore.parquet"}

    def reads(self, study, domain, arm):
        return {**sampled(study, domain, arm, "samples", "samples_val"), **parts(domain, "test")}

    def settings(self, study, domain, arm):
        metrics = {"encoder": study.metrics.encoder, "bertscore": study.metrics.bertscore}
        return {**metrics, **encoded_at(study, study.domains[domain])}

    def modules(self, study, domain, arm):
        return {"polychromic.metrics.bertscore"}


class Verify(OfArm):
    name = "verify"
    outputs = {
        "passes": "{domain}/{arm}/passes.parquet",
        "passes_val": "{domain}/{arm}/passes_val.parquet",
        "audit": "{domain}/{arm}/audit.json",
    }
    packed = ("passes", "passes_val", "audit")

    def reads(self, study, domain, arm):
        similar = choices.needs_calibration(study.domains[domain])
        return {
            **sampled(study, domain, arm, "samples", "samples_val"),
            **parts(domain, "val", "test"),
            "calibration": output("calibrate", "calibration", domain=domain) if similar else [],
            "embeddings": [
                output("calibrate", "references", domain=domain),
                output("encode", "embeddings", domain=domain, arm=arm),
            ]
            if similar
            else [],
        }

    def settings(self, study, domain, arm):
        return choices.verifier_settings(study, study.domains[domain])

    def aside(self, study, domain, arm):
        return judge_costs(study) if choices.judges(study.domains[domain]) else {}

    def modules(self, study, domain, arm):
        return choices.of_verifier(study.domains[domain])


class Diversity(OfArm):
    name = "diversity"
    outputs = {"table": "{domain}/{arm}/diversity.parquet"}
    packed = ("table",)

    def reads(self, study, domain, arm):
        return {
            **sampled(study, domain, arm, "samples"),
            **parts(domain, "test"),
            "embeddings": output("encode", "embeddings", domain=domain, arm=arm),
            "passes": output("verify", "passes", domain=domain, arm=arm),
        }

    def settings(self, study, domain, arm):
        return {"labelled": choices.gives_labels(study.domains[domain]), **encoded_at(study, study.domains[domain])}

    def modules(self, study, domain, arm):
        return modules_of("diversity")


class Quality(OfArm):
    name = "quality"
    outputs = {"table": "{domain}/{arm}/quality.parquet"}
    packed = ("table",)

    def reads(self, study, domain, arm):
        return {
            **sampled(study, domain, arm, "samples", "reference_nll"),
            **parts(domain, "test"),
            "bertscore": output("encode", "bertscore", domain=domain, arm=arm),
        }

    def settings(self, study, domain, arm):
        answers = choices.gives_answers(study.domains[domain])
        return {"answers": answers, "temperature": study.sampling.temperature}

    def modules(self, study, domain, arm):
        return modules_of("quality")


class Judge(OfArm):
    name = "judge"
    outputs = {"table": "{domain}/{arm}/judge.parquet"}
    packed = ("table",)

    def exists(self, study, domain, arm):
        return arm != study.plan.control

    def reads(self, study, domain, arm):
        control = study.plan.control
        return {
            **sampled(study, domain, arm, "samples"),
            **parts(domain, "test"),
            "control": sampled(study, domain, control, "samples")["samples"],
            "embeddings": output("encode", "embeddings", domain=domain, arm=arm),
            "control_embeddings": output("encode", "embeddings", domain=domain, arm=control),
            "references": output("calibrate", "references", domain=domain),
        }

    def settings(self, study, domain, arm):
        return {
            **dump(study.judge, "provider", "model", "base_url", "prompts"),
            "control": study.plan.control,
            "temperature": study.sampling.temperature,
            "seed": study.plan.seed,
        }

    def aside(self, study, domain, arm):
        return judge_costs(study)
