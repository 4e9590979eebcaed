from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.expressions.jsonata import evaluate
from shared.expressions.template import render
from shared.templates.fill import filled, template_problems
from shared.templates.library import templates

ANYTHING: dict[str, Any] = {"type": "object", "additionalProperties": True}
PIECES = [*"{}\\\"'`$ab(\n", "{{", "}}", "\\{{", "é", "🦊"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def node(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["nodes"][0]
    return found


def with_node(type_name: str, **fields: Any) -> dict[str, Any]:
    return {"nodes": [{"id": "a", "type": type_name, **fields}]}


def rendered(value: Any) -> Any:
    return render(value, lambda text: evaluate(text, {"trigger": {"x": "X"}}))


@settings(deadline=None)  # the first call imports much
@given(JSON)
def test_a_value_in_an_input_means_itself(value: Any):
    document = with_node("output", inputs={"value": {"$param": "p"}})
    put = node(filled(document, ANYTHING, {"p": value}))["inputs"]["value"]
    assert rendered(put) == value


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_texts_put_together_mean_themselves(one: str, two: str):
    parts = ["<{{ trigger.x }}", {"$param": "one"}, "} {x", {"$param": "two"}, "{{ trigger.x }}>"]
    document = with_node("output", inputs={"value": {"$text": parts}})
    put = node(filled(document, ANYTHING, {"one": one, "two": two}))["inputs"]["value"]
    assert rendered(put) == f"<X{one}}} {{x{two}X>"


@settings(deadline=None)
@given(TEXTS)
def test_a_text_in_a_template_field_of_a_config_means_itself(text: str):
    document = with_node("llm_chat", config={"system": {"$param": "p"}, "response_schema": {"const": {"$param": "p"}}})
    config = node(filled(document, ANYTHING, {"p": text}))["config"]
    assert rendered(config["system"]) == text
    assert config["response_schema"] == {"const": text}  # no template: as it is


@settings(deadline=None)
@given(JSON)
def test_a_value_in_an_expression_field_is_a_literal(value: Any):
    document = with_node("transform", config={"expression": {"$param": "p"}})
    put = node(filled(document, ANYTHING, {"p": value}))["config"]["expression"]
    if value is not None:
        assert evaluate(put, {}) == value


@settings(deadline=None)
@given(TEXTS)
def test_a_text_put_together_in_an_expression_field_is_a_literal(text: str):
    document = with_node("transform", config={"expression": {"$text": ["'", {"$param": "p"}, "' & trigger.x"]}})
    put = node(filled(document, ANYTHING, {"p": text}))["config"]["expression"]
    assert evaluate(put, {"trigger": {"x": "X"}}) == f"'{text}' & trigger.x"


def test_which_type_a_node_has_may_be_a_parameter():
    document = {"nodes": [{"id": "a", "type": {"$param": "t"}, "config": {"system": {"$param": "p"}}}]}
    made = node(filled(document, ANYTHING, {"t": "llm_chat", "p": "{{ secrets.x }}"}))
    assert made["type"] == "llm_chat"
    assert rendered(made["config"]["system"]) == "{{ secrets.x }}"


@settings(deadline=None)
@given(JSON)
def test_variables_hold_what_was_given(value: Any):
    made = filled({"variables": {"v": {"$param": "p"}}, "nodes": []}, ANYTHING, {"p": value})
    assert made["variables"] == {"v": value}


def test_which_field_is_a_template_may_be_a_parameter():
    document = with_node("template", config={"template": {"$param": "text"}, "engine": {"$param": "engine"}})
    given = {"text": "{{ secrets.x }}", "engine": "expression"}
    put = node(filled(document, ANYTHING, given))["config"]
    assert rendered(put["template"]) == "{{ secrets.x }}"


def test_what_has_no_value_is_left_out():
    document = with_node(
        "llm_chat", config={"model": "m", "credential": {"$param": "c"}, "stop": ["a", {"$param": "c"}]}
    )
    assert node(filled(document, {"type": "object", "properties": {"c": {}}}, {}))["config"] == {
        "model": "m",
        "stop": ["a"],
    }


def test_defaults_are_filled_in():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    assert filled({"variables": {"n": {"$param": "n"}}}, schema, {})["variables"] == {"n": 3}
    assert filled({"variables": {"n": {"$param": "n"}}}, schema, {"n": 4})["variables"] == {"n": 4}
    anything = {"type": "object", "properties": {"n": True}}
    assert filled({"variables": {"n": {"$param": "n"}}}, anything, {})["variables"] == {}


@pytest.mark.parametrize(
    ("given_", "path"),
    [
        ({"n": "four"}, "parameters.n"),
        ({"n": 4, "other": 1}, "parameters"),
        ({}, "parameters"),
        ({"n": None}, "parameters.n"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(given_: dict[str, Any], path: str):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with pytest.raises(Invalid) as refused:
        filled({"nodes": []}, schema, given_)
    assert refused.value.errors[0].path == path


@pytest.mark.parametrize(
    ("document", "schema", "code"),
    [
        ({"nodes": []}, {"type": "array"}, "invalid_schema"),
        ({"nodes": []}, "x", "invalid_schema"),
        ({"nodes": []}, {"type": "object", "properties": {"a": {"type": "nothing"}}}, "invalid_schema"),
        ({"nodes": []}, {"type": "object", "properties": {"a": {"$ref": "https://x.example/"}}}, "invalid_schema"),
        ({"nodes": []}, {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}, "bad_default"),
        ({"nodes": []}, {"type": "object", "properties": {f"p{n}": {} for n in range(101)}}, "too_many"),
        ({"v": {"$param": "b"}}, {"type": "object"}, "unknown_parameter"),
        ({"v": {"$param": ["b"]}}, {"type": "object"}, "bad_placeholder"),
        ({"v": {"$param": "b", "more": 1}}, {"type": "object"}, "bad_placeholder"),
        ({"v": {"$text": "b"}}, {"type": "object"}, "bad_placeholder"),
        ({"v": {"$text": [1]}}, {"type": "object"}, "bad_placeholder"),
        ({"v": [{"$text": [{"$param": "b"}]}]}, {"type": "object"}, "unknown_parameter"),
        (
            with_node("template", config={"template": {"$param": "b"}, "engine": "jinja2"}),
            {"type": "object", "properties": {"b": {}}},
            "bad_placeholder",
        ),
        (
            with_node("template", config={"template": {"$param": "b"}, "engine": {"$param": "b"}}),
            {"type": "object", "properties": {"b": {}}},
            "bad_placeholder",
        ),
        ({"v": {"$text": ["{", {"$param": "b"}]}}, {"type": "object", "properties": {"b": {}}}, "bad_placeholder"),
        ({"v": {"$text": ["\\", {"$param": "b"}]}}, {"type": "object", "properties": {"b": {}}}, "bad_placeholder"),
    ],
)
def test_what_is_no_template_is_said(document: Any, schema: Any, code: str):
    assert code in {p.code for p in template_problems(document, schema)}


@pytest.mark.parametrize("template", templates().values(), ids=list(templates()))
def test_a_file_of_the_library_is_a_template(template: Any):
    assert list(template_problems(template.document, template.parameters)) == []
    assert "" not in (template.name, template.description, template.category)
    assert template.tags
    for name, each in template.parameters["properties"].items():
        assert each["title"], name
        assert "default" in each or name in template.parameters["required"] or name == "credential", name
    used = json.dumps(template.document)
    assert all(f'{{"$param": "{name}"}}' in used for name in template.parameters["properties"])
