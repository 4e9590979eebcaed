"""`openapi_call` against a FastAPI application and the description that it makes of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
import yaml
from fastapi import Cookie, FastAPI, Form, Header, HTTPException, Query, Request
from pydantic import BaseModel

from shared.errors import NotFound
from shared.nodes.base import NodeError
from shared.nodes.external import _openapi_request
from shared.nodes.registry import get
from tests.servers.asgi import serving
from tests.shared.nodes.calls import Keyring, Outside, execute, problems
from tests.shared.nodes.http_server import Reply
from tests.shared.nodes.http_server import serving as serving_http

app = FastAPI(title="Shop", version="1")


class Line(BaseModel):
    sku: str
    amount: int = 1


class Order(BaseModel):
    id: str
    lines: list[Line]
    status: Literal["open", "paid"] = "open"


@app.get("/orders/{order_id}", operation_id="getOrder")
def get_order(
    order_id: str,
    expand: Annotated[list[str] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=9)] = 5,
    x_trace: Annotated[str | None, Header()] = None,
    lang: Annotated[str | None, Cookie()] = None,
) -> dict[str, Any]:
    if order_id == "none":
        raise HTTPException(404, "no such order")
    return {"id": order_id, "expand": expand, "limit": limit, "trace": x_trace, "lang": lang}


@app.post("/orders", operation_id="putOrder", status_code=201)
def put_order(order: Order, dry: bool = False) -> Order:
    return order.model_copy(update={"status": "open" if dry else "paid"})


@app.post("/login", operation_id="logIn")
def log_in(name: Annotated[str, Form()]) -> dict[str, str]:
    return {"hello": name}


@app.get("/lies", operation_id="lie", response_model=Order)
def lie(request: Request) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"id": 7})


@app.get("/who", operation_id="who")
def who(request: Request) -> dict[str, str | None]:
    return {"authorization": request.headers.get("authorization")}


class Kept:
    """The tenant's files: one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, path: str) -> bytes:
        if path != "shop.yaml":
            raise NotFound(f"there is no file {path}")
        return self.text.encode()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with serving(app) as address:
        yield address


def run(base: str, operation: str, params: Any = None, body: Any = None, world: Any = None, **config: Any) -> Any:
    given = world or Outside(
        allowed_hosts=frozenset({base.removeprefix("http://")}),
        files=Kept(yaml.safe_dump(app.openapi())),
        credentials=Keyring({"shop": ("bearer", {"token": "t-1"})}),
    )
    places = {} if {"spec", "spec_file"} & set(config) else {"spec_url": base + "/openapi.json"}
    inputs = {name: value for name, value in (("params", params), ("body", body)) if value is not None}
    return execute("openapi_call", {"operation_id": operation, **places, **config}, inputs, world=given)


def refused(base: str, operation: str, params: Any = None, body: Any = None, **config: Any) -> NodeError:
    with pytest.raises(NodeError) as failed:
        run(base, operation, params, body, **config)
    assert failed.value.error in get("openapi_call").errors
    return failed.value


def test_parameters_go_where_the_description_says(base: str) -> None:
    params = {"order_id": "A 17 ä", "expand": ["items", "a&b"], "limit": 3, "x-trace": "t", "lang": "de"}
    expected = {"id": "A 17 ä", "expand": ["items", "a&b"], "limit": 3, "trace": "t", "lang": "de"}
    assert run(base, "getOrder", params) == {"response": expected, "status": 200}


LISTED: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
MAPPED_TO: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("parameter", "value", "path"),
    [
        ({"in": "query", "explode": False, "schema": LISTED}, ["a,b", "c d", "e&f"], "/x?q=a%2Cb,c%20d,e%26f"),
        ({"in": "query", "explode": False, "schema": MAPPED_TO}, {"a": "1,2", "b": "3"}, "/x?q=a,1%2C2,b,3"),
        ({"in": "query", "schema": LISTED}, ["a,b", "c"], "/x?q=a%2Cb&q=c"),
        ({"in": "query", "schema": MAPPED_TO}, {"a b": "1,2"}, "/x?a%20b=1%2C2"),
        ({"in": "query", "style": "spaceDelimited", "schema": LISTED}, ["a", "b,c"], "/x?q=a%20b%2Cc"),
        ({"in": "query", "style": "pipeDelimited", "schema": LISTED}, ["a", "b,c"], "/x?q=a%7Cb%2Cc"),
        ({"in": "query", "style": "deepObject", "schema": MAPPED_TO}, {"a": "1,2"}, "/x?q%5Ba%5D=1%2C2"),
        ({"in": "path", "required": True, "schema": LISTED}, ["a,b", "c/d"], "/x/a%2Cb,c%2Fd"),
        ({"in": "path", "required": True, "explode": True, "schema": MAPPED_TO}, {"a": "1=2"}, "/x/a=1%3D2"),
    ],
)
def test_what_separates_values_is_told_from_what_they_hold(
    parameter: dict[str, Any], value: Any, path: str, signed: bool
) -> None:
    place = "/x/{q}" if parameter["in"] == "path" else "/x"
    responses = {"200": {"description": "it is done"}}
    operation = {"operationId": "x", "parameters": [{"name": "q", **parameter}], "responses": responses}
    spec = {**EVIL, "paths": {place: {"get": operation}}}
    keys = Keyring({"key": ("api_key", {"name": "key", "value": "a b", "in": "query"})})
    with serving_http([Reply({})]) as server:
        world = Outside(allowed_hosts=frozenset({server.host}), credentials=keys)
        config = {"credential": "key"} if signed else {}
        run(server.url, "x", {"q": value}, world=world, spec=spec, server_url=server.url, **config)
    key = ("&" if "?" in path else "?") + "key=a+b" if signed else ""
    assert server.asked[0].path == path + key


