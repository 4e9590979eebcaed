"""Speaks to a WebSocket server."""

from __future__ import annotations

import asyncio

from shared.credentials.signing import HTTP_KINDS
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class Websocket(Effect):
    """One connection: a message out, messages in, until there are enough."""

    category = "external"
    display_name = "WebSocket"
    description = "Connects to a WebSocket server, sends a message and collects what comes, until enough has come."
    inputs = {
        "url": Port("string", required=True, description="ws or wss; no user name or password in it."),
        "message": Port(
            "any", description="Text is sent as it is, anything else as JSON; without one, nothing is sent."
        ),
    }
    outputs = {
        "response": Port("any", description="The last message collected; null when there is none."),
        "messages": Port("array", description="All messages collected: parsed JSON, text, or {base64, size}."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "count": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10_000,
                "title": "Messages",
                "description": "How many messages are enough; with 0 the node only sends.",
                "default": 1,
            },
            "until": {
                "type": "string",
                "maxLength": 10_000,
                "x-expression": True,
                "title": "Until",
                "description": "The message for which this is true is the last one; those before it are kept.",
            },
            "seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 840,
                "title": "Time (seconds)",
                "description": "How long to collect. Then it is enough, unless there is `until` or none came.",
                "default": 10,
            },
            "subprotocols": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$"},
                "maxItems": 10,
                "title": "Subprotocols",
                "description": "Those to offer, the preferred first.",
            },
            "credential": credential_field(*HTTP_KINDS, description="What the request to connect is signed with."),
        },
        "additionalProperties": False,
    }
    errors = (
        "Timeout",
        "Rejected",
        "Closed",
        "NoMatch",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "ResponseTooLarge",
        "ExpressionError",
        "AuthenticationFailed",
        "InvalidInput",
        *HTTP_CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"until": "message.type = 'complete'", "count": 100},
        "inputs": {"url": "wss://stream.example/prices", "message": {"subscribe": "EUR"}},
    }

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """`message`, in `until`."""
        return frozenset({"message"})

    async def execute(self, call: Call) -> Outputs:
        """`{response, messages}`. Raises NodeError with one of `errors`."""
        from shared.nodes.external._socket import converse

        try:
            async with asyncio.timeout(call.timeout_seconds):
                messages = await converse(call)
        except TimeoutError:
            raise NodeError("Timeout", f"not done within {call.timeout_seconds:g} seconds") from None
        return {"response": messages[-1] if messages else None, "messages": messages}
