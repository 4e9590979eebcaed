"""Holding a value against what is expected of it: where they differ, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from shared.cases.model import Case, Expected
from shared.errors import Problem
from shared.nodes.json_schemas import faults, schema_problems

MAX_DIFFERENCES: Final = 100
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where a value is not as expected. `kind`: `changed`, `missing`, `unexpected` or `schema`."""

    path: str
    kind: str
    expected: Any = None
    found: Any = None


def schema_problems_of(case: Case) -> list[Problem]:
    """What is wrong with the JSON Schemas of a case."""
    schemas = [("expected_output.schema", case.expected_output)]
    for place, assertion in case.assertions.items():
        schemas.append((f"assertions.{place}.output.schema", assertion.output))
        schemas += [(f"assertions.{place}.outputs.{port}.schema", e) for port, e in assertion.outputs.items()]
    return [
        p for path, e in schemas if e is not None and e.matches is not None for p in schema_problems(e.matches, path)
    ]


def differences(expected: Expected, found: Any, path: str) -> list[Difference]:
    """Where a value is not as expected, at most a hundred places; `path` is where it stands."""
    if "matches" in expected.model_fields_set:
        return [Difference(path, "schema", fault, None) for fault in faults(found, expected.matches or {})]
    exact = "equals" in expected.model_fields_set
    wanted = expected.equals if exact else expected.contains
    return list(islice(_between(wanted, found, path, exact=exact), MAX_DIFFERENCES))


def _between(expected: Any, found: Any, path: str, *, exact: bool) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from _at(value, found.get(name, _MISSING), f"{path}.{name}", exact=exact)
        for name in found if exact else ():
            if name not in expected:
                yield Difference(f"{path}.{name}", "unexpected", None, found[name])
    elif isinstance(expected, list) and isinstance(found, list):
        for number, value in enumerate(expected):
            there = found[number] if number < len(found) else _MISSING
            yield from _at(value, there, f"{path}[{number}]", exact=exact)
        for number in range(len(expected), len(found)):
            yield Difference(f"{path}[{number}]", "unexpected", None, found[number])
    elif not same(expected, found):
        yield Difference(path, "changed", expected, found)


def _at(expected: Any, found: Any, path: str, *, exact: bool) -> Iterator[Difference]:
    if found is _MISSING:
        yield Difference(path, "missing", expected, None)
    else:
        yield from _between(expected, found, path, exact=exact)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, and neither is true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
