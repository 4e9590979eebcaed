"""Whatever is sent, the answer is no 5xx, and says in words what was wrong.

The requests are made from the OpenAPI document and the node types: for every route a body that fits, and then one odd
thing at a time in its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from shared import limits
from shared.nodes import registry
from tests.functions.api.samples import SAMPLES, SHARED
from tests.functions.api.test_every_route import DOCUMENT, PREFIX, ROUTES, _resolved, _smallest
from tests.functions.api.workflows_over_http import Json, created, node, workflow

RAW: Final = (
    b"null",
    b"[]",
    b"NaN",
    b"[" * 5_000 + b"]" * 5_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"name": 1e999}',
    b'{"name": ' + b"9" * 5_000 + b"}",
    b'{"name": "a", "name": null}',
    b'{"\\ud800": "\\udfff"}',
    b"\xff\xfe{}",
)
ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    10**30,
    1e308,
    "",
    "\u0000",
    "\N{FOX FACE}\u202e\u2028" * 30,
    "x" * 70_000,
    "{{ $eval('1') }}",
    "9999-12-31T23:59:59-14:00",
    [],
    {},
    [None],
    [[{}]],
    {"": {"$ref": "#"}},
)
QUERY: Final = ("", "%00", "%ED%A0%80", "-1", "1e9", "9" * 400, "x" * 5_000, "%F0%9F%A6%8A")
HEADERS: Final = ("", '"', '"9999999999999999999"', 'W/"1"', "*", "x" * 300, "a b", "\xe9")
EXPRESSIONS: Final = (
    "$",
    "(" * 2_000,
    "a." * 3_000 + "b",
    "(function($f){$f($f)})(function($f){$f($f)})",
    "$match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', /^(a|a)+$/)",
    "nodes.nobody.a",
    "nodes.*",
    "secrets.x",
    "$states",
    "'\\ud800'",
    "9" * 500,
    "`\u0000`",
    ":=",
)
SCHEMAS: Final[tuple[Any, ...]] = (
    {"$ref": "#"},
    {"$ref": "https://example.com/s"},
    {"$ref": "#/%ZZ/~2"},
    {"$id": 1},
    {"$dynamicRef": "#x"},
    {"$schema": "http://json-schema.org/draft-03/schema#"},
    {"pattern": "("},
    {"multipleOf": 1e-300},
    {"allOf": [{"$ref": "#"}]},
    {"minLength": 1e30},
)
TIMES: Final = (
    "0001-01-01T00:00:00+14:00",
    "2026-01-01T00:00:00+99:99",
    "٣ * * * *",
    "0 0 30 2 *",
    "? ? ? ? ? ?",
    "L L L L L",
)
ZONES: Final = ("..", "/etc/passwd", "Europe", "UTC\u0000", "posixrules")
JSON: Final = {"content-type": "application/json"}


@pytest.fixture(autouse=True)
def unlimited(monkeypatch, hurried):
    monkeypatch.setattr(limits, "rate_of", lambda _tenant: 10**9)


def checked(answer: httpx.Response, *sent: Any) -> httpx.Response:
    assert answer.status_code < 500, (str(sent)[:500], answer.text)
    in_mcp = answer.request.url.path.endswith("/mcp") and answer.headers.get("content-type") == "application/json"
    if answer.status_code >= 400 and in_mcp:
        assert answer.json()["error"]["message"]  # errors of that protocol are its own
    elif answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", str(sent)[:500]
        assert answer.json()["detail"]
    return answer


def post(client: httpx.Client, url: str, body: Any) -> httpx.Response:
    return checked(client.post(url, content=json.dumps(body), headers=JSON), url, body)


def bodies(schema: Json, *, deep: bool) -> Iterator[Json]:
    """A body that fits, with one odd thing at a time in place of one of its fields, and (`deep`) in their fields."""
    base = _smallest(schema)
    for name, field in schema.get("properties", {}).items():
        yield from ({**base, name: odd} for odd in ODD)
        field = _resolved(field)
        for kind in map(_resolved, [field, *field.get("anyOf", ())]) if deep else ():
            inner = _resolved(kind.get("items", kind))
            for part in inner.get("properties", {}):
                for odd in ODD:
                    value = {**_smallest(inner), part: odd}
                    yield {**base, name: [value] if "items" in kind else value}


def operation(route: tuple[str, str]) -> Json:
    found: Json = DOCUMENT["paths"][route[1]][route[0].lower()]
    return found


# What says no more than that the refresh token is unknown is moto's to refuse, and it crashes instead.
@pytest.mark.parametrize("route", [r for r in ROUTES if not r[1].endswith("/auth/refresh")], ids=" ".join)
def test_every_route(api_client, route):
    method, path = route
    # In the path's order: a link's sample, say, is of the task that was made before it.
    makers = {name: SAMPLES[name] for name in re.findall(r"{(\w+)", path) if name not in SHARED}
    ids = {maker: maker(api_client) for maker in dict.fromkeys(makers.values())}
    names = {**dict.fromkeys(SHARED, "loop"), **{name: ids[maker] for name, maker in makers.items()}}
    url = re.sub(r"{(\w+)(?::\w+)?}", lambda found: names[found[1]], path).removeprefix(PREFIX)

    def send(address: str = url, **request: Any) -> None:
        checked(api_client.request(method, address, **request), method, address, request)

    asked = operation(route).get("requestBody")
    read = {p["name"].lower() for p in operation(route).get("parameters", ()) if p["in"] == "header"}
    for raw in RAW if asked else RAW[:2]:
        send(content=raw, headers=JSON)
    if asked is not None:
        schema = _resolved(asked["content"]["application/json"]["schema"])
        schema = _resolved(schema.get("anyOf", [schema])[0])
        document = "nodes" in schema.get("properties", {})  # one route is enough to look inside of them
        for body in bodies(schema, deep=path.endswith("/workflows/validate") or not document):
            send(content=json.dumps(body), headers=JSON)
    for parameter in operation(route).get("parameters", ()):
        if parameter["in"] == "query":
            for text in QUERY:
                send(f"{url}?{parameter['name']}={text}")
    for header in ("If-Match", "Idempotency-Key", "Content-Type", "Accept"):
        for text in HEADERS if asked or header.lower() in read else HEADERS[:2]:
            send(content=b"{}", headers={header: text.encode("latin-1")})


def configs(type_name: str) -> Iterator[Json]:
    """The config of the type's example, with one odd thing at a time in it."""
    node_type = registry.get(type_name)
    base = dict(node_type.example.get("config", {}))
    for field, schema in {**node_type.config_schema["properties"], "other": {}}.items():
        odd = [*ODD, "\ud800"]
        if schema.get("x-expression") or schema.get("x-template"):
            odd += [*EXPRESSIONS, *(f"a {{{{ {e} }}}}" for e in EXPRESSIONS)]
        if field == "cases":
            odd += [{"a": e} for e in EXPRESSIONS] + [{name: "1"} for name in ("", "error", "\ud800", "a" * 5_000)]
        if "schema" in field or field == "form":
            odd += SCHEMAS
        if type_name in ("schedule", "delay"):
            odd += [*TIMES, *ZONES]
        for value in odd:
            yield {**base, field: value}


