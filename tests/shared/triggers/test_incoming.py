import base64
import os
import random

import pytest

from shared.errors import BadRequest, TooLarge
from shared.triggers.incoming import MAX_BODY, Incoming
from tests.triggered import raw_event

PATH = "/hooks/wh_abc"


def incoming(body: bytes = b"", content_type: str | None = None, path: str = PATH, **more) -> Incoming:
    headers = {} if content_type is None else {"Content-Type": content_type}
    sent = base64.b64encode(body).decode()
    return Incoming.of(raw_event(path, headers=headers, body=sent, isBase64Encoded=True) | more)


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", b'{"a": [1, 2.5, null, "\xc3\xbc"]}', {"a": [1, 2.5, None, "ü"]}),
        ("application/JSON; charset=utf-8", b"5", 5),
        ("application/vnd.github+json", b"[]", []),
        ("application/cloudevents+json;x=y", b'"t"', "t"),
        ("application/x-www-form-urlencoded", b"a=1&b=&a=2&c=%C3%BC+x", {"a": ["1", "2"], "b": "", "c": "ü x"}),
        ("text/plain", "grün".encode(), "grün"),
        ("text/plain; charset=iso-8859-1", "grün".encode("latin-1"), "grün"),
        ('text/csv; charset="UTF-16"', "a;b".encode("utf-16"), "a;b"),
        ("application/xml", b"<a/>", "<a/>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/octet-stream", b"\x00\xff", base64.b64encode(b"\x00\xff").decode()),
        ("multipart/form-data; boundary=x", b"--x--", base64.b64encode(b"--x--").decode()),
        (None, b"a", base64.b64encode(b"a").decode()),
        ("application/json", b"", None),
        (None, b"", None),
    ],
)
def test_a_body_becomes_a_value_by_its_type(content_type, body, value):
    request = incoming(body, content_type)
    assert request.parsed(request.body()) == value


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"{'a': 1}"),
        ("application/json", b"NaN"),
        ("application/json", b"[1e999]"),
        ("application/json", b'"\xff"'),
        ("application/json", b'"\\ud800"'),
        ("application/json", b"9" * 5000),
        ("application/json", b"[" * 101 + b"]" * 101),
        ("application/json", b"[" * 200_000),
        ("application/json", b"{} {}"),
        ("application/x-www-form-urlencoded", b"a=%FF"),
        ("application/x-www-form-urlencoded", b"a=\xff"),
        ("application/x-www-form-urlencoded", b"a&" * 10_001),
        ("text/plain", b"\xff"),
        ("text/plain; charset=utf-7", b"+2AA-"),
        ("text/plain; charset=nonsense", b"a"),
        ("text/plain; charset=zlib_codec", b"a"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_not_what_it_says_is_malformed(content_type, body):
    request = incoming(body, content_type)
    with pytest.raises(BadRequest):
        request.parsed(request.body())


def test_a_hundred_levels_are_taken():
    request = incoming(b"[" * 100 + b"]" * 100, "application/json")
    assert request.parsed(request.body())


def test_the_bytes_are_those_that_were_sent():
    for seed in range(50):
        body = random.Random(seed).randbytes(seed * 7)
        assert incoming(body).body() == body
    text = raw_event(PATH, body="ü\u2028\x00", isBase64Encoded=False)
    assert Incoming.of(text).body() == "ü\u2028\x00".encode()


@pytest.mark.parametrize("body", ["!", "a", "=", "YQ", "YQ==YQ==", "Y Q==", "YQ==\n", "\N{SNOWMAN}"])
def test_base64_that_is_none_is_malformed(body):
    with pytest.raises(BadRequest):
        Incoming.of(raw_event(PATH, body=body, isBase64Encoded=True)).body()


def test_half_a_surrogate_pair_in_a_text_body_is_malformed():
    with pytest.raises(BadRequest):
        Incoming.of(raw_event(PATH, body="\ud800", isBase64Encoded=False)).body()


@pytest.mark.parametrize("encoded", [True, False])
def test_one_megabyte_is_taken_and_a_byte_more_is_not(encoded):
    def event(size: int):
        body = os.urandom(size) if encoded else b"x" * size
        text = base64.b64encode(body).decode() if encoded else body.decode()
        return Incoming.of(raw_event(PATH, body=text, isBase64Encoded=encoded))

    assert len(event(MAX_BODY).body()) == MAX_BODY
    for size in (MAX_BODY + 1, MAX_BODY + 2, MAX_BODY + 3, 3 * MAX_BODY):
        with pytest.raises(TooLarge):
            event(size).body()


def test_text_is_measured_in_bytes():
    with pytest.raises(TooLarge):
        Incoming.of(raw_event(PATH, body="ü" * (MAX_BODY // 2 + 1), isBase64Encoded=False)).body()


@pytest.mark.parametrize(
    ("path", "webhook_id", "rest"),
    [
        ("/hooks/wh_abc", "wh_abc", "/"),
        ("/hooks/wh_abc/", "wh_abc", "/"),
        ("/hooks/wh_abc/a/b c", "wh_abc", "/a/b c"),
        ("/hooks/wh_abc/hooks/x", "wh_abc", "/hooks/x"),
        ("/local/hooks/wh_abc/x", "wh_abc", "/x"),
        ("/hooks/", "", "/"),
        ("/other", "", "/"),
    ],
)
def test_addresses(path, webhook_id, rest):
    request = Incoming.of(raw_event("/x") | {"rawPath": path})
    assert (request.webhook_id, request.path, request.draft) == (webhook_id, rest, False)
    draft = Incoming.of(raw_event("/x") | {"rawPath": "/hooks-test/wh_1/p"})
    assert (draft.webhook_id, draft.path, draft.draft) == ("wh_1", "/p", True)


def test_query_and_headers():
    event = raw_event(PATH, rawQueryString="a=1&b=2&b=3&c&d=%C3%BC&e=%FF", headers={"X-A": "\ud800b"})
    request = Incoming.of(event)
    assert request.query == {"a": "1", "b": ["2", "3"], "c": "", "d": "ü", "e": "\ufffd"}
    assert request.headers == {"x-a": "?b"}


def test_an_event_without_body_query_and_headers():
    event = {"rawPath": PATH, "requestContext": {"http": {"method": "get"}}}
    request = Incoming.of(event)
    assert (request.method, request.body(), request.query, request.headers) == ("GET", b"", {}, {})
