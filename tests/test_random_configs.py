"""Random settings: a StudyError that says what is wrong, or a study whose jobs can all be set up; never another
exception.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from polychromic.config.loading import parse_study, read_yaml
from polychromic.config.study import Study
from polychromic.data.filters import make_filter
from polychromic.data.sources import make_source
from polychromic.errors import StudyError
from polychromic.files import digest
from polychromic.method.diversity import DIVERSITY
from polychromic.method.finetune import lora_settings, trainer_settings
from polychromic.method.quality import QUALITY_TERMS
from polychromic.metric_registry import METRICS
from polychromic.verifiers import VERIFIERS
from polychromic.workflow import cost, graph
from polychromic.workflow.graph import all_jobs
from polychromic.workflow.plan import analysis_plan
from polychromic.workflow.stages import STAGES

PUBLISHED = read_yaml(Path(__file__).resolve().parent.parent / "config.yaml")
FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def places(value, path=()):
    """The paths of everything in the published study, lists too."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def keys_of_the_schema() -> list[str]:
    schema = Study.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    return sorted({key for model in models for key in model.get("properties", {})})


PLACES, KEYS = list(places(PUBLISHED)), keys_of_the_schema()
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 12), st.integers(), st.floats(), st.text(max_size=6), st.dates(),
    st.sampled_from(KEYS),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | scalars, inner, max_size=3),
    max_leaves=6,
)


def put(config, path, value):
    for key in path[:-1]:
        config = config[key]
    config[path[-1]] = value


@FEW
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=2))
def test_a_wrong_value_anywhere_is_a_study_error(changes):
    config = copy.deepcopy(PUBLISHED)
    for path, value in changes:
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            put(config, path, value)
    try:
        study = parse_study(config)
    except StudyError:
        return
    assert parse_study(study.model_dump(mode="json")) == study


@FEW
@given(st.dictionaries(st.sampled_from([*Study.model_fields, *KEYS]) | scalars, values, max_size=4))
def test_any_mapping_is_a_study_error(config):
    with pytest.raises(StudyError):
        parse_study(config)


def near(value):
    """Values that a hand might put in place of this one, many of them right."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return st.integers(0, 12) | st.sampled_from([value // 2, 2 * value, 100 * value])
    if isinstance(value, float):
        return st.sampled_from([0.0, 0.5, 1.0, 3.0]) | st.floats(0, 1)
    if isinstance(value, str):
        return st.sampled_from([*NAMES, value])
    if isinstance(value, list):
        return st.lists(st.sampled_from(value), max_size=4) if value else st.just(value)
    return st.none()


def at(config, path):
    for key in path:
        config = config[key]
    return config


NAMES = sorted({*PUBLISHED["arms"], *PUBLISHED["domains"], *METRICS, *DIVERSITY, *VERIFIERS, *QUALITY_TERMS})
changes_near = st.lists(
    st.sampled_from([path for path in PLACES if path[0] not in ("study", "title")]).flatmap(
        lambda path: st.tuples(st.just(path), near(at(PUBLISHED, path)))
    ),
    min_size=1,
    max_size=3,
)


def set_up(study, folder):
    """What the jobs of a study do with its settings before they touch rows or a model."""
    for job in all_jobs(study):
        stage, wildcards = STAGES[job[0]], dict(job[1])
        digest(stage.settings(study, **wildcards) | stage.aside(study, **wildcards))
        stage.modules(study, **wildcards)
        graph.input_paths(study, job)
    digest(analysis_plan(study))
    for domain in study.domains.values():
        for filter_ in domain.curation.filters:
            make_filter(filter_.model_dump())
        for source in domain.sources:
            make_source(source.model_dump())
    for arm in (name for name, arm in study.arms.items() if arm.kind == "train"):
        training = study.training_of(arm).model_dump()
        lora_settings(training)
        for domain in study.domains:
            objective = study.objective_of(arm, domain).model_dump()
            trainer_settings(training, objective, output_dir=str(folder), report_to="none", use_cpu=True)
    for card in cost.CARDS.values():
        found = cost.estimate(study, cost.QWEN3_8B, card)
        assert found.training_hours > 0
        assert found.ratio >= 1


@FEW
@given(changes_near)
def test_the_jobs_of_a_study_that_is_accepted_can_be_set_up(tmp_path_factory, changes):
    config = copy.deepcopy(PUBLISHED)
    for path, value in changes:
        with suppress(KeyError, IndexError, TypeError):
            put(config, path, value)
    try:
        study = parse_study(config)
    except StudyError as error:
        event(str(error).splitlines()[-1][:60])
        return
    event("accepted")
    set_up(study, tmp_path_factory.getbasetemp())


def test_what_a_study_writes_is_the_same_study():
    study = parse_study(PUBLISHED)
    assert parse_study(yaml.safe_load(yaml.safe_dump(study.model_dump(mode="json")))) == study
