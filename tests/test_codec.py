"""Values survive the way to a candidate and back with their exact types, and strangers' forms are refused."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.verifiers.codec import canonical, decode, dumps, encode, refuse

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.fractions(),
    st.complex_numbers(allow_nan=False),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
)
hashables = st.recursive(scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashables, max_size=4)
        | st.dictionaries(hashables, inner, max_size=4)
    ),
)


def there_and_back(value):
    return decode(json.loads(dumps(encode(value, refuse))), refuse)


def same_types(a, b) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return all(map(same_types, a, b))
    if isinstance(a, dict):
        return all(same_types(a[key], b[key]) for key in a)
    return True


@given(values)
def test_values_survive(value):
    back = there_and_back(value)
    assert back == value
    assert same_types(value, back)


@pytest.mark.parametrize(
    "value",
    [
        1,
        True,
        1.0,
        (1,),
        [1],
        {1},
        frozenset({1}),
        {1: [2]},
        b"\xff",
        bytearray(b"x"),
        -(1 << 53),
        10**40,
        1j,
        range(1, 9, 2),
        "\ud800 lone",
        Decimal("1.10"),
        Fraction(1, 3),
        date(2020, 1, 2),
        datetime(2020, 1, 2, 3),
        timedelta(1),
        int,
        dict,
        -0.0,
        deque([1, (2,)]),
        math.inf,
    ],
)
def test_types_are_exact(value):
    back = there_and_back(value)
    assert type(back) is type(value)
    assert back == value


def test_nan_survives():
    assert math.isnan(there_and_back(math.nan))


def test_subclasses_become_what_they_derive_from():
    point = namedtuple("point", "x y")(1, 2)
    colour = IntEnum("colour", "RED")
    lists = defaultdict(list, {1: [2]})
    for value, plain in (
        (point, (1, 2)),
        (Counter("aa"), {"a": 2}),
        (lists, {1: [2]}),
        (colour.RED, 1),
        (OrderedDict(a=1), {"a": 1}),
    ):
        back = there_and_back(value)
        assert back == plain
        assert type(back) is type(plain)


def test_iterators_are_read_and_endless_ones_refused():
    assert list(there_and_back(x * x for x in range(4))) == [0, 1, 4, 9]
    assert list(there_and_back(zip([1], [2], strict=True))) == [(1, 2)]
    with pytest.raises(OverflowError, match="an iterator of more than"):
        encode(iter(int, 1), refuse)


def test_objects_travel_by_number():
    class Thing:
        pass

    thing = Thing()
    form = encode([thing, 1], lambda value: 7)
    assert form == [{"object": 7}, 1]
    assert decode(form, lambda number: ("thing", number)) == [("thing", 7), 1]
    with pytest.raises(TypeError, match="Thing is not a plain value"):
        encode(thing, refuse)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"set": 3},
        {"set": [[1]]},
        {"eval": "1"},
        {"int": 5},
        {"int": "zz"},
        {"dict": [1]},
        {"dict": [[[], 1]]},
        {"object": "x"},
        {"type": "type"},
        {"fraction": ["0x1", "0x0"]},
        {"date": "soon"},
        {"bytes": "0g"},
        {"set": [], "int": "0x1"},
        {"decimal": "x"},
        {"range": ["0x0", "0x1", "0x0"]},
        {"complex": [1, 2, 3]},
        object(),
    ],
)
def test_forms_that_none_of_us_writes_are_refused(form):
    with pytest.raises(ValueError, match="not an encoded value"):
        decode(form, lambda number: number)


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (1, True, True),
        (1, 1.0, True),
        (0.1 + 0.2, 0.3, True),
        ([1], (1,), False),
        ([1], [1, 1], False),
        ("1", 1, False),
        ({1, 2}, {2, 1}, True),
        ({1: 2, 3: 4}, {3: 4, 1: 2}, True),
        ({1}, frozenset({1}), True),
        (None, 0, False),
        (0.0, -0.0, True),
        (10**40, 10**40 + 1, False),
        ("a,b", ["a", "b"], False),
        (["a,b"], ["a", "b"], False),
        (b"a", "a", False),
        (math.nan, math.nan, True),
        ([], "", False),
        ({}, [], False),
        (1e300, 1e301, False),
    ],
)
def test_one_string_for_values_that_tests_call_equal(a, b, equal):
    assert (canonical(a) == canonical(b)) is equal


def test_objects_have_no_canonical_string():
    with pytest.raises(TypeError, match="object is not a plain value"):
        canonical([object()])


def test_integers_have_no_limit_of_digits():
    assert there_and_back(-(10**5000)) == -(10**5000)
    assert canonical(10**5000) != canonical(10**5000 + 1)
