"""An operation at a database that speaks no SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class NosqlQuery(Effect):
    """One operation, written as that database's own users write it, out of those that are allowed."""

    category = "database"
    display_name = "NoSQL query"
    description = "One operation at MongoDB, Redis, or DynamoDB in an AWS account of the tenant's own."
    inputs = {
        "query": Port(
            "object",
            required=True,
            description="MongoDB: `{operation, collection, filter, …}`; Redis: `{command, args}`; DynamoDB: "
            "`{operation, TableName, Key, …}`.",
        ),
    }
    outputs = {
        "results": Port("array", description="Documents, items, or the reply; for a change one object about it.")
    }
    config_schema = {
        "type": "object",
        "properties": {
            "credential": credential_field("mongodb", "redis", "aws", description="The database and who signs in."),
            "read_only": {
                "type": "boolean",
                "title": "Read only",
                "description": "At MongoDB and DynamoDB: operations that change something are refused. At Redis the "
                "user's own rights decide.",
                "default": True,
            },
            "max_results": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100_000,
                "title": "Most results",
                "description": "More of them fail the node with TooManyRows.",
                "default": 1000,
            },
            "timeout_seconds": {
                "type": "number",
                "minimum": 0.1,
                "maximum": 600,
                "title": "Time for the operation (seconds)",
                "description": "After it MongoDB stops the operation. The node's own time-out holds as well.",
                "default": 30,
            },
        },
        "required": ["credential"],
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "QueryFailed",
        "ReadOnly",
        "ConstraintViolation",
        "PermissionDenied",
        "TooManyRows",
        "ResponseTooLarge",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "AuthenticationFailed",
        "Timeout",
        *CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"credential": "shop_documents"},
        "inputs": {
            "query": {"operation": "find", "collection": "orders", "filter": {"total": {"$gt": 100}}, "limit": 10}
        },
    }

    runner = "documents"  # MongoDB's driver is large

    async def execute(self, call: Call) -> Outputs:
        """`{results}`. Raises NodeError with one of `errors`."""
        found = await credential(call, "mongodb", "redis", "aws")
        if found is None:
            raise NodeError("CredentialNotFound", "name a credential in config.credential", retryable=False)
        query = call.inputs.get("query")
        if not isinstance(query, Mapping):
            raise NodeError("InvalidInput", "query is missing or no object", retryable=False)
        try:
            async with asyncio.timeout(call.timeout_seconds):
                if found.kind == "redis":
                    from shared.nodes.databases import _redis

                    return {"results": await _redis.command(call, found, query)}
                if found.kind == "mongodb":
                    from shared.nodes.databases import _mongodb

                    return {"results": await _mongodb.ask(call, found, query)}
                from shared.nodes.databases import _dynamodb

                return {"results": await _dynamodb.ask(call, found, query)}
        except TimeoutError:
            raise NodeError("Timeout", f"not done within {call.timeout_seconds:g} seconds") from None
