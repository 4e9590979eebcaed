from __future__ import annotations

import pytest

from shared.errors import Unavailable
from shared.nodes.base import NodeError
from tests.shared.nodes.calls import Outside, execute


def answered(inputs, config=None):
    world = Outside()
    assert execute("webhook_response", config, inputs, world=world) == {}
    (made,) = world.responses
    return made


def refused(inputs, config=None) -> NodeError:
    with pytest.raises(NodeError) as caught:
        answered(inputs, config)
    return caught.value


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        ({"a": [1, "ü"]}, '{"a":[1,"ü"]}'.encode(), "application/json"),
        ([], b"[]", "application/json"),
        (False, b"false", "application/json"),
        ("<b>ü</b>", "<b>ü</b>".encode(), "text/plain; charset=utf-8"),
        ({"base64": "iVBORw=="}, b"\x89PNG", "application/octet-stream"),
        ({"base64": "iVBORw==", "content_type": "image/png"}, b"\x89PNG", "image/png"),
        ({"base64": "x", "note": 1}, b'{"base64":"x","note":1}', "application/json"),
    ],
)
def test_bodies(body, sent, kind):
    made = answered({"body": body})
    assert (made.status, made.body, made.headers) == (200, sent, {"Content-Type": kind})


def test_without_a_body():
    made = answered({}, {"status": 204})
    assert (made.status, made.body, made.headers) == (204, b"", {})


def test_the_input_goes_before_the_config():
    made = answered({"body": "x", "status": 404.0, "headers": {"content-type": "text/html", "X-N": 5}}, {"status": 201})
    assert (made.status, made.headers) == (404, {"content-type": "text/html", "X-N": "5"})
    assert answered({"body": "x"}, {"content_type": "text/html"}).headers == {"Content-Type": "text/html"}


BAD = {
    "a status that is a text": {"status": "200"},
    "a status that is true": {"status": True},
    "an informational status": {"status": 101},
    "no status": {"status": 999},
    "half a status": {"status": 200.5},
    "not a number": {"status": float("nan")},
    "headers that are a list": {"headers": ["a"]},
    "a line break in a header": {"headers": {"X-A": "a\r\nSet-Cookie: b"}},
    "a line break in a name": {"headers": {"X-A\r\nB": "a"}},
    "an empty name": {"headers": {"": "a"}},
    "a header that is an object": {"headers": {"X-A": {}}},
    "a header that is null": {"headers": {"X-A": None}},
    "a header beyond ASCII": {"headers": {"X-A": "ü"}},
    "a long header": {"headers": {"X-A": "x" * 4_001}},
    "many headers": {"headers": {f"X-{n}": "a" for n in range(51)}},
    "a header twice": {"headers": {"X-A": "a", "x-a": "b"}},
    "a body with 204": {"status": 204, "body": "x"},
    "half a character": {"body": "\ud800"},
    "bad base64": {"body": {"base64": "***"}},
    "base64 of a number": {"body": {"base64": 5}},
    "a content type of a number": {"body": {"base64": "", "content_type": 5}},
}


@pytest.mark.parametrize("inputs", BAD.values(), ids=BAD)
def test_bad_input(inputs):
    assert refused(inputs).error == "InvalidInput"


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "transfer-encoding",
        "Content-Length",
        "SET-COOKIE",
        "Proxy-Authenticate",
        "X-Amzn-Trace",
        "Strict-Transport-Security",
        "Clear-Site-Data",
        "Content-Security-Policy",
        "X-Request-Id",
    ],
)
def test_headers_that_may_not_be_set(name):
    error = refused({"headers": {name: "x"}})
    assert error.error == "InvalidInput"
    assert name in error.message


@pytest.mark.parametrize("body", ["x" * 5_500_001, '"' * 2_800_000, {"base64": "/" * 6_000_000}])
def test_a_body_that_no_answer_can_hold(body):
    error = refused({"body": body})
    assert (error.error, error.retryable) == ("ResponseTooLarge", False)


def test_when_it_cannot_be_kept():
    class Down(Outside):
        def respond(self, response):
            raise Unavailable("no")

    with pytest.raises(NodeError) as caught:
        execute("webhook_response", {}, {"body": "x"}, world=Down())
    assert caught.value.error == "Unavailable"
