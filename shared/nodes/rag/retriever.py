"""Finds the passages that answer a question."""

from __future__ import annotations

from typing import Any

from shared.nodes.base import Call, Effect, NodeError, Outputs, Port
from shared.nodes.rag._fields import COLLECTION_ERRORS, COLLECTION_FIELD, FILTER_FIELD, K_FIELD


class Retriever(Effect):
    """The passages of a collection nearest to a question; in `hybrid` mode also those that share its words.

    Scores. `vector`: as the collection's metric has it, higher is nearer (cosine: -1 to 1). `hybrid`: the two rankings
    are fused by their ranks, 1 / (60 + rank) summed up (reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009),
    and divided by the most there can be, so 1 is first in both and 0.5 first in one and missing in the other.
    """

    category = "rag"
    runner = "documents"
    display_name = "Retriever"
    description = "Finds the passages of a collection that are nearest to a question, by meaning and also by words."
    inputs = {
        "query": Port("string", required=True, description="The question."),
        "k": Port("number", description="How many passages; goes before the one in the config."),
        "filter": Port("object", description="Only passages whose metadata fit, besides the filter in the config."),
    }
    outputs = {
        "documents": Port("array", description="`{id, content, metadata, score}`, best first."),
        "scores": Port("array", description="The scores of the documents, in the same order."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "collection": COLLECTION_FIELD,
            "k": K_FIELD,
            "mode": {
                "enum": ["vector", "hybrid"],
                "title": "Search",
                "description": "`vector`: by meaning. `hybrid`: also by words (BM25), for names, numbers and terms; "
                "the two rankings are fused. Where the back end has no search for words, they rank the nearest "
                "passages.",
                "default": "vector",
            },
            "threshold": {
                "type": "number",
                "title": "Least score",
                "description": "Passages with a lower score are left out. Scores depend on the metric and the mode.",
            },
            "filter": FILTER_FIELD,
        },
        "required": ["collection"],
        "additionalProperties": False,
    }
    errors = COLLECTION_ERRORS
    example = {"config": {"collection": "handbook", "mode": "hybrid"}, "inputs": {"query": "How do I ask for leave?"}}
    timeout_seconds = 120

    async def execute(self, call: Call) -> Outputs:
        """`{documents, scores}`. Raises NodeError with one of `errors`."""
        from shared.nodes.rag._retriever import retrieve

        query: Any = call.inputs["query"]
        if not isinstance(query, str) or not query.strip():
            raise NodeError("InvalidInput", "query is a text that is not empty", retryable=False)
        return await retrieve(call, query)