@pytest.mark.parametrize("type_name", sorted(registry.names()))
def test_every_node_type(api_client, type_name):
    inputs = registry.get(type_name).example.get("inputs", {})
    for config in configs(type_name):
        post(api_client, "/workflows/validate", workflow([node("n", type_name, config, inputs=inputs)]))


LARGE: Final = {
    "inside itself": workflow([node("a", "loop", parent="b"), node("b", "loop", parent="a")]),
    "in nobody": workflow([node("a", "output", parent="nobody")]),
    "one id": workflow([node("a", "output")] * 3),
    "deep": workflow([node(f"n{i}", "loop", **({"parent": f"n{i - 1}"} if i else {})) for i in range(50)]),
    "chain": workflow(
        [node(f"n{i}", "merge") for i in range(1_000)],
        ";".join(f"n{i}.output -> n{i + 1}.inputs" for i in range(999)),
    ),
    "waits": workflow(
        [node(f"n{i}", "delay", {"ms": 5_000}) for i in range(1_000)],
        ";".join(f"n{i}.output -> n{i + 1}.input" for i in range(999)),
    ),
    "by name": workflow(
        [
            node(f"n{i}", "http_request", inputs={"url": f"{{{{ nodes.n{i - 1}.response }}}}" if i else "x"})
            for i in range(1_000)
        ]
    ),
    "dense": workflow(
        [node(f"n{i}", "merge") for i in range(100)],
        ";".join(f"n{i}.output -> n{j}.inputs" for i in range(100) for j in range(i + 1, 100)),
    ),
    "questions": workflow(
        [node(f"n{i}", "human_in_the_loop") for i in range(200)],
        ";".join(f"n{i}.response -> n{j}.input" for i in range(200) for j in (i + 1, i + 7) if j < 200),
    ),
}


@pytest.mark.parametrize("granularity", ["segment", "node"])
@pytest.mark.parametrize("name", LARGE)
def test_large_and_odd_graphs(api_client, name, granularity):
    answer = post(api_client, "/workflows/validate", {**LARGE[name], "settings": {"granularity": granularity}})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_data_for_odd_schemas(api_client, schema):
    manual = node("start", "manual_trigger", {"input_schema": schema})
    workflow_id = created(api_client, workflow([manual, node("out", "output")], "start.trigger -> out.value"))
    for data in ("a" * 40 + "!", {"a": {"a": {}}}, 10**400, None, [[[]]], 1e308):
        post(api_client, f"/workflows/{workflow_id}/execute", {"trigger_data": data})


def test_more_triggers_than_one_workflow_may_have(api_client):
    hooks = [node(f"n{i}", "http_webhook") for i in range(51)]
    workflow_id = created(api_client, workflow(hooks))
    refused = post(api_client, f"/workflows/{workflow_id}/publish", {})
    assert (refused.status_code, "too_many_triggers" in refused.text) == (422, True)


def test_a_document_that_could_not_be_read_back_is_not_stored(api_client):
    quotes = node("n", "output", inputs={"value": '"' * 1_300_000})
    refused = post(api_client, "/workflows", {**workflow([quotes]), "id": "large"})
    assert (refused.status_code, refused.json()["code"]) == (413, "document_too_large")
    assert api_client.get("/workflows/large").status_code == 404


def test_a_task_for_as_many_as_can_be(api_client):
    task_id = SAMPLES["task_id"](api_client)
    many = [f"{n}".rjust(320, "\N{FOX FACE}") for n in range(100)]
    assert post(api_client, f"/tasks/{task_id}/reassign", {"assignees": many}).status_code == 200
