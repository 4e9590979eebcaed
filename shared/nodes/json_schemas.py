"""JSON Schema 2020-12 as tenants write it: is it one, and does a value fit it?

A schema never makes this process fetch anything: a `$ref` reaches only within its own document. What is said about
a value names the place and the rule, never the value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.budget import BudgetSpent, budget
from shared.errors import Problem

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MAX_FAULTS: Final = 20
BUDGET_SECONDS: Final = 5.0
_BY_NAME: Final = frozenset({"required", "dependentRequired", "additionalProperties"})  # words that quote only names
_RULES: Final = {
    "minimum": "must be at least",
    "maximum": "must be at most",
    "exclusiveMinimum": "must be more than",
    "exclusiveMaximum": "must be less than",
    "multipleOf": "must be a multiple of",
    "minLength": "must have at least this many characters:",
    "maxLength": "must have at most this many characters:",
    "minItems": "must have at least this many items:",
    "maxItems": "must have at most this many items:",
    "minProperties": "must have at least this many properties:",
    "maxProperties": "must have at most this many properties:",
    "type": "must be of type",
    "enum": "must be one of",
    "const": "must be",
    "pattern": "must match the pattern",
    "format": "must have the format",
}


def schema_problems(schema: Any, path: str) -> Iterator[Problem]:
    """Why this is no JSON Schema, or names another document."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    except SchemaError as error:
        where = ".".join((path, *map(str, error.absolute_path)))
        yield Problem("invalid_schema", f"{where} is not valid in a JSON Schema: {error.message[:300]}", where)
        return
    text = json.dumps(schema)
    if '"unevaluatedProperties":' in text and '"patternProperties":' in text:
        # The one place where jsonschema searches with patterns of the schema and cannot be held to the budget.
        message = f"{path}: unevaluatedProperties and patternProperties in one schema are not supported"
        yield Problem("invalid_schema", message, path)
    resolver = _resolver(schema)
    for reference in _references(schema):
        if not reference.startswith("#"):
            yield Problem("invalid_schema", f"{path}: $ref {reference[:200]!r} names another document", path)
        elif not _leads_somewhere(resolver, reference):
            yield Problem("invalid_schema", f"{path}: $ref {reference[:200]!r} leads nowhere", path)


def faults(value: Any, schema: Any) -> list[str]:
    """What in `value` does not fit, each as `$.place: rule`; at most 20. A schema that cannot be used is one fault."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # The library takes long to import, and most calls do without it.
    from shared.nodes._json_schema_rules import validator_of

    kind = validator_of()
    validator = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
    found: list[str] = []
    try:
        with budget(BUDGET_SECONDS):
            for error in validator.iter_errors(value):
                found.append(f"{error.json_path}: {_rule(error)}")
                if len(found) == MAX_FAULTS:
                    break
    except Unresolvable:
        return ["$: a $ref of the schema leads nowhere"]
    except RecursionError:
        return ["$: the schema or the value nests too deep"]
    except OverflowError:
        return ["$: a number of the schema or the value is too large"]
    except ValueError:
        return ["$: a pattern of the schema is no regular expression"]
    except BudgetSpent:
        return [f"$: the value cannot be checked in {BUDGET_SECONDS:g} seconds"]
    return found


def _rule(error: ValidationError) -> str:
    keyword = str(error.validator)
    if keyword in _BY_NAME:
        return error.message[:300]
    if keyword in _RULES:
        return f"{_RULES[keyword]} {json.dumps(error.validator_value, ensure_ascii=False)[:200]}"
    return f"breaks the rule {keyword}" if error.validator else "nothing is allowed here"


def _resolver(schema: Any) -> Any:
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    return Registry().with_resource("", DRAFT202012.create_resource(schema)).crawl().resolver()


def _leads_somewhere(resolver: Any, reference: str) -> bool:
    from referencing.exceptions import Unresolvable

    try:
        resolver.lookup(reference)
    except Unresolvable:
        return False
    return True


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for keyword, value in schema.items():
            if keyword in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif keyword not in ("const", "enum", "default", "examples"):
                yield from _references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)
