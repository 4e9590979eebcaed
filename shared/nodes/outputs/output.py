"""What the run gives back."""

from __future__ import annotations

from shared.nodes.base import Call, Outputs, Port, Pure


class Output(Pure):
    """The value that arrives here is the run's final output; its input port holds it."""

    category = "output"
    display_name = "Output"
    description = "The run's final output is what arrives here. With several outputs it is an object of them."
    inputs = {"value": Port("any", description="The result.")}
    config_schema = {
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "maxLength": 200,
                "title": "Name",
                "description": "What people call this result.",
                "default": "",
            }
        },
        "additionalProperties": False,
    }
    example = {"config": {"name": "decision"}, "inputs": {"value": {"approved": True}}, "outputs": {}}

    def evaluate(self, call: Call) -> Outputs:
        """Nothing: it has no output ports."""
        del call
        return {}
