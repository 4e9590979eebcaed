"""Asks one of OpenAI's models."""

from __future__ import annotations

from shared.nodes._credentials import credential_field
from shared.nodes.ai._chat_type import EXAMPLE, ModelChat
from shared.nodes.ai._fields import SEED, chat_schema
from shared.nodes.base import Call, Outputs


class OpenAiChat(ModelChat):
    """One turn over OpenAI's Chat Completions, which keeps nothing at OpenAI and speaks our messages as they are."""

    display_name = "OpenAI chat"
    description = "Asks one of OpenAI's models, with the settings that are OpenAI's own."
    config_schema = chat_schema(
        seed=SEED,
        reasoning_effort={
            "enum": ["none", "minimal", "low", "medium", "high", "xhigh"],
            "title": "Reasoning effort",
            "description": "How long a reasoning model thinks; which of these it knows depends on the model.",
        },
        credential=credential_field("openai", description="The key; without one, the platform's own endpoint."),
    )
    example = {
        "config": {"model": "gpt-4o-mini", "credential": "openai", **EXAMPLE},
        "inputs": {"messages": "My order never came and I want my money back."},
    }

    async def execute(self, call: Call) -> Outputs:
        """The answer, on all ports. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._chat import turn  # the SDKs load with it

        return await turn(call, "openai")
