"""The model's form of a workflow, there and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.nodes.json_schemas import faults
from shared.workflows.service import as_json, document_of
from stepfunctions.generator import answer as form
from tests.stepfunctions.generator.said import START, adding, answer

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*/document.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.parent.name)
def test_a_workflow_that_is_not_changed_stays_as_it_is(path):
    stored = as_json(document_of(json.loads(path.read_text())), "wf_1")
    shown = form.notation(stored)
    assert faults(shown, form.SCHEMA["properties"]["workflow"]) == []
    made, problems = form.document_of(shown, stored)
    assert problems == []
    assert as_json(document_of(made), "wf_1") == stored


def test_there_are_workflows_to_try():
    assert len(GOLDEN) > 10


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"nodes": [{**START, "config": "{"}]}, "bad_json"),
        ({"nodes": [{**START, "config": "[]"}]}, "bad_json"),
        ({"nodes": [{**START, "inputs": "null"}]}, "bad_json"),
        ({"nodes": [{**START, "inputs": '{"a": 1e999}'}]}, "bad_json"),
        ({"nodes": [{**START, "inputs": '{"a": "\\ud800"}'}]}, "bad_json"),
        ({"nodes": [{**START, "inputs": "[" * 5_000}]}, "bad_json"),
        ({"variables": "x"}, "bad_json"),
        ({"connections": [{"from": "start", "to": "out.value"}]}, "bad_connection"),
        ({"connections": [{"from": ".trigger", "to": "out.value"}]}, "bad_connection"),
        ({"connections": [{"from": "start.trigger", "to": ""}]}, "bad_connection"),
    ],
)
def test_what_cannot_be_read_is_named(said, code):
    _, problems = form.document_of({**adding()["workflow"], **said}, None)
    assert [p.code for p in problems] == [code]
    assert all(p.severity == "error" and len(p.message) <= 300 for p in problems)


def test_answers_of_the_tests_fit_the_schema():
    for each in (adding(), answer(None, cannot="No.")):
        assert faults(each, form.SCHEMA) == []


def test_ports_may_have_dots_and_spaces_in_their_names():
    said = {**adding()["workflow"], "connections": [{"from": " start.a b.c ", "to": "out.value"}]}
    made, problems = form.document_of(said, None)
    assert problems == []
    assert (made["connections"][0]["source_node"], made["connections"][0]["source_port"]) == ("start", "a b.c")
