"""Asks a GraphQL service."""

from __future__ import annotations

import asyncio

from shared.credentials.signing import HTTP_KINDS
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class GraphqlQuery(Effect):
    """One operation by POST, as the GraphQL-over-HTTP specification has it."""

    category = "external"
    display_name = "GraphQL"
    description = "Sends a query or a mutation to a GraphQL service and gives its data and its errors."
    inputs = {
        "query": Port(
            "string", required=True, description="The GraphQL document. Put values into variables, not into it."
        ),
        "variables": Port("object", description="The values of the operation's variables."),
    }
    outputs = {
        "data": Port("object", description="The data; null where the service gave none."),
        "errors": Port("array", description="The service's errors: {message, path, locations, extensions}."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "url": {
                "type": "string",
                "maxLength": 2_000,
                "x-template": True,
                "title": "Address",
                "description": "The service's endpoint, with http or https.",
            },
            "credential": credential_field(*HTTP_KINDS, description="What requests are signed with."),
            "headers": {
                "type": "object",
                "additionalProperties": {"type": "string", "maxLength": 10_000},
                "title": "Headers",
                "description": "Further headers, without secrets: those are for the credential.",
            },
            "operation_name": {
                "type": "string",
                "pattern": "^[_A-Za-z][_0-9A-Za-z]{0,199}$",
                "title": "Operation",
                "description": "Which operation to run, where the document has several.",
            },
            "fail_on": {
                "enum": ["no_data", "any_error", "never"],
                "title": "Fail on",
                "description": "`no_data`: errors without data fail the node; `any_error`: partial data does as well.",
                "default": "no_data",
            },
        },
        "required": ["url"],
        "additionalProperties": False,
    }
    errors = (
        "GraphqlError",
        "HttpError",
        "Timeout",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "TooManyRedirects",
        "ResponseTooLarge",
        "InvalidResponse",
        "InvalidInput",
        *HTTP_CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"url": "https://shop.example/graphql"},
        "inputs": {"query": "query ($id: ID!) { order(id: $id) { total } }", "variables": {"id": "A-17"}},
    }

    async def execute(self, call: Call) -> Outputs:
        """`{data, errors}`. Raises NodeError with one of `errors`."""
        from shared.nodes.external._graphql import ask

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await ask(call)
        except TimeoutError:
            raise NodeError("Timeout", f"no complete answer within {call.timeout_seconds:g} seconds") from None
