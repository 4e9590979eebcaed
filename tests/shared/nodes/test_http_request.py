from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import time
from typing import Any

import pytest

from shared.nodes.base import Effect, NodeError
from shared.nodes.external import _exchange
from shared.nodes.registry import get
from tests.shared.nodes.calls import Outside, call, execute, problems
from tests.shared.nodes.http_server import Asked, Reply, Server, serving


def world(*servers: Server) -> Outside:
    return Outside(allowed_hosts=frozenset(s.host for s in servers))


def request(server: Server, config: dict[str, Any] | None = None, path: str = "/", **inputs: Any) -> dict[str, Any]:
    timeout = inputs.pop("timeout_seconds", 20)
    made = {"url": server.url + path, **inputs}
    return execute("http_request", config, made, world=world(server), timeout_seconds=timeout)


def failure(*args: Any, **more: Any) -> NodeError:
    with pytest.raises(NodeError) as caught:
        request(*args, **more)
    return caught.value


def test_json_goes_out_and_comes_back_with_status_and_headers() -> None:
    with serving([Reply({"id": 7, "name": "Ä"}, 201, {"X-Kind": "made"})]) as server:
        made = request(server, {"method": "POST"}, "/a?x=1&y=%2F", body={"n": [1, "é"]}, query={"q": [1, True, None]})
    assert made["response"] == {"id": 7, "name": "Ä"}
    assert made["status"] == 201
    assert made["headers"]["x-kind"] == "made"
    asked = server.asked[0]
    assert (asked.method, asked.path) == ("POST", "/a?x=1&y=%2F&q=1&q=true")
    assert asked.json == {"n": [1, "é"]}
    assert asked.headers["content-type"] == "application/json"


def test_a_url_without_further_parameters_is_sent_as_it_was_written() -> None:
    with serving([Reply()]) as server:
        request(server, path="/sign?a=%20b+c&sig=x%2Fy%3D")
    assert server.asked[0].path == "/sign?a=%20b+c&sig=x%2Fy%3D"


@pytest.mark.parametrize(
    ("config", "body", "sent", "content_type"),
    [
        ({}, "plain é", "plain é".encode(), "text/plain; charset=utf-8"),
        ({}, 3, b"3", "application/json"),
        ({"body_type": "json"}, "text", b'"text"', "application/json"),
        ({"body_type": "form"}, {"a": 1, "b": ["x", "y"]}, b"a=1&b=x&b=y", "application/x-www-form-urlencoded"),
        ({}, None, b"", None),
    ],
)
def test_bodies(config: dict[str, Any], body: Any, sent: bytes, content_type: str | None) -> None:
    with serving([Reply()]) as server:
        request(server, {"method": "POST", **config}, body=body)
    assert server.asked[0].body == sent
    assert server.asked[0].headers.get("content-type") == content_type


@pytest.mark.parametrize(
    ("config", "headers", "body", "expected"),
    [
        ({}, {"Content-Type": "application/problem+json"}, b'{"a": 1}', {"a": 1}),
        ({}, {"Content-Type": "application/json"}, b"no json", "no json"),
        ({}, {"Content-Type": "application/json"}, b"[NaN]", "[NaN]"),
        ({}, {"Content-Type": "text/html; charset=latin-1"}, b"\xe9", "é"),
        ({}, {}, "é".encode(), "é"),
        ({}, {}, b"\xff\x00", {"base64": "/wA=", "content_type": "", "size": 2}),
        ({}, {"Content-Type": "image/png"}, b"abc", {"base64": "YWJj", "content_type": "image/png", "size": 3}),
        ({"response_type": "json"}, {"Content-Type": "text/plain"}, b"[1]", [1]),
        ({"response_type": "text"}, {"Content-Type": "application/json"}, b"[1]", "[1]"),
        ({}, {"Content-Type": "application/json"}, b"", None),
        ({}, {"Content-Type": "text/plain"}, b"", ""),
        ({}, {"Content-Encoding": "gzip", "Content-Type": "text/plain"}, gzip.compress(b"zip"), "zip"),
    ],
)
def test_answers(config: dict[str, Any], headers: dict[str, str], body: bytes, expected: Any) -> None:
    with serving([Reply(body, 200, headers)]) as server:
        assert request(server, config)["response"] == expected


def test_five_megabytes_of_json_arrive_unharmed() -> None:
    rows = [{"id": i, "text": "ÄÖÜ" * 20} for i in range(30_000)]
    with serving([Reply(rows)]) as server:
        assert request(server)["response"] == rows
    assert len(json.dumps(rows)) > 5_000_000


def test_an_error_status_fails_unless_it_is_wanted() -> None:
    with serving([Reply({"secret": "echoed"}, 429, {"Retry-After": "7"})]) as server:
        error = failure(server)
        answer = request(server, {"fail_on_status": False})
    assert (error.error, error.retry_after) == ("HttpError", 7)
    assert "429" in error.message
    assert "echoed" not in error.message
    assert (answer["status"], answer["response"]) == (429, {"secret": "echoed"})


