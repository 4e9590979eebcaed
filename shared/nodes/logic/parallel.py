"""An explicit fork."""

from __future__ import annotations

from shared.nodes.base import Call, Outputs, Port, Pure


class Parallel(Pure):
    """Hands its input to everything that is connected to it."""

    category = "logic"
    display_name = "Parallel"
    description = "Hands its input to every branch at once."
    inputs = {"inputs": Port("any", description="What every branch gets.")}
    outputs = {"outputs": Port("any", description="The input, unchanged.")}
    example = {"config": {}, "inputs": {"inputs": {"id": 7}}, "outputs": {"outputs": {"id": 7}}}

    def evaluate(self, call: Call) -> Outputs:
        """The input, unchanged."""
        return {"outputs": call.inputs.get("inputs")}
