"""A part of `agent`: one step, which is one call of the model."""

from __future__ import annotations

import asyncio

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class Model(Effect):
    """Asks the model what to do next."""

    category = "ai"
    display_name = "Agent: model"
    description = "Asks the model what to do next."
    inputs = {"state": Port("object", required=True)}
    outputs = {
        "state": Port("object"),
        "calls": Port("array"),  # tools that are called at once
        "asking": Port("array"),  # tools that a person has to allow
        "turn": Port("object"),  # what the thread is to keep
    }
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """The state, and one of the others at most. Raises NodeError."""
        from shared.nodes.ai._agent_step import step

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await step(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
