"""What holds for every route there is and will be, read from the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from functions.api.app import PREFIX, Nouns, build
from tests.functions.api.samples import BODIES, SAMPLES, SHARED
from tests.functions.api.workflows_over_http import adder, created

# Routes that need no credentials. Adding one is a decision about security.
PUBLIC = {
    ("GET", "/api/v1/health"),
    ("POST", "/api/v1/tenants"),
    ("POST", "/api/v1/auth/token"),
    ("POST", "/api/v1/auth/refresh"),
    ("GET", "/api/v1/shared/{share_token}"),
    ("GET", "/api/v1/task-links/{link_token}"),
    ("POST", "/api/v1/task-links/{link_token}"),
    ("GET", "/api/v1/invitation-links/{invitation_token}"),
    ("POST", "/api/v1/invitation-links/{invitation_token}"),
}
DOCUMENT = build().openapi()


def _routes(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, operations in document["paths"].items():
        for method in operations:
            yield method.upper(), path


ROUTES = sorted(_routes(DOCUMENT))
PRIVATE = [r for r in ROUTES if r not in PUBLIC]
WITH_PARAMETERS = [r for r in PRIVATE if "{" in r[1]]
# Whatever is read without naming a thing in the path: lists, figures, what a query names.
UNNAMED = [path for method, path in PRIVATE if method == "GET" and "{" not in path]
# Those in which no sample is to be seen by whom it belongs to either.
WITHOUT_SAMPLES = {
    "/api/v1/audit-log/verify",
    "/api/v1/credentials/kinds",
    "/api/v1/notifications/preferences",
    "/api/v1/quotas",
    "/api/v1/tenants/current",
    "/api/v1/usage",
    "/api/v1/workflows/nodes",
}
# Parameters of queries that name a thing, where the paths call it otherwise.
NAMED_IN_QUERIES = {"template": "template_name", "server": "server_name", "resource_id": "workflow_id"}
OWNED = [r for r in WITH_PARAMETERS if not SHARED.issuperset(re.findall(r"{(\w+)", r[1]))]


def _named(route: tuple[str, str]) -> str:
    return f"{route[0]} {route[1]}"


def _parameters(path: str) -> list[str]:
    return re.findall(r"{(\w+)(?::\w+)?}", path)


def _filled(path: str, values: dict[str, str]) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda m: values[m[1]], path).removeprefix(PREFIX)


def test_public_routes_exist():
    assert set(ROUTES) >= PUBLIC


@pytest.mark.parametrize("route", PRIVATE, ids=_named)
def test_without_credentials_nothing_is_answered(public_client, route):
    method, path = route
    answer = public_client.request(method, _filled(path, dict.fromkeys(_parameters(path), "x1")))
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", PRIVATE, ids=_named)
def test_the_document_says_which_credentials_a_route_takes(route):
    method, path = route
    schemes = {name for way in DOCUMENT["paths"][path][method.lower()]["security"] for name in way}
    assert schemes == {"HTTPBearer", "APIKeyHeader"}


@pytest.mark.parametrize("route", sorted(PUBLIC), ids=_named)
def test_the_document_says_that_a_public_route_takes_none(route):
    method, path = route
    assert "security" not in DOCUMENT["paths"][path][method.lower()]


@pytest.mark.parametrize("route", OWNED, ids=_named)
def test_another_tenants_things_are_not_found(api_client, other_client, route):
    method, path = route
    missing = [name for name in _parameters(path) if name not in SAMPLES]
    assert not missing, f"add {missing} to tests/functions/api/samples.py"
    makers = {name: SAMPLES[name] for name in _parameters(path)}
    ids = {maker: maker(api_client) for maker in dict.fromkeys(makers.values())}
    url = _filled(path, {name: ids[maker] for name, maker in makers.items()})
    answer = other_client.request(method, url)
    if answer.status_code == 422:  # the body was looked at first; with a body that fits, it is 404
        answer = other_client.request(method, url, json=_smallest_body(method, path))
    assert answer.status_code == 404, answer.text
    assert api_client.request("GET", url).status_code in (200, 405)


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of fields included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def asked_for(document: dict[str, Any], path: str, ids: dict[str, str]) -> dict[str, str]:
    """The query of a GET that names what is in `ids`, by the parameters that the document gives the route."""
    parameters = [p["name"] for p in document["paths"][path]["get"].get("parameters", []) if p["in"] == "query"]
    named = {name: NAMED_IN_QUERIES.get(name, name) for name in parameters}
    return {name: ids[of] for name, of in named.items() if of in ids}


def told_of(new: set[str], ids: dict[str, str]) -> set[str]:
    """What `new` texts tell of things: ids and tokens wherever they stand, names where they stand alone."""
    found = {i for i in ids.values() if re.search("[0-9A-Z]{26}", i) and any(i in text for text in new)}
    return found | (new & set(ids.values()))


def test_nothing_read_without_an_id_shows_another_tenants_things(api_client, other_client):
    def seen(client: httpx.Client, path: str, query: dict[str, str] | None = None) -> Any:
        answer = client.get(path.removeprefix(PREFIX), params=query)
        assert answer.status_code in (200, 404, 422), (path, answer.text)
        return answer.json() if answer.status_code == 200 else None

    assert len(UNNAMED) >= 37
    before = {path: (seen(api_client, path), seen(other_client, path)) for path in UNNAMED}
    made = {maker: maker(api_client) for maker in dict.fromkeys(SAMPLES.values())}
    ids = {name: made[maker] for name, maker in SAMPLES.items() if name not in ("node_id", "step_id", "version")}
    tool = adder(settings={"mcp": {"name": "tool_of_the_first"}})
    assert api_client.post(f"/workflows/{created(api_client, tool)}/publish").status_code == 200
    ids["mcp"] = "tool_of_the_first"
    shown: set[str] = set()
    for path in UNNAMED:
        own, others = before[path]
        assert seen(other_client, path) == others, path
        if told_of(set(strings(seen(api_client, path))) - set(strings(own)), ids):
            shown.add(path)
        for name, value in asked_for(DOCUMENT, path, ids).items():
            found = seen(other_client, path, {name: value})
            assert not told_of(set(strings(found)) - set(strings(others)), ids), (path, name)
            if seen(api_client, path, {name: value}) is not None:
                shown.add(path)
    assert set(UNNAMED) - shown == WITHOUT_SAMPLES, "add a sample to tests/functions/api/samples.py"


NO_IDS = ["%00", "a%00b", "x" * 201, "%23", "a%0A", "..%2F..", "nothing", "%F0%9F%A6%8A", "%ED%A0%80"]


@pytest.mark.parametrize("route", WITH_PARAMETERS, ids=_named)
def test_ids_that_are_none_are_not_found(api_client, route):
    method, path = route
    for bad in NO_IDS:
        url = _filled(path, dict.fromkeys(_parameters(path), bad))
        answer = api_client.request(method, url, json=_smallest_body(method, path))
        if answer.status_code == 422:  # a number in the path, such as a version
            assert all(e["path"].startswith("path.") for e in answer.json()["errors"]), (bad, answer.text)
        else:
            assert answer.status_code == 404, (bad, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def _resolved(schema: dict) -> dict:
    if "$ref" in schema:
        return DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _smallest(schema: dict):
    """The smallest value that a schema of the document lets pass."""
    schema = _resolved(schema)
    for word in ("default", "const"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return _smallest(schema["anyOf"][0])
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: _smallest(properties[name]) for name in schema.get("required", [])}
    if kind == "array":
        return [_smallest(schema["items"])] * schema.get("minItems", 0)
    return {"string": "x" * max(1, schema.get("minLength", 1)), "integer": 1, "number": 1, "boolean": True}.get(
        kind, {}
    )


def _smallest_body(method: str, path: str):
    if (method, path) in BODIES:
        return BODIES[method, path]
    body = DOCUMENT["paths"][path][method.lower()].get("requestBody")
    return _smallest(body["content"]["application/json"]["schema"]) if body else None


def test_operation_ids_are_unique():
    ids = [DOCUMENT["paths"][path][method.lower()]["operationId"] for method, path in ROUTES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("noun", sorted(Nouns(FastAPI()).waiting))
def test_a_noun_serves_its_own_paths_only(noun):
    """A route elsewhere would be in the document, and yet no request for it would mount it."""
    app = FastAPI()
    Nouns(app).mount(noun)
    paths = list(app.openapi()["paths"])
    assert paths
    assert all(path == f"{PREFIX}/{noun}" or path.startswith(f"{PREFIX}/{noun}/") for path in paths), paths
