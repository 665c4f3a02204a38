"""What the registered choices of a study need: which modules, and which of a job's inputs."""

from __future__ import annotations

from polychromic.config.study import Domain, Objective, Study
from polychromic.data.filters import FILTERS
from polychromic.data.sources import SOURCES
from polychromic.method.diversity import DIVERSITY
from polychromic.method.quality import QUALITY_TERMS
from polychromic.verifiers import VERIFIERS

JUDGE = {"workflow_scripts._judge"}
ENCODER = {"workflow_scripts._encoder"}


def of_curation(domain: Domain) -> set[str]:
    """Modules of a domain's sources and filters."""
    filters = {FILTERS.module_of(step.filter) for step in domain.curation.filters}
    return filters | {SOURCES.module_of(source.format) for source in domain.sources}


def of_verifier(domain: Domain) -> set[str]:
    """Modules that judge a domain's answers."""
    return {VERIFIERS.module_of(domain.verifier.kind)} | (JUDGE if judges(domain) else set())


def of_objective(objective: Objective, domain: Domain) -> set[str]:
    """Modules of the quality term, and of the diversity term, where there is one."""
    quality = {QUALITY_TERMS.module_of(objective.quality)}
    if objective.weight == 0:
        return quality
    encoder = DIVERSITY[objective.diversity].needs == "encoder" or "encoder" in VERIFIERS[domain.verifier.kind].needs
    term = {DIVERSITY.module_of(objective.diversity), VERIFIERS.module_of(domain.verifier.kind)}
    return quality | term | (ENCODER if encoder else set())


def needs_calibration(domain: Domain) -> bool:
    """Whether what passes is decided by a threshold, found on validation answers, and by embeddings."""
    return "calibration" in VERIFIERS[domain.verifier.kind].needs


def gives_labels(domain: Domain) -> bool:
    """Whether the verifier distinguishes classes of answers."""
    return "labels" in VERIFIERS[domain.verifier.kind].gives


def runs_code(domain: Domain) -> bool:
    """Whether programs that a model wrote are run."""
    return "behaviour" in VERIFIERS[domain.verifier.kind].gives


def gives_answers(domain: Domain) -> bool:
    """Whether answers are short, so that exact match and token F1 make sense."""
    return "answers" in VERIFIERS[domain.verifier.kind].gives


def judges(domain: Domain) -> bool:
    """Whether the study's judge, a model, grades the domain's answers."""
    return "judge" in VERIFIERS[domain.verifier.kind].needs


def verifier_settings(study: Study, domain: Domain) -> dict:
    """What decides whether an answer passes."""
    judge = study.judge.model_dump(mode="json", include={"provider", "model", "base_url"}) if judges(domain) else {}
    return {"verifier": domain.verifier.model_dump(mode="json"), "encoder": study.metrics.encoder, **judge}
