"""What happens around every request: its id, limits on body and answer, strict JSON, the audit log, one log line."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.api import audit, problems
from shared import strict_json
from shared.answers import MAX_ANSWER, size_of
from shared.errors import AppError, TooLarge
from shared.ids import new_id
from shared.log import logger
from stepfunctions.engine.boundary import described

MAX_BODY: Final = 6 * 1024 * 1024  # Lambda takes no more in a call, the event's envelope included

_log = logger("api")


class Frame:
    """ASGI middleware. It leaves `request_id` in the request's state and expects `tenant_id` there for its log line."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = perf_counter_ns()
        request_id = new_id("req")
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        try:
            body = await _read(scope, receive)
            await self._app(scope, _Replay(body, receive), keep)
            size = sum(size_of(m.get("body", b"")) for m in answer)
            await run_in_threadpool(audit.record, scope, state, body, answer)
            if size > MAX_ANSWER:
                raise TooLarge(f"the answer is {size} bytes, over the limit of {MAX_ANSWER}: ask for less at a time")
        except AppError as error:
            answer.clear()
            await problems.of_app_error(request_id, error)(scope, receive, keep)
        except Exception as crash:
            _log.error("crash", request_id=request_id, **described(crash))  # without its message: it may hold anything
            answer.clear()
            await problems.of_crash(request_id)(scope, receive, keep)
        start = answer[0]
        start["headers"] = [*start.get("headers", []), (b"x-request-id", request_id.encode())]
        # Before the answer: Lambda freezes the process as soon as the answer is out.
        _log.info(
            "request",
            request_id=request_id,
            tenant_id=state.get("tenant_id"),
            method=scope["method"],
            route=_template(scope),
            status=start["status"],
            ms=round((perf_counter_ns() - started) / 1e6, 1),
        )
        for message in answer:
            await send(message)


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises TooLarge, and BadRequest for a body that says it is JSON and is not."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise TooLarge(f"the body is over the limit of {MAX_BODY} bytes")
        more = message.get("more_body", False)
    content_type = next((v for k, v in scope["headers"] if k.lower() == b"content-type"), b"")
    media_type = content_type.split(b";")[0].strip().lower()
    if body and (media_type == b"application/json" or media_type.endswith(b"+json")):
        strict_json.loads(body)
    return body


class _Replay:
    """Gives the body once, as one message, and then whatever the server has to say."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        """The next message."""
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _template(scope: Scope) -> str | None:
    """The route's template, such as `/api/v1/workflows/{workflow_id}`: it holds nothing that a tenant sent."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(context, "path", None) or getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else None
