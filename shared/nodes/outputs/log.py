"""A line in the run's log."""

from __future__ import annotations

from typing import Final

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port

_LEVELS: Final = ("debug", "info", "warning", "error")


class Log(Effect):
    """Writes a message that people can read beside the run."""

    category = "output"
    display_name = "Log"
    description = "Writes a line to the run's log; CloudWatch is told of it, without its text."
    inputs = {
        "message": Port(
            "any", required=True, description="Text or any value; 4,000 characters are kept, in the run only."
        ),
        "level": Port(
            "string",
            description="debug, info, warning or error; goes before the one in the config. CloudWatch gets no debug.",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "level": {
                "enum": list(_LEVELS),
                "title": "Level",
                "description": "How much it matters.",
                "default": "info",
            }
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput",)
    example = {"config": {"level": "warning"}, "inputs": {"message": "Stock is low"}}

    async def execute(self, call: Call) -> Outputs:
        """Nothing; the line is written. Raises NodeError InvalidInput for an unknown level."""
        level = call.inputs.get("level") or call.config.get("level", "info")
        if level not in _LEVELS:
            raise NodeError("InvalidInput", f"level must be one of {', '.join(_LEVELS)}", retryable=False)
        call.world.log(level, call.inputs["message"], node_id=call.node_id)
        return {}
