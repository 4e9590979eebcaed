"""What a route asks for beside its body: who is calling, the page, the version it knows, doing it only once.

A noun is one file in `routes/`, named after the first word of its paths (or a folder of that name, see `app.py`):

    router = APIRouter(prefix="/widgets", tags=["widgets"])
    Reader = Annotated[Principal, require("viewer", "widgets:read")]
    Writer = Annotated[Principal, require("editor", "widgets:write")]

    @router.get("")
    def list_widgets(who: Reader, page: Paged) -> PageOf[WidgetOut]:
        return service.widgets(who, page.cursor, page.limit)          # a store.pages.Listing is taken as it is

    @router.post("", status_code=201)
    def create_widget(body: WidgetIn, who: Writer, once: Once) -> Response:
        return once(who, body, lambda: Made(201, WidgetOut.model_validate(service.create(who, body.name))))

    @router.get("/{widget_id}")
    def get_widget(widget_id: str, who: Reader, response: Response) -> WidgetOut:
        found = service.widget(who, widget_id)                        # NotFound for another tenant's
        response.headers["ETag"] = etag_of(found.version)
        return WidgetOut.model_validate(found)

    @router.put("/{widget_id}")
    def put_widget(widget_id: str, body: WidgetIn, who: Writer, known: IfMatch, response: Response) -> WidgetOut:
        changed = service.change(who, widget_id, body.name, known)    # PreconditionFailed if `known` is not current
        …

Routes are `def`: boto3 blocks. Bodies derive from `schemas.base.Body`, answers from `schemas.base.Answer`. Errors are
raised as `shared.errors` and turned into problem documents by `problems.py`. `require` also refuses ids in the path
that could not be ids (404) and counts the request against the tenant's rate limit (429).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Query, Request, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel

from shared import idempotency, limits
from shared.audit.model import Actor
from shared.errors import BadRequest, NotFound, Unauthorized
from shared.members import access
from shared.store.pages import DEFAULT_LIMIT, MAX_LIMIT
from shared.store.table import TenantTable
from shared.tenancy import Principal, Role, Tenant

_ETAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_OURS: Final = re.compile(r'(?:W/)?"([0-9]{1,15})"')
_NEVER: Final = -1  # versions count from 0 or 1: nothing is ever at this one
_ID: Final = re.compile(r"[^\x00-\x1f\x7f#/\ud800-\udfff]{1,200}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")

# These two are for the OpenAPI document; `principal` reads the headers itself, to tell "none" from "malformed".
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="A Cognito access or id token")
_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="`sw_…`, shown once when it is made")


def principal(
    request: Request, _by_token: Annotated[Any, Depends(_bearer)], _by_key: Annotated[Any, Depends(_api_key)]
) -> Principal:
    """Who is calling. Raises Unauthorized, BadRequest (both credentials at once), RateLimited."""
    bearer, key = request.headers.get("authorization"), request.headers.get("x-api-key")
    if bearer is not None and key is not None:
        raise BadRequest("send Authorization or X-API-Key, not both", code="two_credentials")
    if bearer is not None:
        scheme, _, token = bearer.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("Authorization must be: Bearer <token>")
        who = access.by_token(token.strip())
    elif key is not None:
        who = access.by_api_key(key)
    else:
        raise Unauthorized("send Authorization: Bearer <token> or X-API-Key: <key>")
    acting(request, who.tenant, Actor(who.kind, who.id, who.person))
    limits.count_request(who.tenant)
    if not all(_ID.fullmatch(str(value)) for value in request.path_params.values()):
        raise NotFound("no such thing")
    return who


def acting(request: Request, tenant: Tenant, actor: Actor) -> None:
    """Say whose request this is, for the log and the audit log. Routes without credentials do so when they know."""
    request.state.tenant_id = tenant.id
    request.state.audit_as = (tenant, actor)


def require(role: Role, scope: str) -> Any:
    """A dependency that gives the Principal if they have at least this role and, being a key, this scope.

    `scope` is `<noun>:read` or `<noun>:write`. Use it in `Annotated[Principal, require("viewer", "executions:read")]`.
    """

    async def allowed(request: Request, who: Annotated[Principal, Depends(principal)]) -> Principal:
        who.require(role, scope)
        request.state.scope = scope
        return who

    return Depends(allowed)


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list."""

    limit: int
    cursor: str | None


