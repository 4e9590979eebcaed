"""Steps and document are two notations of one thing: nothing is lost on the way from one to the other."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from shared.expressions.template import TemplateError, parse
from shared.workflows.model import Document
from shared.workflows.steps import document_of_steps, steps_of_document
from shared.workflows.steps.references import BadReference, expression_of, template_of, text_of, written_expression
from tests.shared.workflows.steps.by_chance import any_documents, listed_steps, texts
from tests.stepfunctions.engine.generated import documents

PORTS = {"a": "json", "d-e": "response", "none": None}
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)


def whole(document: dict[str, Any]) -> dict[str, Any]:
    return Document.model_validate(document).model_dump(mode="json")


@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(any_documents())
def test_any_document_comes_back_from_its_steps(document):
    steps = steps_of_document(document)
    assert json.dumps(document_of_steps(steps)) == json.dumps(document)
    assert json.dumps(document_of_steps(json.loads(json.dumps(steps)))) == json.dumps(document)


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
@given(documents(waits=True))
def test_documents_that_run_come_back_from_their_steps(made):
    document = whole(made[0])
    assert json.dumps(document_of_steps(steps_of_document(document))) == json.dumps(document)


@settings(max_examples=200, deadline=None, suppress_health_check=SLOW)
@given(listed_steps())
def test_lists_are_read_back_as_lists(steps):
    document = document_of_steps({"name": "Any", "steps": steps})
    again = steps_of_document(document)
    assert json.dumps(document_of_steps(again)) == json.dumps(document)
    assert "connections" not in again


@settings(max_examples=500, deadline=None)
@given(texts)
def test_a_text_means_itself_but_for_its_references(text):
    try:
        made = template_of(text, PORTS)
    except BadReference:
        return
    if "${" not in text:
        assert all(isinstance(part, str) for part in parse(made))
        assert "".join(parse(made)) == text
    back = text_of(made, PORTS)
    assert back is None or template_of(back, PORTS) == made


@settings(max_examples=500, deadline=None)
@given(texts)
def test_templates_and_expressions_come_back(text):
    back = text_of(text, PORTS)
    assert back is None or template_of(back, PORTS) == text
    written = written_expression(text, PORTS)
    assert written is None or expression_of(written, PORTS) == text
    if "\\" not in text:  # only what cannot be parsed, and a backslash before what would be read, have no other form
        try:
            parse(text)
        except TemplateError:
            return
        assert back is not None


def test_a_quotation_mark_in_a_pattern_begins_no_text():
    steps, document = "$split(${user_input.x}, /'/)[0] / ${steps.a.output}", "$split(trigger.x, /'/)[0] / nodes.a.json"
    assert expression_of(steps, PORTS) == document
    assert written_expression(document, PORTS) == steps
    assert template_of(f"${{{{ {document} }}}}", PORTS) == f"{{{{ {document} }}}}"
    assert written_expression("$split(trigger, /trigger/)", PORTS) == "$split(${user_input}, /trigger/)"
    with pytest.raises(BadReference, match="pattern"):
        expression_of("$split(x, /${input}/)", PORTS)


@pytest.mark.parametrize(
    "piece",
    ["'\\", "\"a'", "/*a", "nodes.`", "trigger.`a ", "\\{", "{", "${input[0]", "'x'${input}", "{{ {", "/a\\", "(/"],
)
def test_long_and_odd_texts_take_no_longer_than_long_ones(piece):
    text = piece * 20_000
    began = time.monotonic()
    for way in (template_of, text_of, expression_of, written_expression):
        with contextlib.suppress(BadReference):
            way(f"{text}${{input}}", PORTS)
    assert time.monotonic() - began < 10, "quadratic work would take minutes"