@pytest.mark.parametrize(
    ("status", "again"),
    [
        *((status, False) for status in (400, 401, 403, 404, 422)),
        *((status, True) for status in (408, 409, 425, 429, 500, 503)),
    ],
)
def test_only_what_may_change_is_worth_another_try(status: int, again: bool) -> None:
    with serving([Reply(b"", status)]) as server:
        assert failure(server).retryable is again


@pytest.mark.parametrize(
    ("status", "unsure"),
    [*((status, True) for status in (408, 502, 504)), *((status, False) for status in (400, 409, 425, 429, 500, 503))],
)
def test_what_a_gateway_answers_leaves_open_whether_it_was_done(status: int, unsure: bool) -> None:
    with serving([Reply(b"", status)]) as server:
        assert failure(server).unsure is unsure


def test_retry_after_may_be_a_date_and_may_be_nonsense() -> None:
    with serving([Reply(b"", 503, {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"})]) as server:
        later = failure(server).retry_after
    with serving([Reply(b"", 503, {"Retry-After": "soon"})]) as server:
        assert failure(server).retry_after is None
    assert later is not None
    assert later > 3600


def test_idempotency_key_is_the_node_runs_own_unless_given_and_never_on_get() -> None:
    with serving([Reply()]) as server:
        request(server, {"method": "POST"})
        request(server, {"method": "POST"}, headers={"idempotency-KEY": "mine"})
        request(server, {"method": "GET"})
    assert [a.headers.get("idempotency-key") for a in server.asked] == ["ex_1:n1", "mine", None]


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "basic", "username": "ada", "password": "pw:1"}, "authorization", "Basic YWRhOnB3OjE="),
        ({"type": "bearer", "token": "{{ variables.token }}"}, "authorization", "Bearer t-1"),
        ({"type": "api_key", "name": "X-Key", "value": "k"}, "x-key", "k"),
    ],
)
def test_authentication(auth: dict[str, str], header: str, value: str) -> None:
    with serving([Reply()]) as server:
        inputs = {"url": server.url}
        names = {"variables": {"token": "t-1"}}
        execute("http_request", {"auth": auth}, inputs, names=names, world=world(server))
    assert server.asked[0].headers[header] == value


def test_an_api_key_may_go_into_the_query() -> None:
    with serving([Reply()]) as server:
        request(server, {"auth": {"type": "api_key", "name": "key", "value": "a b", "in": "query"}}, "/?x=1")
        request(server, {"auth": {"type": "api_key", "name": "x", "value": "k", "in": "query"}}, "/?x=1&y=a,b%2Cc")
    assert [asked.path for asked in server.asked] == ["/?x=1&key=a+b", "/?y=a,b%2Cc&x=k"]


def test_credentials_do_not_leave_the_host_on_a_redirect() -> None:
    with serving([Reply()]) as other:
        answer = Reply(b"", 307, {"Location": f"{other.url}/there"})
        for auth in ({"type": "bearer", "token": "t"}, {"type": "api_key", "name": "X-Key", "value": "k"}):
            with serving(lambda a, r=answer: Reply(b"", 302, {"Location": "/again"}) if a.path == "/" else r) as server:
                inputs = {"url": f"{server.url}/", "headers": {"Cookie": "c=1"}}
                execute("http_request", {"auth": auth}, inputs, world=world(server, other))
            assert {"authorization", "x-key"} & server.asked[1].headers.keys()  # the same host still gets them
    assert [a.path for a in other.asked] == ["/there", "/there"]
    for asked in other.asked:
        assert not {"authorization", "x-key", "cookie"} & asked.headers.keys()


def test_only_plain_headers_go_along_on_a_redirect_to_another_host() -> None:
    given = {"X-Api-Key": "k", "X-Trace": "t", "Accept": "text/csv", "Accept-Language": "de", "User-Agent": "me"}
    with serving([Reply()]) as other:
        answer = Reply(b"", 307, {"Location": f"{other.url}/there"})
        with serving(lambda a: Reply(b"", 307, {"Location": "/again"}) if a.path == "/" else answer) as server:
            inputs = {"url": f"{server.url}/", "headers": given, "body": {"a": 1}}
            execute("http_request", {"method": "POST"}, inputs, world=world(server, other))
    assert [a.headers["x-api-key"] for a in server.asked] == ["k", "k"]  # the same host still gets them
    [asked] = other.asked
    assert asked.json == {"a": 1}
    assert set(asked.headers) == {
        *("accept", "accept-encoding", "accept-language", "content-length", "content-type", "host", "idempotency-key"),
        *("user-agent",),
    }
    assert (asked.headers["accept"], asked.headers["user-agent"]) == ("text/csv", "me")
    assert asked.headers["idempotency-key"] == server.asked[0].headers["idempotency-key"]


def test_redirects_follow_the_rules_for_methods() -> None:
    def answer(asked: Asked) -> Reply:
        code = int(asked.path.strip("/") or 0)
        return Reply(b"", code, {"Location": "/0"}) if code else Reply({"method": asked.method, "n": len(asked.body)})

    with serving(answer) as server:
        seen = [request(server, {"method": "POST"}, f"/{c}", body="abc")["response"] for c in (303, 307, 308)]
    assert seen == [{"method": "GET", "n": 0}, {"method": "POST", "n": 3}, {"method": "POST", "n": 3}]


