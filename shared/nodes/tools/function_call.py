"""Calls a tool of the tenant's by name."""

from __future__ import annotations

from typing import Any

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port
from shared.tools.errors import TOOL_ERRORS


class FunctionCall(Effect):
    """One call of one tool."""

    category = "tools"
    keeps = True  # of a workflow that is called, the run holds what it was given
    display_name = "Function call"
    description = "Calls a tool by name: a built-in one, a request, an MCP server's, or a short workflow."
    inputs = {
        "name": Port("string", required=True, description="The tool's name, such as `lookup_order`."),
        "args": Port("object", description="Its arguments, held against its schema first."),
    }
    outputs = {"result": Port("any", description="What the tool gave.")}
    config_schema = {"type": "object", "properties": {}, "additionalProperties": False}
    errors = TOOL_ERRORS
    example = {"config": {}, "inputs": {"name": "calculate", "args": {"expression": "17.5 * 4"}}}
    timeout_seconds = 120

    async def execute(self, call: Call) -> Outputs:
        """`result`. Raises NodeError with one of `errors`."""
        name: Any = call.inputs.get("name")
        if not isinstance(name, str) or not name.strip():
            raise NodeError("InvalidInput", "name is missing or no text", retryable=False)
        from shared.tools.toolbox import Toolbox  # what tools need loads with it

        toolbox = Toolbox(call)
        spec = await toolbox.find(name.strip())
        args = call.inputs.get("args")
        result = await toolbox.call(
            spec,
            {} if args is None else args,
            idempotency_key=call.idempotency_key,
            timeout=call.timeout_seconds,
        )
        return {"result": result}
