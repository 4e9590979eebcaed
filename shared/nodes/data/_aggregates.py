"""The operations of `aggregator`: each takes the values and the node's config. Raise NodeError InvalidInput."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from shared.nodes.base import NodeError
from shared.nodes.data._text import text_of

Config = Mapping[str, Any]
Values = Sequence[Any]


def _object(values: Values, config: Config) -> dict[str, Any]:
    del config
    merged: dict[str, Any] = {}
    for position, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise NodeError("InvalidInput", f"value {position} is no object", retryable=False)
        merged.update(value)
    return merged


def _sum(values: Values, config: Config) -> float:
    numbers = _numbers(values, config)
    return math.fsum(numbers) if any(isinstance(n, float) for n in numbers) else sum(numbers)


def _average(values: Values, config: Config) -> float | None:
    numbers = _numbers(values, config)
    return _sum(values, config) / len(numbers) if numbers else None


def _least(values: Values, config: Config) -> Any:
    return min(_comparable(values, config), default=None)


def _greatest(values: Values, config: Config) -> Any:
    return max(_comparable(values, config), default=None)


def _join(values: Values, config: Config) -> str:
    separator: str = config["separator"]
    return separator.join(text_of(each) for each in _picked(values, config))


def _group_by(values: Values, config: Config) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for value in values:
        key = _pick(value, config["field"])
        groups.setdefault("null" if key is None else text_of(key), []).append(value)
    return groups


def _numbers(values: Values, config: Config) -> list[Any]:
    found = _picked(values, config)
    if not all(_is_number(each) for each in found):
        raise NodeError("InvalidInput", f"{config['operation']} needs numbers", retryable=False)
    return found


def _comparable(values: Values, config: Config) -> list[Any]:
    found = _picked(values, config)
    if not (all(_is_number(each) for each in found) or all(isinstance(each, str) for each in found)):
        message = f"{config['operation']} needs numbers only or texts only"
        raise NodeError("InvalidInput", message, retryable=False)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _picked(values: Values, config: Config) -> list[Any]:
    """The values, or their field; without nulls, as a database has it."""
    field = config.get("field")
    found = values if field is None else [_pick(value, field) for value in values]
    return [each for each in found if each is not None]


def _pick(value: Any, field: str) -> Any:
    if isinstance(value, dict) and field in value:
        return value[field]
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


AGGREGATES: Final[Mapping[str, Callable[[Values, Config], Any]]] = {
    "array": lambda values, _: list(values),
    "object": _object,
    "sum": _sum,
    "count": lambda values, _: len(values),
    "min": _least,
    "max": _greatest,
    "average": _average,
    "join": _join,
    "first": lambda values, _: values[0] if values else None,
    "last": lambda values, _: values[-1] if values else None,
    "group_by": _group_by,
}
TAKES_LISTS_APART: Final = frozenset({"sum", "min", "max", "average", "join", "group_by"})