def test_redirects_end() -> None:
    with serving([Reply(b"", 302, {"Location": "/"})]) as server:
        assert failure(server, {"max_redirects": 2}).error == "TooManyRedirects"
        assert len(server.asked) == 3
        assert request(server, {"max_redirects": 0})["status"] == 302


@pytest.mark.parametrize("location", ["ftp://example.com/", "file:///etc/passwd", "gopher://x"])
def test_redirects_lead_only_to_http(location: str) -> None:
    with serving([Reply(b"", 302, {"Location": location})]) as server:
        assert failure(server).error == "InvalidResponse"


@pytest.mark.parametrize(
    "inputs",
    [
        {"url": None},
        {"url": 5},
        {"url": "example.com/no-scheme"},
        {"url": "ftp://example.com"},
        {"url": "http://"},
        {"url": "http://[::1"},
        {"url": "http://a:99999/"},
        {"url": "https://ada:pw@example.com/"},
        {"url": "http://example.com/", "headers": ["a"]},
        {"url": "http://example.com/", "headers": {"Bad Name": "x"}},
        {"url": "http://example.com/", "headers": {"Host": "internal"}},
        {"url": "http://example.com/", "headers": {"Transfer-Encoding": "chunked"}},
        {"url": "http://example.com/", "headers": {"X": "a\r\nInjected: 1"}},
        {"url": "http://example.com/", "headers": {"X": "pw "}},
        {"url": "http://example.com/", "headers": {"X": {"deep": 1}}},
        {"url": "http://example.com/", "query": {"q": {"deep": 1}}},
        {"url": "http://example.com/", "query": "a=b"},
    ],
)
def test_bad_inputs_are_refused_before_anything_is_sent(inputs: dict[str, Any]) -> None:
    with pytest.raises(NodeError) as caught:
        execute("http_request", {}, inputs)
    assert caught.value.error == "InvalidInput"
    assert not caught.value.retryable
    assert "pw" not in caught.value.message


def test_a_form_must_be_an_object_and_text_must_be_text() -> None:
    with serving([Reply()]) as server:
        assert failure(server, {"method": "POST", "body_type": "form"}, body="a").error == "InvalidInput"
        assert failure(server, {"method": "POST", "body_type": "text"}, body={}).error == "InvalidInput"
    assert not server.asked


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_over_the_cap_is_stopped(announced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_exchange, "MAX_BYTES", 1_000)
    body = b"x" * 5_000 if announced else gzip.compress(b"x" * 5_000)
    headers = {} if announced else {"Content-Encoding": "gzip"}  # small on the wire, large when unpacked
    with serving([Reply(body, 200, headers)]) as server:
        assert failure(server).error == "ResponseTooLarge"


def test_a_slow_answer_times_out() -> None:
    def slow(_asked: Asked) -> Reply:
        time.sleep(1)
        return Reply()

    with serving(slow) as server:
        started = time.monotonic()
        error = failure(server, timeout_seconds=0.2)
    assert error.error == "Timeout"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("cut", [0, 10])
def test_a_connection_that_breaks_is_said_to(cut: int) -> None:
    with serving([Reply(b"x" * 100, cut=cut)]) as server:
        assert failure(server).error == "ConnectionFailed"


def test_what_comes_back_from_something_else_than_http_is_not_quoted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def echo() -> None:
            with listening.accept()[0] as near:
                near.sendall(near.recv(65_536))

        thread = threading.Thread(target=echo)
        thread.start()
        error = failure(Server(listening.getsockname()[1]), query={"key": "s3cret"})
        thread.join()
    assert error.error == "ConnectionFailed"
    assert "s3cret" not in error.message


def test_nobody_listening_and_no_such_name() -> None:
    with serving([Reply()]) as server:
        pass
    assert failure(server).error == "ConnectionFailed"
    with pytest.raises(NodeError) as caught:
        execute("http_request", {}, {"url": "http://no-such-host.invalid/"})
    assert caught.value.error == "DnsError"


def test_connections_stay_warm_between_calls_and_cookies_do_not() -> None:
    async def three(server: Server) -> None:
        for _ in range(3):
            made = call("http_request", {}, {"url": server.url}, world=world(server))
            node_type = get("http_request")
            assert isinstance(node_type, Effect)
            await node_type.execute(made)

    with serving([Reply(b"ok", 200, {"Set-Cookie": "who=tenant-a"})]) as server:
        asyncio.run(three(server))
    assert len(server.asked) == 3
    assert server.connections == 1
    assert not any("cookie" in a.headers for a in server.asked)


def test_each_kind_of_authentication_names_the_fields_it_lacks() -> None:
    assert problems("http_request", {"auth": {"type": "basic", "username": "a"}}) == ["config.auth.password"]
    assert problems("http_request", {"auth": {"type": "bearer"}}) == ["config.auth.token"]
    assert problems("http_request", {"auth": {"type": "api_key"}}) == ["config.auth.name", "config.auth.value"]
    assert problems("http_request", {}) == []