async def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
) -> Paging:
    return Paging(limit, cursor)


Paged = Annotated[Paging, Depends(_paging)]
OfWorkflow = Annotated[str | None, Query(max_length=100, pattern=r"^[A-Za-z0-9_-]+$")]
First = Annotated[date | None, Query(alias="from", description="the first day (UTC); usually 30 days up to `to`")]
Last = Annotated[date | None, Query(alias="to", description="the last day; usually today")]


def etag_of(version: int) -> str:
    """The ETag of a version: `"7"`, with its quotes."""
    return f'"{version}"'


async def _if_match(if_match: Annotated[str | None, Header()] = None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    if not _ETAG.fullmatch(if_match.strip()):
        raise BadRequest('If-Match must be one ETag as it was given, such as "7"', code="bad_if_match")
    # One that is not of our making is the ETag of nothing that there is: 412, as for an old one.
    ours = _OURS.fullmatch(if_match.strip())
    return int(ours[1]) if ours else _NEVER


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The version that the caller knows; None if they do not say."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a POST has made: the status, the body (None: empty) and headers worth repeating (Location, ETag)."""

    status: int
    body: BaseModel | Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DoOnce:
    """Does something once for one Idempotency-Key, and answers a repeat as it answered first.

    The first answer is kept for 24 hours under the tenant and the caller, with a digest of the request. The same key
    with another request: Invalid `idempotency_mismatch`. While the first is still at work: Conflict
    `idempotency_in_flight`. If `make` raises, nothing is kept and the key may be used again. Without a key `make` is
    simply called. `secret=True` keeps the answer encrypted: for answers that show a secret once.
    """

    method: str
    url: str
    key: str | None

    def __call__(
        self,
        who: Principal,
        body: BaseModel | Mapping[str, Any] | None,
        make: Callable[[], Made],
        *,
        secret: bool = False,
    ) -> Response:
        """The answer, to be returned from the route as it is. `body` is the request's, None if it has none."""
        if self.key is None:
            return _render(_kept(make()))
        sent = body.model_dump_json() if isinstance(body, BaseModel) else json.dumps(body, sort_keys=True)
        answer = idempotency.once(
            TenantTable(who.tenant),
            key=f"{who.id} {self.key}",
            request=f"{self.method} {self.url} {sent}",
            make=lambda: _kept(make()),
            secret=secret,
        )
        return _render(answer)


def _kept(made: Made) -> idempotency.Kept:
    if made.body is None:
        body = b""
    elif isinstance(made.body, BaseModel):
        body = made.body.model_dump_json().encode()
    else:
        body = json.dumps(made.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return idempotency.Kept(made.status, body, made.headers)


def _render(answer: idempotency.Kept) -> Response:
    headers = dict(answer.headers) | ({"Idempotent-Replay": "true"} if answer.replayed else {})
    return Response(answer.body, answer.status, headers, "application/json" if answer.body else None)


async def _once(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> DoOnce:
    if idempotency_key is not None and not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadRequest(
            "Idempotency-Key must be 1 to 255 visible ASCII characters without spaces", code="bad_idempotency_key"
        )
    return DoOnce(request.method, request.url.path + "?" + request.url.query, idempotency_key)


Once = Annotated[DoOnce, Depends(_once)]


def source_address(request: Request) -> str:
    """The caller's IP address as API Gateway saw it; empty if it did not say."""
    return request.client.host if request.client else ""
