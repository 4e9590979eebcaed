"""Asks a model on Amazon Bedrock."""

from __future__ import annotations

from shared.nodes._credentials import credential_field
from shared.nodes.ai._chat_type import EXAMPLE, ModelChat
from shared.nodes.ai._fields import MODEL, TEMPERATURE, chat_schema
from shared.nodes.base import Call, Outputs


class BedrockChat(ModelChat):
    """One turn over Bedrock's Converse API."""

    display_name = "Bedrock chat"
    description = "Asks a model on Amazon Bedrock; the answer can be made to fit a schema."
    config_schema = chat_schema(
        model={**MODEL, "description": "A model's id, or the id or ARN of an inference profile."},
        temperature={**TEMPERATURE, "maximum": 1},
        credential=credential_field(
            "aws", description="The account; without one, the platform's own where its operator has turned that on."
        ),
    )
    example = {
        "config": {"model": "amazon.nova-lite-v1:0", "credential": "aws", **EXAMPLE},
        "inputs": {"messages": "My order never came and I want my money back."},
    }

    async def execute(self, call: Call) -> Outputs:
        """The answer, on all ports. Raises NodeError with one of `errors`."""
        from shared.nodes.ai._chat import turn  # the SDKs load with it

        return await turn(call, "bedrock")
