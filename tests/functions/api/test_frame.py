import json
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Request
from mangum import Mangum
from pydantic import Field

from functions.api.app import build
from functions.api.frame import MAX_BODY
from functions.api.schemas.base import Body
from shared.errors import Conflict, Problem, RateLimited, Unavailable
from tests.http_api import LambdaTransport, connect


class Thing(Body):
    name: str
    count: int = 0
    inner: dict[str, Any] = Field(default_factory=dict)


def _raises(error: Exception):
    def route() -> None:
        raise error

    return route


@pytest.fixture(scope="module")
def client():
    """The API with a few routes more, which need no AWS."""
    app = build()
    more = APIRouter(prefix="/api/v1/probe")

    @more.post("/thing")
    def thing(body: Thing) -> dict[str, Any]:
        return body.model_dump()

    @more.post("/raw")
    async def raw(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @more.get("/large")
    def large(size: int, of: str = "x") -> dict[str, str]:
        return {"text": of * size}

    more.get("/crash")(_raises(RuntimeError("sw_secret in a message")))
    more.get("/conflict")(_raises(Conflict("no", code="busy", errors=[Problem("c", "m", "a.b", "node_1")])))
    more.get("/limited")(_raises(RateLimited("slow down", retry_after=7)))
    more.get("/down")(_raises(Unavailable("try again")))
    app.include_router(more)

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return Mangum(app, lifespan="off", text_mime_types=["json"])(event, context)

    with httpx.Client(base_url="http://api.test/api/v1", transport=LambdaTransport(handler=handler)) as made:
        yield made


def _problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors", "request_id"}
    assert body["status"] == status
    assert body["type"] == f"urn:statewright:problem:{body['code']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


def _post(client, content: bytes, content_type: str = "application/json") -> httpx.Response:
    return client.post("/probe/thing", content=content, headers={"Content-Type": content_type})


def test_a_good_body_passes(client):
    answer = _post(client, b'{"name": "\\u00fc\\ud83e\\udd8a", "inner": {"a": [1.5, -2e3, null]}}')
    assert answer.status_code == 200
    assert answer.json() == {"name": "ü🦊", "count": 0, "inner": {"a": [1.5, -2000.0, None]}}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"nothing",
        b'{"name": "a",}',
        b'{"name": NaN}',
        b'{"name": "a", "inner": {"x": Infinity}}',
        b'{"name": "a", "inner": {"x": -Infinity}}',
        b'{"name": "a", "inner": {"x": 1e999}}',
        b'{"name": "a", "count": ' + b"9" * 5000 + b"}",
        b'{"name": "\xff"}',
        b"\xfe\xff\x00{\x00}",
        b'{"name": "\\ud800"}',
        b'{"name": "a", "inner": {"\\udfff": 1}}',
        b'{"name": "a\x00"}',
        b'{"name": "a", "inner": ' + b'{"a":' * 101 + b"1" + b"}" * 102,
        b"[" * 200_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"name": "a"} {"name": "b"}',
    ],
    ids=lambda content: content[:30].decode("latin-1"),
)
def test_what_is_not_json_is_malformed(client, content):
    assert _problem(_post(client, content), 400)["code"] == "bad_json"


def test_a_deep_body_within_the_limit_passes(client):
    content = b'{"name": "a", "inner": {"a": ' + b"[" * 90 + b"1" + b"]" * 90 + b"}}"
    assert _post(client, content).status_code == 200


@pytest.mark.parametrize(
    ("content", "path", "code"),
    [
        (b'{"name": "a", "nmae": "b"}', "nmae", "unknown_field"),
        (b"{}", "name", "missing"),
        (b'{"name": 5}', "name", "string_type"),
        (b'{"name": null}', "name", "string_type"),
        (b'{"name": "a", "count": "5"}', "count", "int_type"),
        (b'{"name": "a", "count": true}', "count", "int_type"),
        (b'{"name": "a", "count": 1.5}', "count", "int_type"),
        (b'{"name": "a", "inner": []}', "inner", "dict_type"),
        (b"[]", "body", "model_attributes_type"),
        (b"5", "body", "model_attributes_type"),
        (b"null", "body", "model_attributes_type"),
        (b"", "body", "missing"),
    ],
)
def test_a_body_that_does_not_fit_names_the_field(client, content, path, code):
    problem = _problem(_post(client, content), 422)
    assert [(e["path"], e["code"]) for e in problem["errors"]] == [(path, code)]
    assert path in problem["detail"]


def test_many_errors_are_counted_and_values_are_not_repeated(client):
    content = json.dumps({f"field{n}": "hunter2" for n in range(200)}).encode()
    problem = _problem(_post(client, content), 422)
    assert len(problem["errors"]) == 50
    assert "hunter2" not in json.dumps(problem)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_another_media_type_is_refused(client, content_type):
    assert _problem(_post(client, b'{"name": "a"}', content_type), 415)["code"] == "media_type"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_json_may_be_called_by_its_other_names(client, content_type):
    assert _post(client, b'{"name": "a"}', content_type).status_code == 200
    assert _problem(_post(client, b'{"name": NaN}', content_type), 400)["code"] == "bad_json"


