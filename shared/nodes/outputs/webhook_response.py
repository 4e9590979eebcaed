"""Answers the webhook call that started the run, while the run goes on."""

from __future__ import annotations

from shared.nodes._tenant_things import ask
from shared.nodes.base import Call, Effect, Outputs, Port


class WebhookResponse(Effect):
    """The first answer of a run holds. Where nobody waits for it (any more), it is kept and does no harm."""

    category = "output"
    display_name = "Webhook response"
    description = (
        "Answers the waiting call of a webhook whose answer mode is `node`; the run goes on. "
        "The first answer of a run is the one that is sent."
    )
    inputs = {
        "body": Port(
            description="Text as it is, {base64, content_type} as bytes, anything else as JSON; absent or null: empty."
        ),
        "status": Port("number", description="The HTTP status, 200 to 599; by default the one below."),
        "headers": Port("object", description="More headers; none that belong to the connection or to the platform."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "status": {
                "type": "integer",
                "minimum": 200,
                "maximum": 599,
                "title": "Status",
                "description": "The HTTP status of the answer.",
                "default": 200,
            },
            "content_type": {
                "type": "string",
                "maxLength": 200,
                "title": "Content type",
                "description": "What the body says it is; by default `application/json`, or `text/plain` for text.",
            },
        },
        "additionalProperties": False,
    }
    errors = ("InvalidInput", "ResponseTooLarge", "Unavailable")
    example = {
        "config": {"status": 201},
        "inputs": {"body": {"order": "A-17"}, "headers": {"Location": "/orders/A-17"}},
    }

    async def execute(self, call: Call) -> Outputs:
        """No ports. Raises NodeError with one of `errors`."""
        from shared.nodes.outputs._response import response

        made = response(call.inputs, call.config)
        call.usage["bytes"] = len(made.body)
        await ask(lambda: call.world.respond(made))
        return {}
