"""Makes vectors of texts."""

from __future__ import annotations

import asyncio
from typing import Any

from shared.nodes._credentials import credential_field
from shared.nodes.ai._fields import CHAT_ERRORS, MAX_RETRIES, MODEL
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port


class Embedding(Effect):
    """One vector for one text, or a list of vectors for a list of texts."""

    category = "ai"
    display_name = "Embedding"
    description = "Makes vectors of texts, by an OpenAI-compatible endpoint or by Amazon Bedrock."
    inputs = {"text": Port("any", required=True, description="A text, or a list of at most 10,000 texts.")}
    outputs = {
        "embedding": Port("array", description="The text's vector, or the list of the texts' vectors in their order."),
        "usage": Port("object", description="Tokens: prompt_tokens, completion_tokens (0), total_tokens, model."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "provider": {
                "enum": ["openai", "bedrock"],
                "title": "Provider",
                "description": "An OpenAI-compatible endpoint, or Amazon Bedrock (Titan and Cohere models).",
                "default": "openai",
            },
            "model": {**MODEL, "default": "text-embedding-3-small"},
            "dimensions": {
                "type": "integer",
                "minimum": 1,
                "maximum": 16_384,
                "title": "Dimensions",
                "description": "How long the vectors are, where the model can be asked. Not given: its own length.",
            },
            "purpose": {
                "enum": ["document", "query"],
                "title": "Purpose",
                "description": "What is kept, or what is looked for: Cohere's models tell them apart.",
                "default": "document",
            },
            "max_retries": MAX_RETRIES,
            "credential": credential_field(
                "openai", "aws", description="The endpoint and its key; without one, the platform's own."
            ),
        },
        "additionalProperties": False,
    }
    errors = CHAT_ERRORS
    example = {
        "config": {"model": "text-embedding-3-small", "dimensions": 256},
        "inputs": {"text": ["How do I return an order?", "Where is my parcel?"]},
    }
    timeout_seconds = 300

    async def execute(self, call: Call) -> Outputs:
        """`{embedding, usage}`. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._embeddings import embed

        given = call.inputs.get("text")
        texts: list[Any] = given if isinstance(given, list) else [given]
        config = call.config
        try:
            async with asyncio.timeout(call.timeout_seconds):
                vectors = await embed(
                    call,
                    texts,
                    provider=str(config["provider"]),
                    model=str(config["model"]),
                    credential=config.get("credential"),
                    dimensions=config.get("dimensions"),
                    purpose=config["purpose"],
                )
        except TimeoutError:
            raise NodeError("Timeout", f"no vectors within {call.timeout_seconds:g} seconds") from None
        return {"embedding": vectors if isinstance(given, list) else vectors[0], "usage": dict(call.usage)}
