"""Calls an HTTP service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.credentials.signing import HTTP_KINDS
from shared.errors import Problem
from shared.nodes._credentials import HTTP_CREDENTIAL_ERRORS, credential_field
from shared.nodes.base import Call, Effect, NodeError, Outputs, Port
from shared.nodes.external._paging import PAGINATION

_AUTH_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("username", "password"),
    "bearer": ("token",),
    "api_key": ("name", "value"),
}
_SECRET: Final = {"x-secret": True}


def _auth_field(title: str, description: str, **more: Any) -> dict[str, Any]:
    marks = {"x-template": True, **more}
    return {"type": "string", "maxLength": 10_000, **marks, "title": title, "description": description}


class HttpRequest(Effect):
    """One request and its redirects, to public addresses only."""

    category = "external"
    display_name = "HTTP request"
    description = "Calls an HTTP service on the public internet and reads its answer."
    inputs = {
        "url": Port("string", required=True, description="http or https; no user name or password in it."),
        "body": Port("any", description="Text is sent as it is, anything else as JSON (see Body)."),
        "headers": Port(
            "object",
            description="Headers of the request. A redirect to another host, port or scheme takes none along but "
            "Accept, Accept-Language, Content-Type, User-Agent and Idempotency-Key.",
        ),
        "query": Port("object", description="Query parameters, added to those of the URL; a list repeats its name."),
    }
    outputs = {
        "response": Port("any", description="The body: parsed JSON, text, or {base64, content_type, size}."),
        "status": Port("number", description="The status code."),
        "headers": Port("object", description="The answer's headers, with names in lower case."),
        "complete": Port("boolean", description="With pages: whether all of them were read. Otherwise not set."),
    }
    config_schema = {
        "type": "object",
        "properties": {
            "method": {
                "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                "title": "Method",
                "description": "All but GET, HEAD and OPTIONS carry an Idempotency-Key header of this node and run.",
                "default": "GET",
            },
            "credential": credential_field(
                *HTTP_KINDS, description="How the request proves itself; it goes to no host but the first."
            ),
            "auth": {
                "type": "object",
                "title": "Authentication by templates",
                "description": "In place of a credential, for what templates put together. Write no secret in here.",
                "properties": {
                    "type": {
                        "enum": ["none", "basic", "bearer", "api_key"],
                        "title": "Kind",
                        "description": "The way of authentication.",
                        "default": "none",
                    },
                    "username": _auth_field("User name", "For basic."),
                    "password": _auth_field("Password", "For basic.", **_SECRET),
                    "token": _auth_field("Token", "For bearer.", **_SECRET),
                    "name": _auth_field("Key name", "For api_key: the name of the header or parameter."),
                    "value": _auth_field("Key", "For api_key.", **_SECRET),
                    "in": {
                        "enum": ["header", "query"],
                        "title": "Key goes into",
                        "description": "For api_key: a header or a query parameter.",
                        "default": "header",
                    },
                },
                "additionalProperties": False,
                "default": {"type": "none"},
            },
            "body_type": {
                "enum": ["auto", "json", "form", "text"],
                "title": "Body",
                "description": "`auto`: text as it is, anything else as JSON. `form`: an object as form fields.",
                "default": "auto",
            },
            "response_type": {
                "enum": ["auto", "json", "text", "base64"],
                "title": "Answer",
                "description": "`auto` goes by the answer's content type; what is neither JSON nor text is base64.",
                "default": "auto",
            },
            "fail_on_status": {
                "type": "boolean",
                "title": "Fail on an error status",
                "description": "Whether 400 and above fails the node with HttpError; otherwise it is an answer.",
                "default": True,
            },
            "max_redirects": {
                "type": "integer",
                "minimum": 0,
                "maximum": 20,
                "title": "Redirects",
                "description": "How many are followed; with 0 a redirect is the answer.",
                "default": 5,
            },
            "pagination": PAGINATION,
            "connect_timeout_seconds": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 300,
                "title": "Time to connect (seconds)",
                "description": "The whole request ends with the node's own time-out.",
                "default": 10,
            },
        },
        "additionalProperties": False,
    }
    errors = (
        "HttpError",
        "Timeout",
        "BlockedAddress",
        "DnsError",
        "ConnectionFailed",
        "TooManyRedirects",
        "ResponseTooLarge",
        "InvalidResponse",
        "InvalidInput",
        "ExpressionError",
        *HTTP_CREDENTIAL_ERRORS,
    )
    example = {
        "config": {"method": "POST", "max_redirects": 0},
        "inputs": {"url": "https://shop.example/api/refunds", "body": {"order": "A-17", "amount": 12.5}},
    }

    @classmethod
    def scope_names(cls) -> frozenset[str]:
        """`page` is a page's parsed body, in the expressions of the pages."""
        return frozenset({"page"})

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[Problem]:
        """Each way of authentication and of paging has the fields it needs."""
        pages = config.get("pagination", {})
        if pages.get("type") == "cursor" and not pages.get("cursor"):
            yield Problem("invalid_config", "pages by cursor need config.pagination.cursor", "config.pagination.cursor")
        auth = config.get("auth", {})
        kind = auth.get("type", "none")
        if kind != "none" and config.get("credential"):
            yield Problem("invalid_config", "there is a credential; config.auth is one too many", "config.auth")
        for field in _AUTH_NEEDS.get(kind, ()):
            if not auth.get(field):
                message = f"authentication {kind} needs config.auth.{field}"
                yield Problem("invalid_config", message, f"config.auth.{field}")

    async def execute(self, call: Call) -> Outputs:
        """`{response, status, headers}`. Raises NodeError with one of `errors`."""
        from shared.nodes.external._exchange import exchange  # httpx loads with it

        try:
            async with asyncio.timeout(call.timeout_seconds):
                return await exchange(call)
        except TimeoutError:
            message = f"no complete answer within {call.timeout_seconds:g} seconds"
            raise NodeError("Timeout", message) from None
