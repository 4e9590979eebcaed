"""The rules of JSON Schema 2020-12 with a budget. Loads jsonschema, so import it when needed.

Each rule looks at the clock before it begins: references that fan out, and lists held against lists, take for ever.
Patterns are searched by an engine that takes a time-out; the standard library's holds up the whole process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeAlias

import regex
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from shared.budget import BudgetSpent, left

Rule: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]


@cache
def validator_of(base: Any = Draft202012Validator) -> type[Validator]:
    """A validator like `base`, for use in a `budget`. Raises BudgetSpent, and ValueError for a pattern that is none."""
    ours: dict[str, Rule] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
    }
    rules = {name: ours.get(name, rule) for name, rule in base.VALIDATORS.items()}
    extended: Any = extend  # has no types
    made: type[Validator] = extended(base, {name: _timed(rule) for name, rule in rules.items()})
    return made


def _timed(rule: Rule) -> Rule:
    def timed(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left()
        yield from rule(validator, wanted, instance, schema) or ()

    return timed


def _found(pattern: str, text: str) -> bool:
    try:
        return regex.search(pattern, text, timeout=left()) is not None
    except TimeoutError:
        raise BudgetSpent from None
    except regex.error as error:
        raise ValueError(str(error)) from None


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _found(pattern, instance):
        yield ValidationError("does not match")


def _pattern_properties(validator: Any, rules: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, rule in rules.items():
            for name in instance:
                if _found(pattern, name):
                    yield from validator.descend(instance[name], rule, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    unnamed = (name for name in instance if name not in schema.get("properties", {}))
    extras = [name for name in unnamed if not any(_found(pattern, name) for pattern in patterns)]
    if rule is False and extras:
        yield ValidationError("unknown properties: " + ", ".join(sorted(extras)))
        return
    for name in extras:
        yield from validator.descend(instance[name], rule, path=name)


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if wanted and validator.is_type(instance, "array") and len({_mark(item) for item in instance}) < len(instance):
        yield ValidationError("has items that are equal")


def _mark(value: Any) -> Any:
    """The same for what JSON Schema takes for equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return frozenset((name, _mark(each)) for name, each in value.items())
    if isinstance(value, list):
        return tuple(_mark(each) for each in value)
    return (bool, value) if isinstance(value, bool) else value