def test_a_route_may_read_any_bytes(client):
    content = bytes(range(256))
    answer = client.post("/probe/raw", content=content, headers={"Content-Type": "application/octet-stream"})
    assert answer.json() == {"size": 256}


def test_a_body_over_the_limit_is_refused_and_one_at_the_limit_is_not(client):
    head, tail = b'{"name": "', b'"}'
    fitting = head + b"x" * (MAX_BODY - len(head) - len(tail)) + tail
    assert _problem(_post(client, fitting + b" "), 413)["code"] == "too_large"
    # At the limit it is read; its own answer is what then does not fit.
    assert "answer" in _problem(_post(client, fitting), 413)["detail"]


def test_an_answer_over_the_limit_says_so(client):
    assert client.get("/probe/large?size=5000000").status_code == 200
    assert "ask for less" in _problem(client.get("/probe/large?size=5600000"), 413)["detail"]


def test_what_has_to_be_escaped_counts_twice(client):
    """A quote is two bytes of JSON, and four inside of Lambda's own."""
    assert client.get("/probe/large?size=1300000&of=%22").status_code == 200
    assert "ask for less" in _problem(client.get("/probe/large?size=1400000&of=%22"), 413)["detail"]


def test_a_crash_says_nothing_but_its_request_id_and_is_logged(client, capsys):
    problem = _problem(client.get("/probe/crash"), 500)
    assert "secret" not in json.dumps(problem)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == ["crash", "request"]
    assert lines[0]["request_id"] == problem["request_id"]
    assert lines[0]["error"] == "RuntimeError"
    assert any(place.startswith("test_frame.py:") for place in lines[0]["at"])
    assert "secret" not in json.dumps(lines)


def test_errors_become_problems_with_their_headers(client):
    problem = _problem(client.get("/probe/conflict"), 409)
    assert problem["code"] == "busy"
    assert problem["errors"] == [{"code": "c", "message": "m", "path": "a.b", "node_id": "node_1"}]
    limited = client.get("/probe/limited")
    assert _problem(limited, 429)["code"] == "rate_limited"
    assert limited.headers["retry-after"] == "7"
    down = client.get("/probe/down")
    assert _problem(down, 503)["code"] == "unavailable"
    assert down.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/users/x/y/z", 404),
        ("GET", "/users/", 404),
        ("GET", "/", 404),
        ("GET", "/__init__", 404),
        ("GET", "/%00", 404),
        ("DELETE", "/health", 405),
        ("PUT", "/users", 405),
    ],
)
def test_unknown_paths_and_methods(client, method, path, status):
    answer = client.request(method, path)
    _problem(answer, status)
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("OPTIONS", "/workflows", "GET, POST"),
        ("PUT", "/users", "GET, POST"),
        ("POST", "/workflows/wf_1", "GET, PUT, PATCH, DELETE"),
        ("GET", "/threads/t/messages/1/x", None),
        ("PATCH", "/health", "GET"),
    ],
)
def test_a_method_that_is_not_there_names_those_that_are(client, method, path, allowed):
    assert client.request(method, path).headers.get("allow") == allowed


def test_one_line_a_request_with_the_template_and_nothing_that_was_sent(client, capsys):
    _post(client, b'{"name": "sw_secret"}')
    client.get("/users/us_secret?cursor=secret", headers={"X-API-Key": "secret"})
    out = capsys.readouterr().out
    first, second = (json.loads(line) for line in out.splitlines())
    assert {k: first[k] for k in ("message", "method", "route", "status", "service")} == {
        "message": "request",
        "method": "POST",
        "route": "/api/v1/probe/thing",
        "status": 200,
        "service": "api",
    }
    assert first["ms"] >= 0
    assert first["request_id"].startswith("req_")
    assert second["route"] == "/api/v1/users/{user_id}"
    assert second["status"] == 401
    assert "secret" not in out


def test_the_tenant_is_in_the_line(api_client, owner, capsys):
    api_client.get("/tenants/current")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["tenant_id"] == owner.tenant.id


def test_a_stage_with_a_name_is_taken_off_the_path():
    with connect(stage="prod") as staged:
        assert staged.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("stage", ["$default", "prod"])
def test_the_document_is_openapi_3_1_and_the_docs_show_it(stage):
    with httpx.Client(base_url="http://api.test", transport=LambdaTransport(stage=stage)) as root:
        document = root.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        assert "/api/v1/users/{user_id}" in document["paths"]
        assert "Problem" in document["components"]["schemas"]
        assert document["servers"] == [{"url": "."}]  # what `/openapi.json` lies in, wherever that is
        assert "url: 'openapi.json'" in root.get("/docs").text
