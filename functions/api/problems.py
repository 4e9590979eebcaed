"""The one place that turns what went wrong into HTTP: RFC 9457, `application/problem+json`.

    {"type": "urn:statewright:problem:invalid", "title": "Unprocessable Entity", "status": 422, "code": "invalid",
     "detail": "…", "errors": [{"code": "missing", "message": "Field required", "path": "owner.email"}],
     "request_id": "req_…"}

A path names a field of the body as it is (`nodes.0.id`); anything else starts with where it was: `query.limit`,
`header.if-match`, `path.workflow_id`. The value that was sent is never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from shared.errors import AppError, Problem
from shared.log import logger
from shared.problems import MEDIA_TYPE, document
from stepfunctions.engine.boundary import described

_log = logger("api")
_MAX_ERRORS: Final = 50
_MAX_PATH: Final = 200
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_CODES: Final = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "media_type"}

SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "RFC 9457: what went wrong, and where.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "errors", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "stable; for programs"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "path": {"type": "string"},
                    "node_id": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string"},
    },
}
# What every route may answer beside its own success; in the OpenAPI document in place of FastAPI's own 422.
_CONTENT: Final = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "A problem: see `code` and `errors`", "content": _CONTENT},
    "503": {
        "description": "Something that this needs cannot be reached now: worth another try",
        "content": _CONTENT,
        "headers": {"Retry-After": {"description": "Seconds", "required": True, "schema": {"type": "integer"}}},
    },
}


def response(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document as an answer."""
    return JSONResponse(document(status, code, detail, errors, request_id), status, headers, MEDIA_TYPE)


def of_app_error(request_id: str, error: AppError) -> JSONResponse:
    """The answer for an AppError. One that says when to try again (`retry_after`, seconds) gets Retry-After."""
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return response(request_id, error.status, error.code, error.detail, error.errors, headers)


def _place(location: Sequence[int | str]) -> str:
    where = [str(part) for part in location]
    if where and where[0] == "body":
        where = where[1:]
    return ".".join(where)[:_MAX_PATH]


def of_validation(request_id: str, error: RequestValidationError) -> JSONResponse:
    """The answer for a request that does not fit its schema: 422; 415 when the body was not sent as JSON at all."""
    found = list(error.errors())
    if any(tuple(e["loc"]) == ("body",) and isinstance(e.get("input"), bytes) for e in found):
        return response(request_id, 415, "media_type", "send the body as application/json")
    problems = [
        Problem(
            "unknown_field" if e["type"] == "extra_forbidden" else str(e["type"]),
            "unknown field" if e["type"] == "extra_forbidden" else str(e["msg"]),
            _place(e["loc"]) or "body",
        )
        for e in found[:_MAX_ERRORS]
    ]
    detail = f"{problems[0].path}: {problems[0].message}" if problems else "the request does not fit its schema"
    if len(found) > 1:
        detail += f" (and {len(found) - 1} more)"
    return response(request_id, 422, "invalid", detail, problems)


def of_http(request_id: str, error: HTTPException, allowed: Sequence[str] = ()) -> JSONResponse:
    """The answer for what the framework itself refuses: unknown paths, methods, unreadable bodies.

    `allowed` are the methods that the path has; the framework names those of the first route it came to.
    """
    code, headers = _CODES.get(error.status_code, "http_error"), dict(error.headers or {})
    if error.status_code == 405 and allowed:
        headers["Allow"] = ", ".join(allowed)
    return response(request_id, error.status_code, code, str(error.detail), (), headers)


def of_crash(request_id: str) -> JSONResponse:
    """The answer for a bug of ours. It says nothing but where to look in the log."""
    return response(request_id, 500, "internal", "something went wrong on our side; the request id finds it in our log")


def install(app: FastAPI) -> None:
    """Make the app answer with problem documents."""

    @app.exception_handler(AppError)
    async def app_error(request: Request, error: AppError) -> JSONResponse:
        if error.__cause__ is not None and error.status >= 500:  # what AWS said is for our log, not for the caller
            _log.warning("unavailable", request_id=request.state.request_id, **described(error.__cause__))
        return of_app_error(request.state.request_id, error)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        return of_validation(request.state.request_id, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return of_http(request.state.request_id, error, _allowed(request) if error.status_code == 405 else ())


def _allowed(request: Request) -> list[str]:
    """The methods with which some route would take the request; none if it was a route that refused this one."""
    routes = request.app.routes
    place = {"type": "http", **{name: request.scope.get(name, "") for name in ("path", "root_path")}}

    def taken(method: str) -> bool:
        return any(route.matches({**place, "method": method})[0] is Match.FULL for route in routes)

    return [] if taken(request.method) else [method for method in _METHODS if taken(method)]
