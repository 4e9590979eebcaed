"""Any expression."""

from __future__ import annotations

from shared.nodes.base import Call, Outputs, Port, Pure


class Transform(Pure):
    """Reshapes data by one JSONata expression."""

    category = "data"
    display_name = "Transform"
    description = "Computes a value by a JSONata expression over everything in scope."
    inputs = {"input": Port("any", description="Read as `inputs.input`.")}
    outputs = {"output": Port("any", description="The expression's value; null when it gives nothing.")}
    config_schema = {
        "type": "object",
        "properties": {
            "expression": {
                "type": "string",
                "minLength": 1,
                "maxLength": 100_000,
                "x-expression": True,
                "title": "Expression",
                "description": "A JSONata expression, such as `inputs.input.{ 'total': price * quantity }`.",
            }
        },
        "required": ["expression"],
        "additionalProperties": False,
    }
    errors = ("ExpressionError",)
    example = {
        "config": {"expression": "inputs.input.{ 'total': price * quantity }"},
        "inputs": {"input": {"price": 4, "quantity": 3}},
        "outputs": {"output": {"total": 12}},
    }

    def evaluate(self, call: Call) -> Outputs:
        """The expression's value."""
        return {"output": call.expressions.evaluate(call.config["expression"])}
