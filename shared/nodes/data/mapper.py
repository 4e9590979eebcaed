"""A new list from a list."""

from __future__ import annotations

from typing import Any

from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._budget import Budget


class Mapper(Pure):
    """Computes a value for every item."""

    category = "data"
    display_name = "Map"
    description = "Computes a new value for every item of a list."
    inputs = {"items": Port("array", required=True, description="The list.")}
    outputs = {"results": Port("array", description="The new values, in the same order; null where there is none.")}
    config_schema = {
        "type": "object",
        "properties": {
            "expression": {
                "type": "string",
                "minLength": 1,
                "maxLength": 100_000,
                "x-expression": True,
                "title": "Expression",
                "description": "A JSONata expression over `item` and `index`, such as `item.price * 2`. "
                "All items together have the time-out of the node: 60 seconds, unless it says otherwise.",
            }
        },
        "required": ["expression"],
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "ExpressionError", "Timeout")
    timed = True
    example = {
        "config": {"expression": "{ 'n': index, 'double': item * 2 }"},
        "inputs": {"items": [1, 2]},
        "outputs": {"results": [{"n": 0, "double": 2}, {"n": 1, "double": 4}]},
    }

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """`item` and `index`."""
        return frozenset({"item", "index"})

    def evaluate(self, call: Call) -> Outputs:
        """One result per item. Raises NodeError InvalidInput, ExpressionError, Timeout."""
        items = call.inputs["items"]
        if not isinstance(items, list):
            raise NodeError("InvalidInput", "items is no list", retryable=False)
        evaluate, expression = call.expressions.evaluate, call.config["expression"]
        budget = Budget(call.timeout_seconds)
        results: list[Any] = []
        for index, item in enumerate(items):
            budget.spend()
            results.append(evaluate(expression, {"item": item, "index": index}))
        return {"results": results}
