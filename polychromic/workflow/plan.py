"""The analysis plan: everything that decides the verdict besides the data. Hashed before training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polychromic.config.study import Study, TrainArm
from polychromic.files import digest, write_json
from polychromic.workflow.stage import dump, results_folder


def analysis_plan(study: Study) -> dict[str, Any]:
    return {
        "study": study.study,
        "plan": dump(study.plan),
        "domains": {
            name: {"quality_metric": d.quality_metric, "verifier": d.verifier.kind} for name, d in study.domains.items()
        },
        "arms": list(study.arms),
        "seeds": list(study.seeds),
        "sampling": dump(study.sampling, "samples", "temperature", "frontier", "test_prompts"),
        "k": list(study.metrics.k),
    }


def plan_hash(study: Study) -> str:
    return digest(analysis_plan(study))


def analysis_settings(study: Study) -> dict[str, Any]:
    """What the analysis, the figures and the report are given: the plan, its hash, and what was run."""
    return {
        **analysis_plan(study),
        "plan_sha256": plan_hash(study),
        "embedded": study.world is not None,
        "world": dump(study.world, "skew", "wrong_share", "seed") if study.world else None,
        "model": study.model.name,
        "encoder": study.metrics.encoder,
        "arm_kinds": {name: arm.kind for name, arm in study.arms.items()},
        "ablations": _ablations(study),
    }


def _ablations(study: Study) -> dict[str, Any]:
    """What distinguishes the trained arms: {arm: {weight, samples, every, quality, rank}}."""
    first = next(iter(study.domains))
    trained = [name for name, arm in study.arms.items() if isinstance(arm, TrainArm)]
    return {
        name: {
            **dump(study.objective_of(name, first), "weight", "samples", "every", "quality"),
            **dump(study.training_of(name), "rank"),
        }
        for name in trained
    }


def registered_plan_file(study: Study) -> Path:
    return results_folder(study) / ".stamps" / "plan.json"


def register_plan(study: Study) -> None:
    """Write down the analysis plan and its hash. Once anything has been trained, what is written stays.

    The verdict compares it with the plan that it was made by, and says whether that has changed since.
    """
    file = registered_plan_file(study)
    trained = any(results_folder(study).glob("*/*/seed-*/run.json"))
    if not (trained and file.is_file()):
        write_json(file, {"plan_sha256": plan_hash(study), "plan": analysis_plan(study)})
