"""What must hold between the settings of a study: whatever could only fail hours later is refused when it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from polychromic.config.study import SEEDS, DerivedArm, PromptArm, Study, TrainArm
from polychromic.errors import nearest
from polychromic.method.diversity import DIVERSITY
from polychromic.metric_registry import METRICS
from polychromic.verifiers import VERIFIERS

# Folders of a study other than its domains', and of a domain other than its arms'.
FOLDERS = {"base", "benchmarks", "figures", "logs", "paper", "raw", "statistics", "tables"}
DOMAIN_FOLDERS = {"data", "review"}


def problems(study: Study) -> Iterator[str]:
    """Sentences that name a key, what is wrong with it, and the remedy."""
    yield from _names(study)
    yield from _arms(study)
    yield from _plan(study)
    yield from _sampling(study)
    yield from _metrics(study)
    yield from _world(study)
    for name in study.domains:
        yield from _domain(study, name)


def _names(study: Study) -> Iterator[str]:
    for what, names, folders in (("domains", study.domains, FOLDERS), ("arms", study.arms, DOMAIN_FOLDERS)):
        for name in sorted(folders.intersection(names)):
            yield f"{what}.{name}: a folder of the results has this name. Choose another"


def _arms(study: Study) -> Iterator[str]:
    trained = [name for name, arm in study.arms.items() if isinstance(arm, TrainArm)]
    for name, arm in study.arms.items():
        for domain, settings in study.domains.items():
            if isinstance(arm, PromptArm) and arm.shots > settings.curation.max_rows:
                yield (
                    f"arms.{name}.shots is {arm.shots}, more than the {settings.curation.max_rows} rows that "
                    f"domains.{domain}.curation.max_rows leaves: ask for fewer examples"
                )
        if isinstance(arm, DerivedArm) and arm.source not in trained:
            yield f"arms.{name}.source is {arm.source!r}, which is not a trained arm{nearest(arm.source, trained)}"
    for name in trained:
        try:
            last = max(study.seeds) + study.training_of(name).seed_offset
            objectives = {domain: study.objective_of(name, domain) for domain in study.domains}
        except ValueError as error:
            yield str(error)
            continue
        if last >= SEEDS:
            yield f"arms.{name}: with training.seed_offset a seed is {last}, 2**32 or more: lower one of them"
        for domain, objective in objectives.items():
            verifier = VERIFIERS[study.domains[domain].verifier.kind]
            needs = DIVERSITY[objective.diversity].needs if objective.weight > 0 else None
            if needs not in (None, "encoder", *verifier.gives):
                yield (
                    f"arm {name!r} asks D = {objective.diversity} in domain {domain!r}, whose verifier does not give "
                    f"{needs}: choose another D there, such as semantic"
                )


def _plan(study: Study) -> Iterator[str]:
    plan = study.plan
    if plan.primary == plan.control:
        yield f"plan.primary and plan.control are both {plan.control!r}: an arm against itself"
    for role in ("primary", "control"):
        arm = getattr(plan, role)
        if arm not in study.arms:
            yield f"plan.{role} is {arm!r}, which is not an arm{nearest(arm, study.arms)}"
        elif not isinstance(study.arms[arm], TrainArm):
            yield f"plan.{role} is {arm!r}, which is not trained: name an arm of kind train"
    primary, control = study.arms.get(plan.primary), study.arms.get(plan.control)
    if isinstance(primary, TrainArm) and not _weight(study, primary):
        yield (
            f"plan.primary is {plan.primary!r}, which has no diversity term: set "
            f"arms.{plan.primary}.objective.weight above 0"
        )
    if isinstance(control, TrainArm) and _weight(study, control):
        yield f"plan.control is {plan.control!r}, which has a diversity term: name an arm of objective.weight 0"
    for key in ("controls", "placebos"):
        for name in getattr(plan, key):
            arm = study.arms.get(name)
            trained = study.arms.get(arm.source) if isinstance(arm, DerivedArm) else arm
            if arm is None:
                yield f"plan.{key} names {name!r}, which is not an arm{nearest(name, study.arms)}"
            elif isinstance(trained, PromptArm):
                yield f"plan.{key} names {name!r}, which is not trained: name trained or derived arms"
            elif isinstance(trained, TrainArm) and _weight(study, trained):
                yield f"plan.{key} names {name!r}, which has a diversity term: name arms of objective.weight 0"
        yield from _repeated(f"plan.{key}", getattr(plan, key))
    yield from _repeated("plan.replications", plan.replications)
    if study.study in plan.replications:
        yield f"plan.replications names {study.study}, the study itself: take it out"
    both = set(plan.controls) & set(plan.placebos)
    if both:
        yield f"plan.controls and plan.placebos both name {', '.join(sorted(both))}: leave it in one of them"


def _weight(study: Study, arm: TrainArm) -> float:
    return arm.objective.get("weight", study.objective.weight)


def _sampling(study: Study) -> Iterator[str]:
    sampling = study.sampling
    yield from _repeated("seeds", study.seeds)
    yield from _repeated("sampling.frontier", sampling.frontier)
    if sampling.temperature in sampling.frontier:
        yield (
            f"sampling.frontier has {sampling.temperature}, which is sampling.temperature and sampled anyway: take it "
            "out of the list"
        )


def _metrics(study: Study) -> Iterator[str]:
    ks, samples = study.metrics.k, study.sampling.samples
    yield from _repeated("metrics.k", ks)
    if 1 not in ks:
        yield f"metrics.k {list(ks)} has no 1: Pass@1 is half of the claim. Add it"
    if max(ks, default=1) > samples:
        yield (
            f"metrics.k asks pass@{max(ks)} but sampling.samples is {samples}: pass@k is undefined for n < k. Draw at "
            f"least {max(ks)} samples"
        )


def _repeated(key: str, values: Sequence[Any]) -> Iterator[str]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        yield f"{key} {list(values)} repeats {', '.join(map(str, twice))}: give each once"


def _world(study: Study) -> Iterator[str]:
    if (study.model.name == "embedded") != (study.world is not None):
        yield "model.name `embedded` and a `world` section go together: add or remove one of them"
    if study.world is None:
        for name, domain in study.domains.items():
            for number, source in enumerate(domain.sources):
                if source.path and "{results}" in source.path:
                    yield (
                        f"domains.{name}.sources.{number}.path is {source.path!r}, rows that only the embedded `world` "
                        "makes: give a file of your own, or take the domain away with `null`"
                    )


def _domain(study: Study, name: str) -> Iterator[str]:
    domain = study.domains[name]
    metric, kind = domain.quality_metric, domain.verifier.kind
    if "judge" in VERIFIERS[kind].needs and study.judge.provider == "offline":
        yield (
            f"domains.{name}.verifier is a judge, but judge.provider is offline, which cannot grade an answer: set "
            "judge.provider (anthropic or openai) and judge.model, or take verifier kind similarity"
        )
    needs = METRICS[metric].needs
    if "answers" in needs and "answers" not in VERIFIERS[kind].gives:
        owners = [name for name, verifier in VERIFIERS.items() if "answers" in verifier.gives]
        yield (
            f"domains.{name}.quality_metric is {metric}, which only verifier kind {owners[0]} measures (here {kind}): "
            "choose rouge_l or bertscore"
        )
    if "bertscore" in needs and not study.metrics.bertscore:
        yield f"domains.{name}.quality_metric is {metric}, but metrics.bertscore is false: measure it"
