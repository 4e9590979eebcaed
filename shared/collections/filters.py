"""Filters over metadata: one grammar for all back ends.

    {"source": "handbook.pdf"}                          the field is this text, number or boolean
    {"page": {"$gte": 10, "$lt": 20}}                   all of them hold
    {"tags": {"$in": ["legal", "tax"]}}                 $eq $ne $in $nin $gt $gte $lt $lte $exists
    {"$or": [{"lang": "de"}, {"$not": {"draft": true}}]}  $and $or $not; fields beside each other: and

A field with a list holds each of its values: `$eq` and `$in` look for one of them, `$gt` and its like for one in
range. `$ne`, `$nin` and `$not` are true exactly where what they negate is not, so also where the field is missing.
`$exists`: the field is there and neither null nor an empty list. Order is that of numbers; nothing else is greater or
less.

A filter is first read into a tree of `All`, `Some`, `Not`, `Is`, `Within`, `Exists`; each back end writes the tree in
its own language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shared.collections.model import FIELD

MAX_DEPTH: Final = 10
MAX_CONDITIONS: Final = 100
MAX_VALUES: Final = 200
Scalar: TypeAlias = str | int | float | bool
Metadata: TypeAlias = Mapping[str, Any]


class BadFilter(ValueError):
    """No filter; the message says where and why."""


@dataclass(frozen=True, slots=True)
class All:
    """Every one of these holds; of none: true."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of these holds."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    of: Condition


@dataclass(frozen=True, slots=True)
class Is:
    """The field is this value, or a list that holds it."""

    field: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Within:
    """The field is a number on this side of the bound, or a list that holds one; `op` is gt, gte, lt or lte."""

    field: str
    op: str
    bound: int | float


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there."""

    field: str


Condition: TypeAlias = All | Some | Not | Is | Within | Exists

_RANGES: Final = ("$gt", "$gte", "$lt", "$lte")
_NAMES: Final = ("$eq", "$ne", "$in", "$nin", *_RANGES, "$exists")


def read(given: Any) -> Condition:
    """A filter's tree. Raises BadFilter."""
    return _Reader().filter(given, "filter", 0)


class _Reader:
    def __init__(self) -> None:
        self._conditions = 0

    def filter(self, given: Any, at: str, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise BadFilter(f"a filter is at most {MAX_DEPTH} deep")
        if not isinstance(given, Mapping):
            raise BadFilter(f"{at} is an object")
        parts = [self._part(name, value, f"{at}.{name}"[:200], depth) for name, value in given.items()]
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _part(self, name: str, value: Any, at: str, depth: int) -> Condition:
        if name in ("$and", "$or"):
            if not isinstance(value, list) or not value:
                raise BadFilter(f"{at} is an array of filters that is not empty")
            parts = tuple(self.filter(each, f"{at}[{i}]", depth + 1) for i, each in enumerate(value))
            return All(parts) if name == "$and" else Some(parts)
        if name == "$not":
            return Not(self.filter(value, at, depth + 1))
        if not FIELD.fullmatch(name):
            raise BadFilter(f"{at} is neither a field of metadata nor $and, $or, $not")
        if not isinstance(value, Mapping):
            return self._condition(name, "$eq", value, at)
        if not value:
            raise BadFilter(f"{at} has no condition")
        found = tuple(self._condition(name, op, operand, f"{at}.{op}"[:200]) for op, operand in value.items())
        return found[0] if len(found) == 1 else All(found)

    def _condition(self, field: str, op: str, operand: Any, at: str) -> Condition:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise BadFilter(f"a filter has at most {MAX_CONDITIONS} conditions")
        if op in ("$eq", "$ne"):
            found: Condition = Is(field, _scalar(operand, at))
        elif op in ("$in", "$nin"):
            if not isinstance(operand, list) or not 0 < len(operand) <= MAX_VALUES:
                raise BadFilter(f"{at} is an array of 1 to {MAX_VALUES} values")
            found = Some(tuple(Is(field, _scalar(each, at)) for each in operand))
        elif op in _RANGES:
            if isinstance(operand, bool) or not isinstance(operand, int | float):
                raise BadFilter(f"{at} is a number")
            found = Within(field, op[1:], operand)
        elif op == "$exists":
            if not isinstance(operand, bool):
                raise BadFilter(f"{at} is true or false")
            return Exists(field) if operand else Not(Exists(field))
        else:
            raise BadFilter(f"{at} is none of {', '.join(_NAMES)}")
        return Not(found) if op in ("$ne", "$nin") else found


def _scalar(value: Any, at: str) -> Scalar:
    if not isinstance(value, str | int | float):
        raise BadFilter(f"{at} is a text, a number, true or false")
    return value


def predicate(condition: Condition) -> Callable[[Metadata], bool]:
    """The condition as a function over metadata."""
    match condition:
        case All(of):
            parts = [predicate(c) for c in of]
            return lambda m: all(p(m) for p in parts)
        case Some(of):
            parts = [predicate(c) for c in of]
            return lambda m: any(p(m) for p in parts)
        case Not(inner):
            holds = predicate(inner)
            return lambda m: not holds(m)
        case Is(field, value):
            truth = isinstance(value, bool)
            return lambda m: any(isinstance(v, bool) is truth and v == value for v in values(m, field))
        case Within(field, op, bound):
            beyond = _COMPARED[op]
            return lambda m: any(_is_number(v) and beyond(v, bound) for v in values(m, field))
        case Exists(field):
            return lambda m: m.get(field) not in (None, [])


def values(metadata: Metadata, field: str) -> list[Any]:
    """What a field holds, as a list."""
    value = metadata.get(field)
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda a, b: bool(a > b),
    "gte": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "lte": lambda a, b: bool(a <= b),
}
