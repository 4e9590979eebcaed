"""Several nodes, tried again together."""

from __future__ import annotations

from shared.nodes.base import Container, Port


class Retry(Container):
    """Runs its body, and the whole of it again when a node in it fails."""

    repeats = "again"
    category = "logic"
    display_name = "Retry"
    description = "Runs the nodes inside it and, when one of them fails, all of them again, with growing pauses."
    inputs = {"input": Port("any", description="What the nodes inside start from.")}
    outputs = {"output": Port("any", description="The result of the pass that succeeded.")}
    inner = {"input": Port("any", description="The input.")}
    config_schema = {
        "type": "object",
        "properties": {
            "max_retries": {
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "title": "Retries",
                "description": "How often it is tried again after the first failure.",
                "default": 3,
            },
            "interval_seconds": {
                "type": "number",
                "minimum": 0,
                "maximum": 3_600,
                "title": "First pause (seconds)",
                "description": "The pause before the first retry.",
                "default": 1,
            },
            "backoff_rate": {
                "type": "number",
                "minimum": 1,
                "maximum": 10,
                "title": "Growth of the pause",
                "description": "Each pause is this many times the one before it, up to an hour.",
                "default": 2,
            },
            "result": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Result",
                "description": "A JSONata expression over the body: the output. Without one it is the first output "
                "of the body's last node, or an object of its last nodes.",
            },
        },
        "additionalProperties": False,
    }
    errors = ("ExpressionError",)
    example = {"config": {"max_retries": 5, "interval_seconds": 2}, "inputs": {"input": {"id": 1}}}
