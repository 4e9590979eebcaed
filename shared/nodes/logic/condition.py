"""One way or the other."""

from __future__ import annotations

from shared.expressions.truth import truth
from shared.nodes.base import Call, Outputs, Port, Pure


class Condition(Pure):
    """Sends its input out of one of two ports."""

    category = "logic"
    display_name = "Condition"
    description = "Sends its input to `true` or to `false`, by an expression."
    inputs = {"input": Port("any", description="What is handed on.")}
    outputs = {
        "true": Port("any", description="The input, when the condition holds."),
        "false": Port("any", description="The input, when it does not."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "condition": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Condition",
                "description": "A JSONata expression. It holds unless it gives nothing, null, false, 0, an empty "
                "string or object, or an array without anything true in it.",
            }
        },
        "required": ["condition"],
        "additionalProperties": False,
    }
    errors = ("ExpressionError",)
    example = {
        "config": {"condition": "inputs.input.amount > 100"},
        "inputs": {"input": {"amount": 250}},
        "outputs": {"true": {"amount": 250}},
    }

    def evaluate(self, call: Call) -> Outputs:
        """The input, on the port that matches."""
        holds = truth(call.expressions.evaluate(call.config["condition"]))
        return {"true" if holds else "false": call.inputs.get("input")}
