from __future__ import annotations

import time
from typing import Any

import pytest

from shared.nodes import json_schemas
from shared.nodes.json_schemas import MAX_FAULTS, faults, schema_problems
from tests.shared.nodes.http_server import Reply, serving


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object"},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
        {"const": {"$ref": "x"}},
        {"$defs": {"a": {"$anchor": "b"}}, "$ref": "#b"},
    ],
)
def test_schemas(schema: Any) -> None:
    assert not list(schema_problems(schema, "config.form"))


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "strng"}, "config.form.type"),
        ({"properties": {"a": {"minimum": "x"}}}, "config.form.properties.a.minimum"),
        ({"pattern": "["}, "config.form.pattern"),
        ("text", "config.form"),
        ({"items": {"$ref": "https://example.com/s.json"}}, "config.form"),
        ({"$ref": "other.json#/a"}, "config.form"),
        ({"$ref": "#/$defs/missing"}, "config.form"),
        ({"$ref": "#missing"}, "config.form"),
        ({"unevaluatedProperties": False, "allOf": [{"patternProperties": {"a": True}}]}, "config.form"),
    ],
)
def test_no_schemas(schema: Any, path: str) -> None:
    assert [p.path for p in schema_problems(schema, "config.form")] == [path]


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": ["string", "null"]}, 5, '$: must be of type ["string", "null"]'),
        ({"enum": ["a"]}, "secret", '$: must be one of ["a"]'),
        ({"properties": {"a": {"minimum": 3}}}, {"a": 1}, "$.a: must be at least 3"),
        ({"items": {"pattern": "^a$"}}, ["secret"], '$[0]: must match the pattern "^a$"'),
        ({"format": "date"}, "secret", '$: must have the format "date"'),
        ({"required": ["a"]}, {}, "$: 'a' is a required property"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": "secret"}, "$: unknown properties: b"),
        ({"additionalProperties": {"type": "string"}}, {"b": 1}, '$.b: must be of type "string"'),
        ({"anyOf": [{"type": "null"}]}, "secret", "$: breaks the rule anyOf"),
        ({"uniqueItems": True}, ["secret", "secret"], "$: breaks the rule uniqueItems"),
        (False, "secret", "$: nothing is allowed here"),
        ({"$ref": "#/nowhere"}, 1, "$: a $ref of the schema leads nowhere"),
        ({"pattern": "["}, "a", "$: a pattern of the schema is no regular expression"),
        ({"$ref": "#"}, 1, "$: the schema or the value nests too deep"),
        ({"multipleOf": 1e-300}, 10**400, "$: a number of the schema or the value is too large"),
        ({"patternProperties": {"^a": {"type": "null"}}}, {"ab": "secret"}, '$.ab: must be of type "null"'),
        (
            {"patternProperties": {"^a": True}, "properties": {"b": True}, "additionalProperties": False},
            {"a": 1, "b": 2, "c": "secret"},
            "$: unknown properties: c",
        ),
    ],
)
def test_faults_name_the_place_and_the_rule_but_not_the_value(schema: Any, value: Any, said: str) -> None:
    assert faults(value, schema) == [said]
    assert "secret" not in said


def _fan_out(depth: int) -> dict[str, Any]:
    """Each definition names the next one twice."""
    twice = {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/0", "$defs": {**twice, str(depth): {}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a|a)+$"}, "a" * 60 + "!"),
        ({"patternProperties": {"^(a|a)+$": True}}, {"a" * 60 + "!": 1}),
        ({"patternProperties": {"^(a|a)+$": True}, "additionalProperties": False}, {"a" * 60 + "!": 1}),
        (_fan_out(60), 1),
    ],
    ids=["pattern", "patternProperties", "additionalProperties", "references"],
)
def test_what_would_take_for_ever_is_given_up(schema: Any, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schemas, "BUDGET_SECONDS", 0.2)
    began = time.monotonic()
    assert faults(value, schema) == ["$: the value cannot be checked in 0.2 seconds"]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("items", [[1, True], [{"a": 1}, {"a": True}], [[], {}], ["1", 1], [None, False, 0]])
def test_items_that_are_not_equal(items: list[Any]) -> None:
    assert not faults(items, {"uniqueItems": True})


@pytest.mark.parametrize("items", [[1, 1.0], [{"a": [1], "b": 2}, {"b": 2, "a": [1.0]}], [None, None]])
def test_items_that_are_equal(items: list[Any]) -> None:
    assert faults(items, {"uniqueItems": True}) == ["$: breaks the rule uniqueItems"]


def test_many_items_are_compared_quickly() -> None:
    assert not faults([{"n": n} for n in range(20_000)], {"uniqueItems": True})


def test_only_so_many_faults() -> None:
    assert len(faults(["x"] * 100, {"items": {"type": "null"}})) == MAX_FAULTS


def test_nothing_is_ever_fetched() -> None:
    with serving([Reply({"type": "string"})]) as server:
        assert "leads nowhere" in faults(1, {"$ref": f"{server.url}/schema.json"})[0]
        assert server.connections == 0
