"""The WebSocket API: who connects, and what they watch."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from shared.errors import AppError
from shared.live import service
from shared.log import logger
from stepfunctions.engine.boundary import described

_log = logger("websocket")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of a connection: `$connect?token=…`, `$disconnect`, or a frame."""
    started = perf_counter_ns()
    route, connection_id = event["requestContext"]["routeKey"], event["requestContext"]["connectionId"]
    facts: dict[str, Any] = {}
    status = 200
    try:
        if route == "$connect":
            service.connect(connection_id, (event.get("queryStringParameters") or {}).get("token"))
        elif route == "$disconnect":
            service.disconnect(connection_id)
        else:
            service.receive(connection_id, event.get("body") or "")
    except AppError as refused:
        status, facts = refused.status, {"code": refused.code}
    except Exception as crash:  # whatever it is: what is logged and answered holds nothing that a client sent
        status, facts = 500, described(crash)
    ms = round((perf_counter_ns() - started) / 1e6, 1)
    _log.info("frame", request_id=context.aws_request_id, route=route, status=status, **facts, ms=ms)
    return {"statusCode": status}
