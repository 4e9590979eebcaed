"""Tells people something: by mail, in a chat, by text message, by a webhook, or in the application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes._credentials import CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, Outputs, Port

_CHANNELS: Final = ("in_app", "email", "slack", "teams", "discord", "telegram", "sms", "webhook")


class Notification(Effect):
    """How each channel is reached: docs/notifications.md."""

    category = "output"
    display_name = "Notification"
    description = (
        "Sends a message by e-mail, Slack, Teams, Discord, Telegram, SMS or a webhook, or to users in the application."
    )
    inputs = {
        "message": Port("string", required=True, description="What is to be said: at most 20,000 characters."),
        "title": Port("string", description="The subject, in one line."),
    }
    outputs = {"sent": Port("boolean", description="True: it was taken by the other side.")}
    config_schema = {
        "type": "object",
        "properties": {
            "channel": {
                "enum": list(_CHANNELS),
                "title": "Channel",
                "description": "How it is sent. All but `in_app` take a credential: `email` one of the kind smtp, the "
                "others one of the kind notification.",
                "default": "in_app",
            },
            "credential": credential_field("smtp", "notification"),
            "to": {
                "type": "string",
                "maxLength": 4000,
                "x-template": True,
                "title": "To",
                "description": "Whom, separated by commas. `email`: addresses. `in_app`: ids, e-mail addresses or user "
                "types of users; everybody if there is none. The other channels have it in their credential.",
                "default": "",
            },
            "format": {
                "enum": ["text", "markdown", "html"],
                "title": "Format",
                "description": "What the message is written in.",
                "default": "text",
            },
        },
        "additionalProperties": False,
    }
    errors = (
        "InvalidInput",
        "Rejected",
        "RateLimited",
        "ServerError",
        "ConnectionFailed",
        "DnsError",
        "BlockedAddress",
        "AuthenticationFailed",
        "Timeout",
        "MissingCredential",
        *CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"channel": "in_app", "to": "support"},
        "inputs": {"title": "Order A-17", "message": "The order was refused."},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """A credential where one is needed, and somebody to write to."""
        channel = config.get("channel", "in_app")
        if channel != "in_app" and not config.get("credential"):
            yield Problem("invalid_config", f"the channel {channel} takes a credential", "config.credential")
        if channel == "email" and not config.get("to"):
            yield Problem("invalid_config", "an e-mail takes addresses in to", "config.to")

    async def execute(self, call: Call) -> Outputs:
        """`{sent}`. Raises NodeError with one of `errors`."""
        from shared.nodes.outputs._notification import send

        await send(call)
        return {"sent": True}
