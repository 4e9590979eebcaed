"""Some items of a list."""

from __future__ import annotations

from typing import Any

from shared.expressions.truth import truth
from shared.nodes.base import Call, NodeError, Outputs, Port, Pure
from shared.nodes.data._budget import Budget


class Filter(Pure):
    """Parts a list in two."""

    category = "data"
    display_name = "Filter"
    description = "Parts a list into the items for which a condition holds and the others."
    inputs = {"items": Port("array", required=True, description="The list.")}
    outputs = {
        "results": Port("array", description="The items for which the condition holds, in order."),
        "rejected": Port("array", description="The others, in order."),
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
                "description": "A JSONata expression over `item` and `index`, such as `item.price > 10`. "
                "All items together have the time-out of the node: 60 seconds, unless it says otherwise.",
            }
        },
        "required": ["condition"],
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "ExpressionError", "Timeout")
    timed = True
    example = {
        "config": {"condition": "item > 1"},
        "inputs": {"items": [1, 2, 3]},
        "outputs": {"results": [2, 3], "rejected": [1]},
    }

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """`item` and `index`."""
        return frozenset({"item", "index"})

    def evaluate(self, call: Call) -> Outputs:
        """Every item, on one port or the other. Raises NodeError InvalidInput, ExpressionError, Timeout."""
        items = call.inputs["items"]
        if not isinstance(items, list):
            raise NodeError("InvalidInput", "items is no list", retryable=False)
        kept: list[Any] = []
        rejected: list[Any] = []
        evaluate, condition = call.expressions.evaluate, call.config["condition"]
        budget = Budget(call.timeout_seconds)
        for index, item in enumerate(items):
            budget.spend()
            holds = truth(evaluate(condition, {"item": item, "index": index}))
            (kept if holds else rejected).append(item)
        return {"results": kept, "rejected": rejected}
