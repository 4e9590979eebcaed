"""A value to JSON text."""

from __future__ import annotations

from shared.nodes.base import Call, Outputs, Port, Pure
from shared.nodes.data._text import json_of


class JsonStringify(Pure):
    """Writes JSON text."""

    category = "data"
    display_name = "Write JSON"
    description = "Writes a value as JSON text: on one line, or indented for people."
    inputs = {"input": Port("any", required=True, description="The value. A text becomes a JSON string, in quotes.")}
    outputs = {"output": Port("string", description="The JSON text.")}
    config_schema = {
        "type": "object",
        "properties": {
            "indent": {
                "type": "integer",
                "minimum": 0,
                "maximum": 8,
                "title": "Indent",
                "description": "Spaces for each level; 0 writes everything on one line, without spaces.",
                "default": 0,
            }
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"indent": 2},
        "inputs": {"input": {"id": 7, "name": "Zoë"}},
        "outputs": {"output": '{\n  "id": 7,\n  "name": "Zoë"\n}'},
    }

    def evaluate(self, call: Call) -> Outputs:
        """The text. Raises NodeError InvalidInput for a value that nests too deep."""
        return {"output": json_of(call.inputs["input"], call.config["indent"] or None)}
