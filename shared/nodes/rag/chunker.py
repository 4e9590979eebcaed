"""Cuts documents into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.errors import Problem
from shared.nodes.base import Call, Effect, Outputs, Port

STRATEGIES = ("recursive", "sentence", "token", "markdown", "fixed")


class Chunker(Effect):
    """Cuts documents into chunks that are small enough for a model, each with where it stood."""

    category = "rag"
    runner = "documents"
    display_name = "Chunker"
    description = "Cuts documents into chunks of a size, at natural boundaries; metadata is kept, and where each stood."
    inputs = {
        "documents": Port("array", required=True, description="Texts, or documents {content, metadata}."),
    }
    outputs = {
        "chunks": Port(
            "array",
            description="`{content, metadata}`; metadata is the document's with `chunk` (its number in the document), "
            "`start` and `end` (characters of the document's content).",
        ),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "strategy": {
                "enum": list(STRATEGIES),
                "title": "Strategy",
                "description": "`recursive`: at paragraphs, or else sentences, or else words. `markdown`: the same, "
                "and at headings, lists and blocks of code first. `sentence`: whole sentences. `token`: as "
                "`recursive`, with sizes in tokens. `fixed`: after so many characters, wherever that is.",
                "default": "recursive",
            },
            "size": {
                "type": "integer",
                "minimum": 1,
                "maximum": 30_000,
                "title": "Size",
                "description": "A chunk has at most so many characters (`token`: tokens). A passage of a collection "
                "has at most 30,000 bytes.",
                "default": 1000,
            },
            "overlap": {
                "type": "integer",
                "minimum": 0,
                "maximum": 15_000,
                "title": "Overlap",
                "description": "So much of a chunk's end is the next one's beginning, at most; less than the size.",
                "default": 100,
            },
            "tokens_of": {
                "type": "string",
                "maxLength": 100,
                "title": "Tokens of",
                "description": "`token`: the OpenAI model whose tokens are counted, such as gpt-4o or gpt-4.",
                "default": "gpt-4o",
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "TooLarge", "Timeout")
    example = {
        "config": {"strategy": "markdown", "size": 800, "overlap": 0},
        "inputs": {"documents": [{"content": "# Leave\n\nAsk in writing.", "metadata": {"source": "handbook.md"}}]},
    }
    timeout_seconds = 120

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """An overlap leaves something of a chunk."""
        if config.get("overlap", 100) >= config.get("size", 1000):
            yield Problem("bad_overlap", "the overlap is less than the size", "config.overlap")

    async def execute(self, call: Call) -> Outputs:
        """`{chunks}`. Raises NodeError with one of `errors`."""
        import asyncio

        from shared.nodes.rag._chunker import chunks

        return {"chunks": await asyncio.to_thread(chunks, call)}
