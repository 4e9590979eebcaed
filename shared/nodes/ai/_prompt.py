"""A stored prompt in a chat node: found by its name, filled with the variables, and asked after the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.errors import NotFound
from shared.expressions import jsonata
from shared.expressions.template import TemplateError, render
from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, NodeError
from shared.nodes.json_schemas import faults


async def prompted(call: Call) -> Call:
    """The call with its stored prompt in its messages; what the node says itself goes before what the prompt says.

    Raises NodeError PromptNotFound, InvalidInput (variables that do not fit), ExpressionError, Unavailable.
    """
    name, version = call.config.get("prompt"), call.config.get("prompt_version")
    if not name:
        return call

    def find() -> Mapping[str, Any]:
        try:
            return call.world.resources.find("prompts", name, *([version] if version is not None else []))
        except NotFound as error:
            raise NodeError("PromptNotFound", error.detail, retryable=False) from None

    prompt = await ask(find)
    variables = call.config.get("variables") or {}
    if prompt.get("input_schema") is not None:
        wrong = faults(variables, prompt["input_schema"])
        if wrong:
            raise NodeError("InvalidInput", f"the variables of {name}: {wrong[0]}"[:500], retryable=False)
    given = call.inputs.get("messages")
    before = given if isinstance(given, list) else [given]
    asked = {"role": "user", "content": filled(prompt["text"], variables)}
    config = dict(call.config)
    for field, value in (("system", filled(prompt["system"], variables)), ("model", prompt["model"])):
        config[field] = config.get(field) or value or ""
    if config.get("response_schema") is None:
        config["response_schema"] = prompt["output_schema"]
    return replace(call, inputs={**call.inputs, "messages": [*before, asked]}, config=config)


def filled(text: str, variables: Mapping[str, Any]) -> str:
    """A prompt's text with `{{ variable }}` filled in. Raises NodeError ExpressionError."""
    try:
        # A text that is nothing but one expression would keep the value's type; the model is asked with text.
        found = render(f"{text} ", lambda expression: jsonata.evaluate(expression, dict(variables)))
    except (jsonata.ExpressionFailed, TemplateError) as error:
        raise NodeError("ExpressionError", str(error), retryable=False) from None
    return str(found)[:-1]
