"""Starts a run by an HTTP request to a public address."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.errors import Problem
from shared.nodes.base import Outputs, Port, Trigger

_EMPTY: Final[Mapping[str, Any]] = {"body": None, "headers": {}, "query": {}, "method": "POST", "path": "/"}
_SIGNATURE: Final = ("preset", "header", "prefix", "tolerance_seconds")


class HttpWebhook(Trigger):
    """The address, the secret and the checks of a request are the webhook function's; this is what the run sees."""

    display_name = "Webhook"
    description = "Starts the workflow when an HTTP request reaches its public address."
    outputs = {
        "body": Port("any", description="The value of a JSON body, a form's fields, a text; any other in base64."),
        "headers": Port("object", description="The request's headers, with names in lower case."),
        "query": Port("object", description="The query parameters."),
        "method": Port("string", description="The request's method."),
        "path": Port("string", description="The path below the webhook's address; / when there is none."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "methods": {
                "type": "array",
                "items": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
                "minItems": 1,
                "uniqueItems": True,
                "title": "Methods",
                "description": "Requests with any other method are refused.",
                "default": ["POST"],
            },
            "auth": {
                "enum": ["none", "hmac", "bearer", "basic"],
                "title": "Authentication",
                "description": "How a request proves itself. The secret belongs to the webhook, not to this document.",
                "default": "none",
            },
            "preset": {
                "enum": ["generic", "github", "stripe", "slack"],
                "title": "Signature format",
                "description": "Whose way of signing the sender follows.",
                "default": "generic",
            },
            "header": {
                "type": "string",
                "pattern": "^[A-Za-z0-9-]{1,100}$",
                "title": "Signature header",
                "description": "Where the signature stands, for the generic format: HMAC-SHA256 of the body, in hex.",
                "default": "X-Signature",
            },
            "prefix": {
                "type": "string",
                "maxLength": 100,
                "title": "Signature prefix",
                "description": "What stands before the signature in its header, such as `sha256=`.",
                "default": "",
            },
            "tolerance_seconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": 3600,
                "title": "Tolerance (seconds)",
                "description": "How old a signature with a time in it may be (Stripe, Slack).",
                "default": 300,
            },
            "response_mode": {
                "enum": ["accepted", "last", "node"],
                "title": "Answer",
                "description": "`accepted`: at once, with the execution's id. `last`: after the run, with its output. "
                "`node`: what the first `webhook_response` node of the run says.",
                "default": "accepted",
            },
        },
        "additionalProperties": False,
    }
    example = {
        "config": {"auth": "hmac", "preset": "github"},
        "inputs": {},
        "data": {"body": {"action": "opened"}, "headers": {}, "query": {}, "method": "POST", "path": "/"},
        "outputs": {"body": {"action": "opened"}, "headers": {}, "query": {}, "method": "POST", "path": "/"},
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Signature fields without a signature would be a check the author believes in and nobody makes."""
        properties: Mapping[str, Any] = cls.config_schema["properties"]
        given = {f for f in _SIGNATURE if f in config and config[f] != properties[f]["default"]}
        if config.get("auth", "none") != "hmac":
            for field in sorted(given):
                message = f"config.{field} only means something with auth hmac"
                yield Problem("invalid_config", message, f"config.{field}")
        elif config.get("preset", "generic") != "generic":
            for field in sorted(given & {"header", "prefix"}):
                message = f"the preset {config['preset']} has its own {field}"
                yield Problem("invalid_config", message, f"config.{field}")

    def deliver(self, data: Any, config: Mapping[str, Any]) -> Outputs:
        """The five ports of a request. Data of any other shape (a run started by hand) is taken as the body."""
        del config
        if isinstance(data, Mapping) and data and data.keys() <= _EMPTY.keys():
            return {**_EMPTY, **data}
        return {**_EMPTY, "body": data}
