"""Random settings: a study, or a StudyError that says what is wrong; never another exception."""

from __future__ import annotations

import copy
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polychromic.config.loading import parse_study, read_yaml
from polychromic.config.study import Study
from polychromic.errors import StudyError

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


def test_what_a_study_writes_is_the_same_study():
    study = parse_study(PUBLISHED)
    assert parse_study(yaml.safe_load(yaml.safe_dump(study.model_dump(mode="json")))) == study
