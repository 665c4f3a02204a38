"""Inputs and settings that several stages share."""

from __future__ import annotations

from polychromic.config.study import Domain, Study
from polychromic.method.packaged_models import PACKAGED_MODELS
from polychromic.workflow import choices
from polychromic.workflow.stage import Output, dump, output


def parts(domain: str, *names: str) -> dict[str, Output]:
    """Parts of a domain's split."""
    return {name: output("split", name, domain=domain) for name in names}


def sampled(study: Study, domain: str, arm: str, *names: str) -> dict[str, list[Output]]:
    """Outputs of an arm's generation, one of each seed."""
    return {
        name: [output("generate", name, domain=domain, arm=arm, seed=str(seed)) for seed in study.seeds]
        for name in names
    }


def base_model(study: Study) -> Output | list[Output]:
    """The base model that another job makes: the tiny one of an embedded study, or a packaged one. Others come from the
    hub or a folder.
    """
    if study.model.name in PACKAGED_MODELS:
        return output("packaged", "model")
    return output("base", "model") if study.world else []


def judge_costs(study: Study) -> dict:
    return dump(study.judge, "budget", "input_price", "output_price")


def encoded_at(study: Study, domain: Domain) -> dict:
    """Texts are embedded at every temperature where a threshold of similarity judges them, else at the primary one."""
    return {"everywhere": choices.needs_calibration(domain), "temperature": study.sampling.temperature}
