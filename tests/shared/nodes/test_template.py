from __future__ import annotations

from typing import Any

import pytest

from shared.nodes.registry import get
from tests.shared.nodes.calls import evaluate, fits


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Dear {{ inputs.vars.name }}!", "Dear Ada!"),
        ("{{ inputs.vars.name }}", "Ada"),
        ("{{ inputs.vars.n }}", "12"),
        ("{{ inputs.vars.list }} and {{ inputs.vars.missing }}.", '[1,"é"] and .'),
        ("{{ inputs.vars.list }}", '[1,"é"]'),
        ("{{ inputs.vars.missing }}", ""),
        ("{{ true }}", "true"),
        ("\\{{ literal }}", "{{ literal }}"),
        ("{% for x in y %}", "{% for x in y %}"),
    ],
)
def test_the_output_is_always_text(template: str, text: str) -> None:
    inputs = {"vars": {"name": "Ada", "n": 12, "list": [1, "é"]}}
    assert evaluate("template", {"template": template}, inputs) == {"output": text}


def test_data_is_never_a_template() -> None:
    inputs = {"vars": {"name": "{{ trigger.secret }}"}}
    names = {"trigger": {"secret": "x"}}
    output = evaluate("template", {"template": "Hi {{ inputs.vars.name }}"}, inputs, names=names)
    assert output == {"output": "Hi {{ trigger.secret }}"}


@pytest.mark.parametrize("config", [{}, {"template": 5}, {"template": "x", "engine": "handlebars"}])
def test_configs_that_do_not_fit(config: dict[str, Any]) -> None:
    assert not fits(get("template"), config)
