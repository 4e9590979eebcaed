"""A part of `agent`: what a step has come to."""

from __future__ import annotations

from shared.nodes.ai._agent_state import gathered
from shared.nodes.base import Call, Outputs, Port, Pure


class Next(Pure):
    """Puts the results of tools behind the calls of the model, in their order."""

    category = "ai"
    display_name = "Agent: next step"
    description = "What the step has come to."
    inputs = {
        "state": Port("object", required=True),
        "results": Port("array"),
        "approved": Port("array"),
        "kept": Port(),
    }
    outputs = {"state": Port("object")}

    def evaluate(self, call: Call) -> Outputs:
        """The state."""
        results = [*(call.inputs.get("results") or []), *(call.inputs.get("approved") or [])]
        return {"state": gathered(call.inputs["state"], results)}
