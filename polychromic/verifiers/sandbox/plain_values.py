"""Plain values as JSON: the only language in which tests and a candidate program talk.

A candidate's answer reaches the tests as text that is parsed into exactly these types: None, bool, int,
float, complex, str, bytes, list, tuple and namedtuples, set, frozenset, dict and its views, Counter, OrderedDict,
deque, range, array, Decimal, Fraction, datetime's four, the builtin types by name, and one-shot iterators. Types
are kept exactly (1, True and 1.0 stay three things). Other subclasses arrive as the plain type that they derive
from, so no object with an `__eq__` of its own ever meets an assertion. Anything else travels as a reference: the
caller's `refer` writes its form, and `resolve` on the other side reads it.
"""

from __future__ import annotations

import functools
import json
import math
from array import array
from collections import Counter, OrderedDict, deque, namedtuple
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

MAX_ITERATOR = 100_000  # items taken from a generator: an endless one must end somewhere
_REFERENCES = ("object", "function", "named")  # tags that `refer` writes and `resolve` reads
_MAX_EXPONENT = 5000  # of a Decimal that is compared with other numbers: 1E+999999999 would take hours
_SMALL = 1 << 53  # larger integers travel in base 16, which has no limit on digits

# Exact type -> (tag, parts that JSON can hold, way back). Containers hold values and are handled below.
_SCALARS: dict[type, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    bytes: ("bytes", bytes.hex, bytes.fromhex),
    bytearray: ("bytearray", bytearray.hex, bytearray.fromhex),
    complex: ("complex", lambda v: [v.real, v.imag], lambda p: complex(*p)),
    Decimal: ("decimal", str, Decimal),
    Fraction: (
        "fraction",
        lambda v: [hex(v.numerator), hex(v.denominator)],
        lambda p: Fraction(*(int(x, 16) for x in p)),
    ),
    range: (
        "range",
        lambda v: [hex(v.start), hex(v.stop), hex(v.step)],
        lambda p: range(*(int(x, 16) for x in p)),
    ),
    array: ("array", lambda v: [v.typecode, v.tolist()], lambda p: array(*p)),
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("date", date.isoformat, date.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: ("timedelta", lambda v: [v.days, v.seconds, v.microseconds], lambda p: timedelta(*p)),
}
_TYPES = {
    kind.__name__: kind
    for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, type(None))
}
_MAPPINGS: dict[type, str] = {dict: "dict", Counter: "counter", OrderedDict: "ordered"}
_SEQUENCES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset", deque: "deque"}
# A dict's views arrive as views of another dict: in order, and a keys or items view equal to a set.
_VIEWS: dict[type, tuple[str, Callable[[list[Any]], Any]]] = {
    KeysView: ("keys", lambda items: dict.fromkeys(items).keys()),
    ItemsView: ("items", lambda items: dict(items).items()),
    ValuesView: ("values", lambda items: dict(enumerate(items)).values()),
}
_VIEW_OF = dict(_VIEWS.values())
_BY_TAG = {tag: build for tag, _, build in _SCALARS.values()} | {tag: kind for kind, tag in _SEQUENCES.items()}
_DICT_OF = {tag: kind for kind, tag in _MAPPINGS.items()}
# The order matters: bool before int, Counter before dict, datetime before date.
_PLAIN = (bool, int, float, str, list, Counter, OrderedDict, dict, *_SEQUENCES, *_SCALARS)


class TooLong(Exception):
    """An iterator that does not end in time."""


def encode(value: Any, refer: Callable[[Any], Any]) -> Any:
    """The JSON form of `value`; `refer` gives the form of an object that is not plain, or raises TypeError.

    Raises:
        TooLong: an iterator has more than MAX_ITERATOR items.
    """
    kind = type(value)
    if value is None or kind is bool or kind is str or kind is float:
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"int": hex(value)}
    if kind is list:
        return [encode(item, refer) for item in value]
    if kind in _MAPPINGS:
        return {_MAPPINGS[kind]: [[encode(key, refer), encode(item, refer)] for key, item in dict.items(value)]}
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [encode(item, refer) for item in value]}
    if kind in _SCALARS:
        tag, parts, _ = _SCALARS[kind]
        return {tag: parts(value)}
    if kind is type and _TYPES.get(value.__name__) is value:
        return {"type": value.__name__}
    if issubclass(kind, tuple) and (fields := _fields(kind)):
        return {"namedtuple": [kind.__name__, fields, [encode(item, refer) for item in tuple.__iter__(value)]]}
    for base in _PLAIN:
        if issubclass(kind, base):  # a defaultdict, an IntEnum: as the type it derives from
            return encode(_as_plain(value, base), refer)
    for base, (tag, _) in _VIEWS.items():
        if issubclass(kind, base):
            return {tag: [encode(item, refer) for item in value]}
    if issubclass(kind, Iterator):
        items = list(islice(value, MAX_ITERATOR + 1))
        if len(items) > MAX_ITERATOR:
            raise TooLong(f"an iterator of more than {MAX_ITERATOR} items")
        return {"iterator": [encode(item, refer) for item in items]}
    return refer(value)


