"""Starts a run by hand or by the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import NodeError, Outputs, Port, Trigger
from shared.nodes.json_schemas import faults, schema_problems


class ManualTrigger(Trigger):
    """Hands on what the caller sent, after checking it."""

    display_name = "Manual trigger"
    description = "Starts the workflow when somebody runs it, in the builder or over the API."
    outputs = {"trigger": Port("any", description="The data the run was started with.")}
    config_schema = {
        "type": "object",
        "properties": {
            "input_schema": {
                "type": ["object", "null"],
                "title": "Input schema",
                "description": "JSON Schema of the data a run is started with; it is checked, and drawn as the form.",
                "default": None,
            }
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {
        "config": {"input_schema": {"type": "object", "properties": {"ticket": {"type": "string"}}}},
        "inputs": {},
        "data": {"ticket": "T-1"},
        "outputs": {"trigger": {"ticket": "T-1"}},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """The input schema must be one."""
        if config.get("input_schema") is not None:
            yield from schema_problems(config["input_schema"], "config.input_schema")

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """`{trigger}`. Raises NodeError InvalidInput, saying what does not fit the schema."""
        schema = config.get("input_schema")
        if schema is not None and (found := faults(data, schema)):
            raise NodeError("InvalidInput", "the input does not fit: " + "; ".join(found), retryable=False)
        return {"trigger": data}
