"""Calls an operation of a service that is described by OpenAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from shared.credentials.signing import HTTP_KINDS
from shared.errors import Problem
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port

_SPECS = ("spec_url", "spec_file", "spec")


def _place(title: str, description: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": 2_000, "x-template": True, "title": title, "description": description}


class OpenapiCall(Effect):
    """One operation, its request and its answer held against the description."""

    category = "external"
    display_name = "OpenAPI operation"
    description = "Calls one operation of a service described by OpenAPI 3; checks what is sent and what comes back."
    inputs = {
        "params": Port("object", description="Path, query, header and cookie parameters, by name."),
        "body": Port("any", description="The request's body, as the operation describes it."),
    }
    outputs = {
        "response": Port("any", description="The answer: parsed JSON, text, or {base64, content_type, size}."),
        "status": Port("number", description="The status code."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "spec_url": _place("Description's address", "Where the description is read, as JSON or YAML."),
            "spec_file": _place("Description's file", "Its path among the tenant's files, as JSON or YAML."),
            "spec": {
                "type": "object",
                "title": "Description",
                "description": "The description itself.",
            },
            "operation_id": {
                "type": "string",
                "minLength": 1,
                "maxLength": 500,
                "title": "Operation",
                "description": "The operation's operationId.",
            },
            "server_url": _place("Server", "Where to call, in place of the first server that the description names."),
            "credential": credential_field(*HTTP_KINDS, description="What requests are signed with."),
            "validate_response": {
                "type": "boolean",
                "title": "Check the answer",
                "description": "Whether an answer that does not fit the description fails the node.",
                "default": True,
            },
            "fail_on_status": {
                "type": "boolean",
                "title": "Fail on an error status",
                "description": "Whether 400 and above fails the node with HttpError; otherwise it is an answer.",
                "default": True,
            },
        },
        "required": ["operation_id"],
        "additionalProperties": False,
    }
    errors = (
        "InvalidSpec",
        "InvalidRequest",
        "InvalidResponse",
        "HttpError",
        "Timeout",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "TooManyRedirects",
        "ResponseTooLarge",
        "InvalidInput",
        *HTTP_CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"spec_url": "https://shop.example/openapi.json", "operation_id": "getOrder"},
        "inputs": {"params": {"order_id": "A-17", "expand": ["items"]}},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """There is one description."""
        if sum(name in config for name in _SPECS) != 1:
            message = "name one of spec_url, spec_file and spec"
            yield Problem("invalid_config", message, "config.spec_url")

    async def execute(self, call: Call) -> Outputs:
        """`{response, status}`. Raises NodeError with one of `errors`."""
        from shared.nodes.external._openapi import call_operation

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await call_operation(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no complete answer within {call.timeout_seconds:g} seconds") from None