def test_a_body_of_json(base: str) -> None:
    order = {"id": "A", "lines": [{"sku": "x"}]}
    found = run(base, "putOrder", {"dry": True}, order)
    assert found["status"] == 201
    assert found["response"]["lines"] == [{"sku": "x", "amount": 1}]


def test_a_body_that_is_a_form(base: str) -> None:
    assert run(base, "logIn", body={"name": "Ann & Bob"})["response"] == {"hello": "Ann & Bob"}


def test_the_description_as_a_file_or_in_the_config(base: str) -> None:
    for place in ({"spec_file": "shop.yaml"}, {"spec": app.openapi()}):
        assert run(base, "getOrder", {"order_id": "A"}, server_url=base, **place)["response"]["id"] == "A"


def test_a_server_of_the_description_with_variables(base: str) -> None:
    host = base.removeprefix("http://")
    spec = {**app.openapi(), "servers": [{"url": "http://{host}/", "variables": {"host": {"default": host}}}]}
    assert run(base, "getOrder", {"order_id": "A"}, spec=spec)["status"] == 200


def test_a_credential_signs_the_call(base: str) -> None:
    assert run(base, "who", credential="shop")["response"] == {"authorization": "Bearer t-1"}


def test_an_answer_that_does_not_fit(base: str) -> None:
    failed = refused(base, "lie")
    assert failed.error == "InvalidResponse"
    assert "id: type" in failed.message
    assert "7" not in failed.message
    assert run(base, "lie", validate_response=False)["response"] == {"id": 7}


def test_an_error_status(base: str) -> None:
    assert refused(base, "getOrder", {"order_id": "none"}).error == "HttpError"
    found = run(base, "getOrder", {"order_id": "none"}, fail_on_status=False, validate_response=False)
    assert (found["status"], found["response"]) == (404, {"detail": "no such order"})
    # A status that the description does not name is an answer that does not fit it.
    assert refused(base, "getOrder", {"order_id": "none"}, fail_on_status=False).error == "InvalidResponse"


@pytest.mark.parametrize(
    ("operation", "params", "body", "said"),
    [
        ("getOrder", {}, None, "'order_id' is required"),
        ("getOrder", {"order_id": "A", "limit": 10}, None, "limit"),
        ("getOrder", {"order_id": "A", "limit": "many"}, None, "limit"),
        ("getOrder", {"order_id": "A", "other": 1}, None, "no parameter 'other'"),
        ("getOrder", {"order_id": {"a": [1]}}, None, 'type "string"'),
        ("getOrder", {"order_id": ".."}, None, "neither empty nor dots"),
        ("getOrder", {"order_id": "."}, None, "neither empty nor dots"),
        ("getOrder", {"order_id": ""}, None, "neither empty nor dots"),
        ("getOrder", {"order_id": "A"}, {"x": 1}, "takes no body"),
        ("putOrder", {}, {"id": "A"}, "required"),
        ("putOrder", {}, None, "body"),
        ("logIn", {}, "text", 'type "object"'),
    ],
)
def test_requests_that_do_not_fit_are_not_sent(base: str, operation: str, params: Any, body: Any, said: str) -> None:
    failed = refused(base, operation, params, body)
    assert failed.error == "InvalidRequest"
    assert said in failed.message


