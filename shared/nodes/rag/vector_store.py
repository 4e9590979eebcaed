"""Writes to a collection, and asks it."""

from __future__ import annotations

from shared.nodes.base import Call, Effect, Outputs, Port
from shared.nodes.rag._fields import COLLECTION_ERRORS, COLLECTION_FIELD, FILTER_FIELD, K_FIELD

OPERATIONS = ("upsert", "query", "delete", "count")


class VectorStore(Effect):
    """Passages with vectors in a named collection. Ids are made of the content, so that writing twice is once."""

    category = "rag"
    runner = "documents"
    display_name = "Vector store"
    description = "Writes passages to one of the tenant's collections, finds the nearest ones, removes or counts them."
    inputs = {
        "data": Port(
            "any",
            required=True,
            description="upsert: a text, a document {content, metadata}, {id, content, vector, metadata}, or an array "
            "of those. query: a text, a vector, or {query or vector, k, filter}. delete: ids, documents, or {filter}. "
            "count: {filter}, or anything else for all.",
        ),
        "operation": Port("string", description="upsert, query, delete or count; goes before the one in the config."),
    }
    outputs = {
        "results": Port(
            "array",
            description="query: `{id, content, metadata, score}`, best first. upsert: `{id}` of each passage.",
        ),
        "count": Port("number", description="How many passages were written, found, removed or counted."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "collection": COLLECTION_FIELD,
            "operation": {
                "enum": list(OPERATIONS),
                "title": "Operation",
                "description": "`upsert` writes, over passages of the same id; texts are embedded by the collection's "
                "model.",
                "default": "upsert",
            },
            "k": K_FIELD,
            "filter": FILTER_FIELD,
        },
        "required": ["collection"],
        "additionalProperties": False,
    }
    errors = COLLECTION_ERRORS
    example = {
        "config": {"collection": "handbook"},
        "inputs": {"data": [{"content": "Leave is asked for in writing.", "metadata": {"page": 7}}]},
    }
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """`{results, count}`. Raises NodeError with one of `errors`."""
        from shared.nodes.rag._vector_store import operate

        return await operate(call)
