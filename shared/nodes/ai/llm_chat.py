"""Asks a language model."""

from __future__ import annotations

from shared.nodes._credentials import credential_field
from shared.nodes.ai._chat_type import EXAMPLE, ModelChat
from shared.nodes.ai._fields import SEED, chat_schema
from shared.nodes.base import Call, Outputs


class LlmChat(ModelChat):
    """One turn of a conversation with any OpenAI-compatible endpoint."""

    display_name = "LLM chat"
    description = "Asks a language model at an OpenAI-compatible endpoint; the answer can be made to fit a schema."
    config_schema = chat_schema(
        seed=SEED,
        credential=credential_field("openai", description="The endpoint and its key; without one, the platform's own."),
    )
    example = {
        "config": {"model": "gpt-4o-mini", **EXAMPLE},
        "inputs": {"messages": "My order never came and I want my money back."},
    }

    async def execute(self, call: Call) -> Outputs:
        """The answer, on all ports. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._chat import turn  # the SDKs load with it

        return await turn(call, "openai")
