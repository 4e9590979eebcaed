"""The nearest points of a Qdrant collection."""

from __future__ import annotations

import asyncio

from shared.nodes._credentials import CREDENTIAL_ERRORS, credential, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class QdrantSearch(Effect):
    """A search in any collection of a Qdrant of the tenant's own, with Qdrant's own filters."""

    category = "database"
    display_name = "Qdrant search"
    description = "Finds the points of a Qdrant collection that are nearest to a vector."
    inputs = {
        "query": Port("array", required=True, description="The vector: numbers, as many as the collection's have."),
        "filter": Port("object", description="A filter in Qdrant's language: `{must, should, must_not}`."),
    }
    outputs = {
        "points": Port("array", description="The points, best first: `{id, score, payload}`, `vector` if asked.")
    }
    config_schema = {
        "type": "object",
        "properties": {
            "credential": credential_field("qdrant", description="The server and its key."),
            "collection": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[^/?#\\\\%]+$",
                "title": "Collection",
                "description": "The collection's name at the server.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "title": "How many",
                "description": "How many points are given at most.",
                "default": 10,
            },
            "offset": {
                "type": "integer",
                "minimum": 0,
                "maximum": 10_000,
                "title": "Leave out",
                "description": "How many of the best are left out.",
                "default": 0,
            },
            "score_threshold": {
                "type": "number",
                "title": "Least score",
                "description": "Points that are worse are left out. What better means is the collection's metric.",
            },
            "using": {
                "type": "string",
                "maxLength": 200,
                "title": "Named vector",
                "description": "Which of the points' vectors is searched, where they have several.",
                "default": "",
            },
            "with_payload": {
                "type": "boolean",
                "title": "With payload",
                "description": "Whether points come with what is kept beside their vectors.",
                "default": True,
            },
            "with_vectors": {
                "type": "boolean",
                "title": "With vectors",
                "description": "Whether points come with their vectors.",
                "default": False,
            },
        },
        "required": ["credential", "collection"],
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "NotFound",
        "QueryFailed",
        "InvalidResponse",
        "ResponseTooLarge",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "AuthenticationFailed",
        "Timeout",
        *CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"credential": "vectors", "collection": "products", "limit": 3},
        "inputs": {
            "query": [0.1, 0.7, 0.2],
            "filter": {"must": [{"key": "in_stock", "match": {"value": True}}]},
        },
    }
    runner = "documents"

    async def execute(self, call: Call) -> Outputs:
        """`{points}`. Raises NodeError with one of `errors`."""
        found = await credential(call, "qdrant")
        if found is None:
            raise NodeError("CredentialNotFound", "name a credential in config.credential", retryable=False)
        from shared.nodes.databases import _qdrant  # qdrant-client and numpy load with it

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return {"points": await _qdrant.search(call, found)}
        except TimeoutError:
            raise NodeError("Timeout", f"no answer within {call.timeout_seconds:g} seconds") from None
