"""Values survive the way to a candidate and back with their exact types, and strangers' forms are refused."""

from __future__ import annotations

import json
import math
from array import array
from collections import Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import combinations_with_replacement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polychromic.verifiers.sandbox.plain_values import TooLong, canonical, decode, dumps, encode, refuse

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
        Counter("aab"),
        OrderedDict(b=1, a=2),
        date(2020, 1, 2),
        datetime(2020, 1, 2, 3),
        timedelta(1),
        int,
        dict,
        -0.0,
        deque([1, (2,)]),
        math.inf,
        array("d", [1.5, -0.0]),
        array("Q", [(1 << 64) - 1]),
        {"b": [1], "a": 2}.keys(),
        {"b": [1], "a": 2}.items(),
    ],
)
def test_types_are_exact(value):
    back = there_and_back(value)
    assert type(back) is type(value)
    assert back == value


def test_nan_survives():
    assert math.isnan(there_and_back(math.nan))


def test_subclasses_become_what_they_derive_from():
    colour = IntEnum("colour", "RED")
    lists = defaultdict(list, {1: [2]})
    for value, plain in (
        (lists, {1: [2]}),
        (colour.RED, 1),
    ):
        back = there_and_back(value)
        assert back == plain
        assert type(back) is type(plain)


def test_namedtuples_keep_their_fields_and_nothing_else():
    class Point(namedtuple("Point", "x y")):
        def __eq__(self, other):
            return True

    back = there_and_back(Point(1, 2))
    assert (back.x, back.y) == back == (1, 2)
    assert back != (1, 3)
    with pytest.raises(ValueError, match="not an encoded value"):
        decode({"namedtuple": ["Point", ["x", "__eq__"], [1, 2]]}, refuse)


def test_iterators_are_read_and_endless_ones_refused():
    assert list(there_and_back(x * x for x in range(4))) == [0, 1, 4, 9]
    assert list(there_and_back(zip([1], [2], strict=True))) == [(1, 2)]
    with pytest.raises(TooLong, match="an iterator of more than"):
        encode(iter(int, 1), refuse)


ASSERTED = ("set(v)", "list(v)", "sorted(v)", "len(v)", "v == {1, 2}", "v == [2, 1]", "2 in v", "{*v} & {2}")


def outcome(expression, value):
    try:
        return eval(expression, {"v": value})
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("expression", ASSERTED)
@pytest.mark.parametrize(
    "make",
    [
        lambda: {2: 1, 1: 3}.keys(),
        lambda: {2: 1, 1: 3}.values(),
        lambda: {2: 1, 1: 3}.items(),
        lambda: {2: [1], 1: {}}.values(),
        lambda: OrderedDict({2: 1, 1: 3}).keys(),
        lambda: Counter([2, 2, 1]).items(),
        lambda: UserDict({2: 1, 1: 3}).keys(),
        lambda: UserDict({2: 1, 1: 3}).values(),
        lambda: array("i", [2, 1, 1]),
        lambda: array("u", "ba"),
        lambda: (x for x in (2, 1)),
        lambda: map(abs, (2, -1)),
        lambda: zip((2, 1), "ab", strict=True),
        lambda: filter(None, (2, 0, 1)),
        lambda: reversed({1: 2, 2: 1}.keys()),
        lambda: range(2, 0, -1),
        lambda: deque((2, 1)),
        lambda: Counter([2, 1, 1]),
        lambda: defaultdict(int, {2: 1, 1: 2}),
        lambda: OrderedDict({2: 1, 1: 3}),
        lambda: b"\2\1",
        lambda: frozenset({1, 2}),
        lambda: namedtuple("pair", "x y")(2, 1),
    ],
)
def test_assertions_find_in_iterables_what_they_would_without_the_journey(make, expression):
    assert outcome(expression, there_and_back(make())) == outcome(expression, make())


def test_views_hold_objects():
    class Thing:
        pass

    back = decode(encode({Thing(): 1}.items(), lambda value: {"object": 7}), lambda tag, key: (tag, key))
    assert list(back) == [(("object", 7), 1)]


def test_objects_travel_by_number():
    class Thing:
        pass

    thing = Thing()
    form = encode([thing, 1], lambda value: {"object": 7})
    assert form == [{"object": 7}, 1]
    assert decode(form, lambda tag, key: (tag, key)) == [("object", 7), 1]
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
        {"type": "type"},
        {"fraction": ["0x1", "0x0"]},
        {"date": "soon"},
        {"bytes": "0g"},
        {"set": [], "int": "0x1"},
        {"decimal": "x"},
        {"range": ["0x0", "0x1", "0x0"]},
        {"complex": [1, 2, 3]},
        {"array": "ib"},
        {"array": ["b", [1000]]},
        {"keys": [[1]]},
        {"items": [1]},
        {"values": 1},
        object(),
    ],
)
def test_forms_that_none_of_us_writes_are_refused(form):
    with pytest.raises(ValueError, match="not an encoded value"):
        decode(form, refuse)


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
        (set(), {}, False),
        (set(), frozenset(), True),
        (1e300, 1e301, False),
    ],
)
def test_one_string_for_values_that_tests_call_equal(a, b, equal):
    assert (canonical(a) == canonical(b)) is equal


def test_one_string_for_values_of_all_types_that_are_equal():
    samples = [
        None, 0, False, -0.0, 0j, Decimal("0E5"), Fraction(0), 1, True, 1.0, 1 + 0j, Decimal("1.00"), Fraction(1),
        0.5, Decimal("0.50"), Fraction(1, 2), 0.1, Decimal("0.1"), Fraction(1, 10), Fraction(1, 3), 1j, 1 + 1j,
        1 << 80, Decimal(1 << 80), Fraction(1, 1 << 2000), Decimal("1E-400"), math.inf, Decimal("inf"),
        "", "{}", "set()", "1", b"", bytearray(), b"\1", bytearray(b"\1"),
        [], (), deque(), set(), frozenset(), {}, {}.keys(), {}.items(), OrderedDict().keys(),
        [1], (1,), deque([1]), {1}, frozenset({1.0}), {1: 1}, {1: 1}.keys(), {1: 2}.keys(), {1: 1}.items(), {(1, 1)},
        [set()], [{}], [frozenset()], {frozenset()}, {()}, [[]], [()], {"set": []}, complex(0, math.inf),
        range(0), range(3, 1), range(1), range(0, 5, 9), range(2), range(0, 4, 2), range(0, 6, 4), range(0, 3, 2),
        array("i"), array("d"), array("i", [1]), array("d", [1]), array("u", "1"), array("i", [1, 1]),
        int, bool, date(2020, 1, 1), datetime(2020, 1, 1), timedelta(1),
    ]  # fmt: skip
    for a, b in combinations_with_replacement(samples, 2):
        if {type(a), type(b)} != {bytearray, array}:  # equal in memory, though bytes and an array never are
            assert (canonical(a) == canonical(b)) is (a == b), (a, b)
    assert canonical(Decimal("sNaN")) == canonical(math.nan)
    assert canonical(Decimal("1E+999999999")) != canonical(Decimal("1E-999999999"))  # at once
    assert canonical({1: [2]}.items()) == canonical({1.0: [2]}.items()) != canonical({1: [3]}.items())
    assert canonical({1: 2}.values()) == canonical({3: 2}.values()) != canonical([2])


def test_objects_have_no_canonical_string():
    with pytest.raises(TypeError, match="object is not a plain value"):
        canonical([object()])


def test_integers_have_no_limit_of_digits():
    assert there_and_back(-(10**5000)) == -(10**5000)
    assert canonical(10**5000) != canonical(10**5000 + 1)
