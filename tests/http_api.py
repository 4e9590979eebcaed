"""The HTTP API as a client sees it: httpx over the real Lambda handler, with API Gateway's events in between."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import httpx

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def event_of(request: httpx.Request, source_ip: str, stage: str = "$default") -> dict[str, Any]:
    """The event (payload format 2.0) that an HTTP API makes of a request."""
    body = request.read()
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    path = request.url.path if stage == "$default" else f"/{stage}{request.url.path}"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": request.url.query.decode(),
        "headers": {k.lower(): v for k, v in request.headers.items()},
        "requestContext": {
            "http": {"method": request.method, "path": path, "sourceIp": source_ip, "protocol": "HTTP/1.1"},
            "stage": stage,
            "requestId": "test",
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


class LambdaTransport(httpx.BaseTransport):
    """Answers requests by calling the handler of the API function."""

    def __init__(self, source_ip: str = "192.0.2.1", stage: str = "$default", handler: Handler | None = None) -> None:
        from functions.api.handler import handler as real

        self.handler = handler or real
        self.source_ip = source_ip
        self.stage = stage

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """One call of the handler. A thread without an event loop gets one for it."""
        event = event_of(request, self.source_ip, self.stage)
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            answer = self.handler(event, None)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        body = answer["body"]
        return httpx.Response(
            answer["statusCode"],
            headers=answer.get("headers", {}),
            content=base64.b64decode(body) if answer["isBase64Encoded"] else body.encode(),
        )


def connect(api_key: str | None = None, **options: Any) -> httpx.Client:
    """A client of the API, with an API key or without."""
    headers = {"X-API-Key": api_key} if api_key else {}
    return httpx.Client(base_url="http://api.test/api/v1", headers=headers, transport=LambdaTransport(**options))
