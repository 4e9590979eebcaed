"""What each route asks for, read from the route: what every role, and keys with and without its scope, get there."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from functions.api.app import PREFIX, Nouns
from shared import limits
from shared.tenancy import ROLES, Role
from tests import http_api
from tests.functions.api.test_every_route import PUBLIC


def _table() -> Iterator[tuple[str, str, Role, str]]:
    """Method, path, role and scope of every route that asks for any."""
    app = FastAPI()
    nouns = Nouns(app)
    for noun in sorted(nouns.waiting):
        nouns.mount(noun)
    for route in app.routes:
        for inner in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(inner, APIRoute):
                for method in sorted(inner.methods):
                    yield from _asked(method, inner)


def _asked(method: str, route: APIRoute) -> Iterator[tuple[str, str, Role, str]]:
    path = route.path if route.path.startswith(PREFIX) else PREFIX + route.path
    for needed in route.dependant.dependencies:
        call = needed.call
        if call is not None and call.__qualname__ == "require.<locals>.allowed":
            asked = inspect.getclosurevars(call).nonlocals
            yield method, path, asked["role"], asked["scope"]


TABLE = sorted(_table())


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    monkeypatch.setattr(limits, "rate_of", lambda _tenant: 10**9)


def key(client: httpx.Client, role: Role, **fields) -> httpx.Client:
    made = client.post("/api-keys", json={"name": role, "role": role, **fields})
    assert made.status_code == 201, made.text
    return http_api.connect(made.json()["key"])


def call(client: httpx.Client, method: str, path: str) -> tuple[int, str]:
    answer = client.request(method, re.sub(r"{\w+(:\w+)?}", "x1", path).removeprefix(PREFIX))
    return answer.status_code, answer.json().get("code", "") if answer.status_code >= 400 else ""


def test_every_private_route_is_in_the_table():
    from tests.functions.api.test_every_route import ROUTES

    assert {(method, path) for method, path, *_ in TABLE} == set(ROUTES) - PUBLIC


# What is asked with a POST, and changes nothing: `mcp` asks for its write where a tool is called.
READING_POSTS = {
    ("POST", "/api/v1/mcp", "mcp:read"),
    ("POST", "/api/v1/workflows/validate", "workflows:read"),
    ("POST", "/api/v1/workflows/{workflow_id}/validate", "workflows:read"),
}


def test_what_changes_things_asks_for_a_write():
    """Else a route is held to its own declaration only, and a change that is declared a read would be one."""
    reads = {(method, path, scope) for method, path, _, scope in TABLE if not scope.endswith(":write")}
    assert {r for r in reads if r[0] != "GET"} == READING_POSTS
    assert all(scope.endswith(":read") for _, _, scope in reads)


def test_viewers_change_what_is_their_own_only():
    """A write that is declared for viewers would pass the tests of roles too."""
    writes = {path for method, path, role, scope in TABLE if scope.endswith(":write") and role == "viewer"}
    assert {path.split("/")[3] for path in writes} == {"notifications"}


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_call(api_client, role):
    with key(api_client, role) as mine:
        for method, path, needed, _ in TABLE:
            status, code = call(mine, method, path)
            refused = (status, code) == (403, "role")
            assert refused == (ROLES.index(role) < ROLES.index(needed)), (method, path, needed, status, code)


def test_a_key_without_a_routes_scope_is_refused(api_client):
    for scope in sorted({scope for *_, scope in TABLE}):
        others = sorted({s for *_, s in TABLE} - {scope})
        with key(api_client, "owner", scopes=others) as mine:
            for method, path, _, needed in TABLE:
                if needed == scope:
                    assert call(mine, method, path) == (403, "scope"), (method, path)


def test_a_key_with_a_routes_scope_is_let_in(api_client):
    for scope in sorted({scope for *_, scope in TABLE}):
        with key(api_client, "owner", scopes=[scope]) as mine:
            for method, path, _, needed in TABLE:
                if needed == scope:
                    assert call(mine, method, path)[1] not in ("role", "scope"), (method, path)
