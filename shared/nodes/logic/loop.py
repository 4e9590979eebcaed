"""The same for every item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import Container, Port


class Loop(Container):
    """Runs its body once for every item of a list."""

    repeats = "each"
    category = "logic"
    display_name = "Loop"
    description = "Runs the nodes inside it once for every item of a list, and collects their results."
    inputs = {"items": Port("array", required=True, description="The list.")}
    outputs = {
        "results": Port("array", description="One result per item, in the order of the items."),
        "count": Port("number", description="How many items there were."),
    }
    inner = {
        "item": Port("any", description="The item."),
        "index": Port("number", description="Its place in the list, from 0."),
    }
    body_names = frozenset({"item", "index"})
    config_schema = {
        "type": "object",
        "properties": {
            "max_concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1_000,
                "title": "At once",
                "description": "How many items are worked on at the same time; 1 is one after the other.",
                "default": 1,
            },
            "on_item_error": {
                "enum": ["fail", "skip", "null"],
                "title": "When an item fails",
                "description": "`fail`: the loop fails. `skip`: the results leave it out. `null`: its result is null.",
                "default": "fail",
            },
            "tolerated_failures": {
                "type": "integer",
                "minimum": 0,
                "title": "Failures put up with",
                "description": "With `skip` or `null`: the loop fails when more items than this have failed. "
                "Without it, any number may.",
            },
            "mode": {
                "enum": ["inline", "distributed"],
                "title": "Mode",
                "description": "`inline`: up to 10,000 items, in the run itself. `distributed`: up to 1,000,000, in "
                "executions of their own (10,000 where the body waits for something).",
                "default": "inline",
            },
            "result": {
                "type": "string",
                "minLength": 1,
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Result",
                "description": "A JSONata expression over the body: the result of an item. Without one it is the "
                "first output of the body's last node, or an object of its last nodes.",
            },
        },
        "additionalProperties": False,
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Failures are put up with by count only where they do not fail the loop."""
        if "tolerated_failures" in config and config.get("on_item_error", "fail") == "fail":
            message = "tolerated_failures counts only with on_item_error skip or null"
            yield Problem("invalid_config", message, "config.tolerated_failures")

    errors = ("InvalidInput", "TooManyItems", "TooManyFailures", "ExpressionError")
    example = {"config": {"max_concurrency": 5}, "inputs": {"items": [{"id": 1}, {"id": 2}]}}
