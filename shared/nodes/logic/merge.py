"""Where branches meet again."""

from __future__ import annotations

from typing import Any

from shared.nodes.base import Call, NodeError, Outputs, Port, Pure


class Merge(Pure):
    """Waits for every branch that is alive and puts their values together."""

    category = "logic"
    display_name = "Merge"
    description = "Waits for all branches that lead here and puts together what arrived."
    inputs = {"inputs": Port("any", multiple=True, description="One value from each branch that was taken.")}
    outputs = {"output": Port("any", description="The values, put together.")}
    config_schema = {
        "type": "object",
        "properties": {
            "mode": {
                "enum": ["array", "object", "first"],
                "title": "Mode",
                "description": "`array`: all values, in the order of the connections. `object`: the values' fields in "
                "one object, later ones winning and nulls left out. `first`: the first value only.",
                "default": "array",
            }
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"mode": "object"},
        "inputs": {"inputs": [{"name": "Ada"}, {"score": 3}]},
        "outputs": {"output": {"name": "Ada", "score": 3}},
    }

    def evaluate(self, call: Call) -> Outputs:
        """The merged value. Raises NodeError InvalidInput where mode `object` meets something else."""
        given = call.inputs.get("inputs", [])
        values = given if isinstance(given, list) else [given]
        mode = call.config.get("mode", "array")
        if mode == "array":
            return {"output": values}
        if mode == "first":
            return {"output": values[0] if values else None}
        merged: dict[str, Any] = {}
        for position, value in enumerate(values, 1):
            if value is None:  # what a branch delivers that failed and goes on (`on_error: continue`)
                continue
            if not isinstance(value, dict):
                raise NodeError("InvalidInput", f"value {position} to merge is no object", retryable=False)
            merged.update(value)
        return {"output": merged}
