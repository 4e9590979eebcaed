"""Orders passages by how well they answer a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.ai._fields import MODEL_ERRORS
from shared.nodes.base import Call, Effect, Outputs, Port


class Reranker(Effect):
    """Puts the best passages first: by words, by a rerank endpoint, or by a language model that grades them.

    Scores. `bm25`: 0 and more. `endpoint`: what it says, mostly 0 to 1. `model`: its grade from 0 to 10, divided by 10.
    """

    category = "rag"
    runner = "documents"
    display_name = "Reranker"
    description = "Orders passages by how well they answer a question, and keeps the best."
    inputs = {
        "query": Port("string", required=True, description="The question."),
        "documents": Port("array", required=True, description="Texts, or documents {content, metadata}: at most 1,000"),
    }
    outputs = {
        "documents": Port("array", description="The documents as they came, best first, each with its new `score`."),
        "scores": Port("array", description="The scores of the documents, in the same order."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "method": {
                "enum": ["bm25", "endpoint", "model"],
                "title": "By",
                "description": "`bm25`: shared words. `endpoint`: a rerank service (Cohere, Jina, Text Embeddings "
                "Inference and others). `model`: a language model grades the passages.",
                "default": "bm25",
            },
            "top_k": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "title": "Keep",
                "description": "So many of the best are handed on. Not given: all.",
            },
            "threshold": {
                "type": "number",
                "title": "Least score",
                "description": "Documents with a lower score are left out.",
            },
            "url": {
                "type": "string",
                "maxLength": 2000,
                "x-template": True,
                "title": "Address",
                "description": "Of the endpoint, up to and with `/rerank`.",
            },
            "shape": {
                "enum": ["cohere", "tei"],
                "title": "Requests as",
                "description": "`cohere`: {query, documents, model}, as Cohere, Jina, Voyage and vLLM take it. `tei`: "
                "{query, texts}, as Text Embeddings Inference does.",
                "default": "cohere",
            },
            "model": {
                "type": "string",
                "maxLength": 200,
                "x-template": True,
                "title": "Model",
                "description": "The model's name at the endpoint.",
            },
            "credential": credential_field("bearer", "api_key", "openai", description="The key of the endpoint."),
        },
        "additionalProperties": False,
    }
    errors = (*MODEL_ERRORS, *HTTP_CREDENTIAL_ERRORS, "HttpError")
    example = {
        "config": {"method": "bm25", "top_k": 3},
        "inputs": {"query": "leave", "documents": [{"content": "Leave is asked for in writing.", "metadata": {}}]},
    }
    timeout_seconds = 120

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """What the method lacks."""
        method = config.get("method", "bm25")
        if method == "endpoint" and not config.get("url"):
            yield Problem("missing", "a rerank endpoint has an address", "config.url")
        if method == "model" and not config.get("model"):
            yield Problem("missing", "name the model that grades", "config.model")

    async def execute(self, call: Call) -> Outputs:
        """`{documents, scores}`. Raises NodeError with one of `errors`."""
        from shared.nodes.rag._reranker import rerank

        return await rerank(call)