def _fields(kind: type) -> list[str] | None:
    """The names of a namedtuple's fields; None for another tuple."""
    fields = getattr(kind, "_fields", None)
    return list(fields) if type(fields) is tuple and all(type(name) is str for name in fields) else None


@functools.lru_cache(64)
def _namedtuple(name: str, *fields: str) -> Callable[[list[Any]], Any]:
    return namedtuple(name, fields)._make


def _as_plain(value: Any, base: type) -> Any:
    if base in _MAPPINGS:
        return base(dict(dict.items(value)))
    if base in (list, *_SEQUENCES):
        return base(base.__iter__(value))
    if base is int:
        return int.__add__(value, 0)
    if base is float:
        return float.__add__(value, 0.0)
    if base is str:
        return str.__str__(value)
    if base is datetime:
        return datetime.combine(datetime.date(value), datetime.timetz(value))
    return _SCALARS[base][2](_SCALARS[base][1](value))


def decode(form: Any, resolve: Callable[[str, Any], Any]) -> Any:
    """The value whose JSON form is `form`; `resolve` turns a reference, its tag and its key, into what stands for
    it here.

    Raises:
        ValueError: the form is none that `encode` writes.
    """
    if form is None or isinstance(form, bool | int | float | str):
        return form
    if isinstance(form, list):
        return [decode(item, resolve) for item in form]
    if not isinstance(form, dict) or len(form) != 1:
        raise ValueError("not an encoded value")
    ((tag, parts),) = form.items()
    try:
        if tag == "int":
            return int(parts, 16)
        if tag == "type":
            return _TYPES[parts]
        if tag in _REFERENCES:
            return resolve(tag, parts)
        if tag in _DICT_OF:
            items = {decode(key, resolve): decode(item, resolve) for key, item in parts}
            return items if tag == "dict" else _DICT_OF[tag](items)
        if tag == "namedtuple":
            name, fields, items = parts
            return _namedtuple(name, *fields)([decode(item, resolve) for item in items])
        if tag == "iterator":
            return iter([decode(item, resolve) for item in parts])
        if tag in _VIEW_OF:
            return _VIEW_OF[tag]([decode(item, resolve) for item in parts])
        build = _BY_TAG[tag]
        return build(decode(item, resolve) for item in parts) if build in _SEQUENCES else build(parts)
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"not an encoded value ({error})") from error


def dumps(form: Any) -> bytes:
    """JSON bytes of a form; lone surrogates survive as escapes."""
    return json.dumps(form, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def canonical(value: Any) -> str:
    """One string for all values that tests would call equal, and for them alone: 1, True and 1.0 are one, a
    set and a frozenset too; sets and dicts have no order.

    Floats are rounded to 9 significant digits, so that the order of a sum makes no difference; from 2**53 on none is
    one with an integer.

    Raises:
        TypeError: the value is not plain (an object of the candidate's own, an iterator is read to its end).
    """
    kind = type(value)
    if kind is bool or kind is int:
        return hex(value) if abs(value) >= _SMALL else str(int(value))
    if kind is float:
        if math.isfinite(value) and value == int(value) and abs(value) < _SMALL:
            return str(int(value))
        return format(value, ".9g")
    if value is None or kind is str:
        return json.dumps(value)
    if kind is list:
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ",".join(map(canonical, value)) + ")"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{canonical(key)}:{canonical(item)}" for key, item in value.items())) + "}"
    if kind in (set, frozenset) or isinstance(value, KeysView | ItemsView):
        return "set(" + ",".join(sorted(map(canonical, value))) + ")"
    if kind is deque or kind is array:
        return f"{kind.__name__}(" + ",".join(map(canonical, value)) + ")"
    if isinstance(value, ValuesView):
        return "values(" + ",".join(map(canonical, value)) + ")"
    if kind is bytes or kind is bytearray:
        return f"bytes({value.hex()})"
    if kind is range:  # its first two numbers and its last determine all that it holds
        return "range(" + ",".join(map(canonical, (*value[:2], *value[-1:]))) + ")"
    if kind is complex:
        return canonical(value.real) if not value.imag else f"complex({canonical(value.real)},{canonical(value.imag)})"
    if kind is Decimal and not value.is_finite():
        return canonical(math.nan if value.is_nan() else float(value))
    if kind is Fraction or (kind is Decimal and abs(value.as_tuple().exponent) < _MAX_EXPONENT):
        return _ratio(*value.as_integer_ratio())
    if kind in _SCALARS or kind is type:
        return json.dumps(encode(value, refuse))
    if isinstance(value, Iterator):
        return "iter(" + ",".join(map(canonical, value)) + ")"
    raise TypeError(f"{kind.__name__} is not a plain value")


def _ratio(numerator: int, denominator: int) -> str:
    """The canonical string of an exact number: the integer's or the float's that it is equal to, if there is one."""
    if denominator == 1:
        return canonical(numerator)
    if abs(numerator) < _SMALL and (near := numerator / denominator).as_integer_ratio() == (numerator, denominator):
        return canonical(near)
    return f"{numerator:x}/{denominator:x}"


def refuse(value: Any, *_: Any) -> Any:
    """The `refer` and the `resolve` of those who send plain values only."""
    raise TypeError(f"{type(value).__name__} is not a plain value")
