"""Asks one of Anthropic's models."""

from __future__ import annotations

from shared.nodes._credentials import credential_field
from shared.nodes.ai._chat_type import EXAMPLE, ModelChat
from shared.nodes.ai._fields import MAX_TOKENS, TEMPERATURE, chat_schema
from shared.nodes.base import Call, Outputs


class AnthropicChat(ModelChat):
    """One turn over Anthropic's Messages API."""

    display_name = "Anthropic chat"
    description = "Asks one of Anthropic's models; the answer can be made to fit a schema."
    config_schema = chat_schema(
        ("credential",),
        temperature={**TEMPERATURE, "maximum": 1, "description": "How freely it chooses; newer models refuse it."},
        max_tokens={**MAX_TOKENS, "description": "Where the answer is cut off.", "default": 4096},
        effort={
            "enum": ["low", "medium", "high", "xhigh", "max"],
            "title": "Effort",
            "description": "How much a model that knows this takes upon itself before it answers.",
        },
        credential=credential_field("anthropic", description="The key."),
    )
    example = {
        "config": {"model": "claude-haiku-4-5", "credential": "anthropic", **EXAMPLE},
        "inputs": {"messages": "My order never came and I want my money back."},
    }

    async def execute(self, call: Call) -> Outputs:
        """The answer, on all ports. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._chat import turn  # the SDKs load with it

        return await turn(call, "anthropic")
