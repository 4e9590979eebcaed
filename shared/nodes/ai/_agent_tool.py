"""A part of `agent`: one call of a tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class Tool(Effect):
    """Calls a tool. What goes wrong is a result as well: the model is told."""

    category = "ai"
    display_name = "Agent: tool"
    description = "Calls a tool."
    inputs = {"call": Port("object", required=True), "answer": Port("object")}
    outputs = {"result": Port("object")}
    config_schema = {
        "type": "object",
        "properties": {"on_tool_error": {"enum": ["tell", "fail"], "default": "tell"}},
        "additionalProperties": False,
    }
    timeout_seconds = 120

    async def execute(self, call: Call) -> Outputs:
        """`{id, result}` or `{id, error: {error, message}}`. Raises NodeError where the agent is to fail."""
        wanted, answer = call.inputs["call"], call.inputs.get("answer")
        call.usage["tool"] = wanted["spec"]["name"]
        if answer is not None and answer.get("decision") != "approved":
            return {"result": _failed(wanted, "Rejected", _said(answer))}
        try:
            return {"result": {"id": wanted["id"], "result": await _called(call, wanted)}}
        except NodeError as error:
            if call.config.get("on_tool_error") == "fail":
                message = f"{wanted['spec']['name']}: {error.error}: {error.message}"
                raise NodeError("ToolFailed", message, retryable=error.retryable, unsure=error.unsure) from None
            return {"result": _failed(wanted, error.error, error.message)}


async def _called(call: Call, wanted: Mapping[str, Any]) -> Any:
    from shared.tools.toolbox import Toolbox, ToolSpec

    spec, seconds = ToolSpec.from_dict(wanted["spec"]), max(1.0, call.timeout_seconds - 1)  # before the engine's own
    toolbox = Toolbox(call)
    return await toolbox.call(spec, wanted["arguments"], idempotency_key=call.idempotency_key, timeout=seconds)


def _failed(wanted: Mapping[str, Any], error: str, message: str) -> dict[str, Any]:
    return {"id": wanted["id"], "error": {"error": error, "message": message}}


def _said(answer: Mapping[str, Any]) -> str:
    comment = answer.get("comment")
    return "a person did not allow this call" + (f", and said: {str(comment)[:2_000]}" if comment else "")
