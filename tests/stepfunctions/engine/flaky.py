"""A node type for tests: asks a service that refuses the first times it is asked. Not in the product's registry."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import ClassVar

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port

ASKED: Counter[str] = Counter()  # times the service was asked, by what for


class Flaky(Effect):
    """Hands its input on, once the service has refused `fails` times."""

    category = "external"
    display_name = "Flaky"
    description = "Fails a few times."
    inputs: ClassVar = {"input": Port("any")}
    outputs: ClassVar = {"output": Port("any")}
    config_schema: ClassVar = {
        "type": "object",
        "properties": {
            "fails": {"type": "integer", "title": "Fails", "description": "How often it refuses."},
            "across": {"type": "boolean", "title": "Across", "description": "Counted for the node, not for a pass."},
            "hangs": {"type": "boolean", "title": "Hangs", "description": "It never answers."},
        },
        "additionalProperties": False,
    }
    errors = ("Refused",)

    async def execute(self, call: Call) -> Outputs:
        """The input. Raises NodeError Refused."""
        if call.config.get("hangs"):
            await asyncio.sleep(1_000)
        await asyncio.sleep(0.001)
        key = f"{call.execution_id} {call.node_id}" if call.config.get("across") else call.idempotency_key
        ASKED[key] += 1
        if ASKED[key] <= call.config["fails"]:
            raise NodeError("Refused", f"asked {ASKED[key]} times")
        return {"output": call.inputs.get("input")}
