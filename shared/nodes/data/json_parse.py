"""JSON text to a value."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from shared.nodes.base import Call, NodeError, Outputs, Port, Pure


class JsonParse(Pure):
    """Reads JSON text."""

    category = "data"
    display_name = "Parse JSON"
    description = "Reads a JSON text. What is no text any more, because somebody parsed it before, passes unchanged."
    inputs = {"input": Port("string", required=True, description="The JSON text.")}
    outputs = {"output": Port("any", description="The value.")}
    errors = ("InvalidInput",)
    example = {"config": {}, "inputs": {"input": '{"id": 7}'}, "outputs": {"output": {"id": 7}}}

    def evaluate(self, call: Call) -> Outputs:
        """The value. Raises NodeError InvalidInput, saying where the text stops being JSON."""
        text = call.inputs["input"]
        return {"output": _parsed(text) if isinstance(text, str) else text}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_refused)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        message = "the JSON nests too deep"
    except ValueError as error:
        message = f"not JSON: {str(error)[:200]}"
    raise NodeError("InvalidInput", message, retryable=False)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
