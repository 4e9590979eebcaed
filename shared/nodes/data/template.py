"""Text with values in it."""

from __future__ import annotations

import json

from shared.nodes.base import Call, Outputs, Port, Pure


class Template(Pure):
    """Fills a text."""

    category = "data"
    display_name = "Template"
    description = "Fills `{{ expression }}` in a text."
    inputs = {"vars": Port("object", description="Values for the text, read as `inputs.vars.name`.")}
    outputs = {"output": Port("string", description="The filled text.")}
    config_schema = {
        "type": "object",
        "properties": {
            "template": {
                "type": "string",
                "maxLength": 100_000,
                "x-template": True,
                "title": "Template",
                "description": "The text, with JSONata expressions in double braces: `Dear {{ inputs.vars.name }}`.",
            },
            "engine": {
                "enum": ["expression"],
                "title": "Engine",
                "description": "How the template is written: `{{ expression }}`.",
                "default": "expression",
            },
        },
        "required": ["template"],
        "additionalProperties": False,
    }
    errors = ("ExpressionError",)
    example = {
        "config": {"template": "Dear {{ inputs.vars.name }}, you owe {{ inputs.vars.sum }} €."},
        "inputs": {"vars": {"name": "Ada", "sum": 12}},
        "outputs": {"output": "Dear Ada, you owe 12 €."},
    }

    def evaluate(self, call: Call) -> Outputs:
        """The text. A template that is one expression keeps its value's type elsewhere; here it becomes text too."""
        text = call.config["template"]
        if text is None:
            return {"output": ""}
        if not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
        return {"output": text}
