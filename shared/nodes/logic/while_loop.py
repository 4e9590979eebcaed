"""As long as a condition holds."""

from __future__ import annotations

from shared.nodes.base import Container, Port


class WhileLoop(Container):
    """Runs its body as long as a condition is true; what the body gives is the next state."""

    repeats = "while"
    category = "logic"
    display_name = "While loop"
    description = "Runs the nodes inside it as long as a condition is true, handing a state from pass to pass."
    inputs = {"initial": Port("any", description="The state before the first pass; null without one.")}
    outputs = {
        "state": Port("any", description="The state after the last pass."),
        "iterations": Port("number", description="How many passes there were."),
    }
    inner = {
        "state": Port("any", description="The state."),
        "iteration": Port("number", description="The number of the pass, from 0."),
    }
    body_names = frozenset({"state", "iteration"})
    config_schema = {
        "type": "object",
        "properties": {
            "condition": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Condition",
                "description": "A JSONata expression over `state` and `iteration`, checked before each pass.",
            },
            "max_iterations": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "title": "At most",
                "description": "How many passes there may be; the node fails with MaxIterations when more are wanted.",
                "default": 100,
            },
            "result": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Result",
                "description": "A JSONata expression over the body: the next state. Without one it is the first "
                "output of the body's last node, or an object of its last nodes.",
            },
        },
        "required": ["condition"],
        "additionalProperties": False,
    }
    errors = ("MaxIterations", "ExpressionError")
    example = {"config": {"condition": "state < 100", "max_iterations": 10}, "inputs": {"initial": 1}}

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """The condition reads what the body reads."""
        return cls.body_names