BOMB = "openapi: 3.1.0\na: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
EVIL = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/": {"get": {"operationId": "x"}}}}


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"spec": {}}, "InvalidSpec"),
        ({"spec": {"openapi": "2.0"}}, "InvalidSpec"),
        ({"spec": {"openapi": "3.1.0", "paths": []}}, "InvalidSpec"),
        ({"spec": {**EVIL, "x": {"$ref": "file:///etc/passwd"}}}, "InvalidSpec"),
        ({"spec": {**EVIL, "x": [{"$ref": "http://127.0.0.1/x.json"}]}}, "InvalidSpec"),
        (
            {"spec": {**EVIL, "paths": {"/": {"get": {"operationId": "x", "parameters": [{"$ref": "#/none"}]}}}}},
            "InvalidSpec",
        ),
        ({"spec_file": "none.yaml"}, "InvalidInput"),
        ({"spec_url": "http://127.0.0.1:9/openapi.json"}, "BlockedAddress"),
        ({"spec_url": "http://nowhere.invalid/openapi.json"}, "DnsError"),
    ],
)
def test_descriptions_that_are_none(base: str, config: Any, error: str) -> None:
    assert refused(base, "x", server_url=base, **config).error == error


def described(schema: Any, version: str = "3.1.0", **schemas: Any) -> dict[str, Any]:
    """A description whose operation x takes a body of this schema."""
    body = {"content": {"application/json": {"schema": schema}}}
    operation = {"operationId": "x", "requestBody": body, "responses": {"200": {"description": "it is done"}}}
    return {**EVIL, "openapi": version, "paths": {"/": {"post": operation}}, "components": {"schemas": schemas}}


MAPPED = {"oneOf": [{"$ref": "#/components/schemas/A"}], "default": {"k": "a"}}


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize(
    ("word", "error"), [("$dynamicRef", "InvalidSpec"), ("discriminator", "InvalidRequest"), ("$id", "InvalidSpec")]
)
def test_no_reference_is_fetched(version: str, word: str, error: str) -> None:
    with serving_http([Reply({"type": "string"})] * 4) as other:
        schema = {
            "$dynamicRef": {"$dynamicRef": other.url, "default": 1},
            "discriminator": {**MAPPED, "discriminator": {"propertyName": "k", "mapping": {"a": other.url}}},
            "$id": {"$id": f"{other.url}/", "$ref": "#/none", "default": 1},
        }[word]
        spec = described(schema, version, A={"type": "object"})
        failed = refused("http://127.0.0.1:1", "x", body={"k": "a"}, spec=spec, server_url="http://127.0.0.1:1")
        assert (other.asked, other.connections) == ([], 0)
    assert failed.error in (error, "InvalidSpec")


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_pattern_that_takes_for_ever(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_openapi_request, "BUDGET_SECONDS", 0.2)
    spec = described({"type": "string", "pattern": "^(a|aa)+$", "default": "a" * 60 + "!"}, version)
    failed = refused("http://127.0.0.1:1", "x", body="a" * 60 + "!", spec=spec, server_url="http://127.0.0.1:1")
    assert failed.error == "InvalidSpec"
    assert "too long" in failed.message


@pytest.mark.parametrize("text", ["- " * 100_000, "[" * 100_000, '{"openapi": ' + "[" * 900 + "]" * 900 + "}"])
def test_a_description_that_is_nested_too_deep(text: str) -> None:
    with pytest.raises(NodeError) as failed:
        run("http://127.0.0.1:1", "x", world=Outside(files=Kept(text)), spec_file="shop.yaml")
    assert failed.value.error == "InvalidSpec"


def test_rules_that_cannot_be_bounded_are_not_taken() -> None:
    schema = {"unevaluatedProperties": False, "patternProperties": {"^(a|aa)+$": {}}}
    assert "not supported" in refused("http://127.0.0.1:1", "x", body={}, spec=described(schema)).message


def test_an_operation_that_is_not_there(base: str) -> None:
    assert refused(base, "nothing").error == "InvalidSpec"


def test_yaml_that_is_a_bomb(base: str) -> None:
    with pytest.raises(NodeError) as failed:
        run(base, "x", world=Outside(files=Kept(BOMB)), spec_file="shop.yaml")
    assert failed.value.error == "InvalidSpec"
    assert "aliases" in failed.value.message


def test_no_server_is_named() -> None:
    spec = json.loads(json.dumps(app.openapi()))
    with pytest.raises(NodeError, match="name one in server_url"):
        run("http://127.0.0.1:1", "who", spec=spec)


@pytest.mark.parametrize("config", [{}, {"spec_url": "https://a.example", "spec_file": "a"}])
def test_one_description_is_named(config: Any) -> None:
    assert problems("openapi_call", {"operation_id": "x", **config}) == ["config.spec_url"]


def test_the_network_bad_cases(base: str) -> None:
    spec = app.openapi()
    dead = Outside(allowed_hosts=frozenset({"127.0.0.1:1"}), credentials=Keyring({}))
    for config, error in (
        ({"server_url": "http://127.0.0.1:1"}, "ConnectionFailed"),
        ({"server_url": "http://169.254.169.254"}, "BlockedAddress"),
        ({"server_url": "http://127.0.0.1:1", "credential": "none"}, "CredentialNotFound"),
    ):
        with pytest.raises(NodeError) as failed:
            run(base, "who", world=dead, spec=spec, **config)
        assert failed.value.error == error
