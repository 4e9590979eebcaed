"""What a webhook's caller is answered, as an HTTP API takes it from a function."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import AppError, Problem
from shared.nodes.world import Response
from shared.problems import MEDIA_TYPE, document

Reply = dict[str, Any]


def reply(status: int, value: Any) -> Reply:
    """A value as JSON."""
    return _made(status, json.dumps(value, ensure_ascii=False), "application/json", {})


def of_node(answer: Response) -> Reply:
    """What a `webhook_response` node has answered. A browser that shows it treats it as of no origin: all tenants'
    webhooks have the same one.
    """
    try:
        body, encoded = answer.body.decode(), False
    except UnicodeDecodeError:
        body, encoded = base64.b64encode(answer.body).decode(), True
    guards = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
    usual = {"Cache-Control": "no-store"} if "cache-control" not in {n.lower() for n in answer.headers} else {}
    headers = {**usual, **answer.headers, **guards}
    return {"statusCode": answer.status, "headers": headers, "body": body, "isBase64Encoded": encoded}


def problem(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
    execution_id: str | None = None,
) -> Reply:
    """A problem document; `execution_id` names the run that it is about."""
    body = document(status, code, detail, errors, request_id)
    if execution_id is not None:
        body["execution_id"] = execution_id
    return _made(status, json.dumps(body, ensure_ascii=False), MEDIA_TYPE, headers or {})


def of_error(request_id: str, error: AppError) -> Reply:
    """The answer for an AppError; one that says when to try again (`retry_after`, seconds) gets Retry-After."""
    headers: dict[str, str] = dict(getattr(error, "headers", {}))
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return problem(request_id, error.status, error.code, error.detail, errors=error.errors, headers=headers)


def _made(status: int, body: str, media_type: str, headers: Mapping[str, str]) -> Reply:
    return {
        "statusCode": status,
        "headers": {"Content-Type": media_type, "Cache-Control": "no-store", **headers},
        "body": body,
        "isBase64Encoded": False,
    }
