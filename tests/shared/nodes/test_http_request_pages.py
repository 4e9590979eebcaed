"""http_request from page to page, against services that hand out pages in the usual ways."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.nodes.base import NodeError
from shared.nodes.external import _exchange
from tests.shared.nodes.calls import Keyring, Outside, call, problems, run
from tests.shared.nodes.http_server import Asked, Reply, serving

ALL = list(range(1, 8))


def query(asked: Asked) -> dict[str, str]:
    return {k: v[0] for k, v in parse_qs(urlsplit(asked.path).query).items()}


def read(
    answer: Any, pagination: dict[str, Any], config: Any = None, **inputs: Any
) -> tuple[dict[str, Any], list, dict]:
    with serving(answer) as server:
        world = Outside(allowed_hosts=frozenset({server.host}), credentials=config and Keyring(config.pop("keyring")))
        made = call(
            "http_request",
            {"pagination": pagination, **(config or {})},
            {"url": f"{server.url}/rows", **inputs},
            world=world,
        )
        return run(made, "http_request"), server.asked, made.usage


def linked(asked: Asked) -> Reply:
    at = int(query(asked).get("page", 1))
    following = f'</rows?page={at + 1}&per=3>; rel="next", </rows?page=1>; rel="first"' if at < 3 else ""
    return Reply(ALL[(at - 1) * 3 : at * 3], headers={"Link": following} if following else {})


def cursored(asked: Asked) -> Reply:
    at = int(query(asked).get("cursor", 0))
    return Reply({"data": {"rows": ALL[at : at + 3]}, "next": at + 3 if at + 3 < len(ALL) else None})


def numbered(asked: Asked) -> Reply:
    at = int(query(asked)["page"])
    return Reply(ALL[(at - 1) * 3 : at * 3])


def offset(asked: Asked) -> Reply:
    given = query(asked)
    at, size = int(given["skip"]), int(given["take"])
    return Reply({"rows": ALL[at : at + size]})


KINDS = [
    (linked, {"type": "link"}, 3),
    (cursored, {"type": "cursor", "items": "page.data.rows", "cursor": "page.next"}, 3),
    (numbered, {"type": "page"}, 4),
    (numbered, {"type": "page", "page_size": 3}, 3),
    (
        offset,
        {"type": "offset", "items": "page.rows", "parameter": "skip", "page_size": 2, "size_parameter": "take"},
        4,
    ),
]


@pytest.mark.parametrize(("answer", "pagination", "pages"), KINDS)
def test_all_items_come_as_one_array(answer, pagination, pages):
    found, asked, usage = read(answer, pagination, query={"sort": "n"})
    assert (found["response"], found["complete"], found["status"]) == (ALL, True, 200)
    assert len(asked) == usage["pages"] == pages
    assert query(asked[0])["sort"] == "n"


def test_a_first_page_may_be_the_only_one():
    for answer, pagination in [
        ([Reply([])], {"type": "link"}),
        ([Reply([])], {"type": "page"}),
        ([Reply({"rows": []})], {"type": "cursor", "items": "page.rows", "cursor": "page.next"}),
        ([Reply({})], {"type": "cursor", "items": "page.rows", "cursor": "page.next"}),
    ]:
        found, asked, _ = read(answer, pagination)
        assert (found["response"], found["complete"], len(asked)) == ([], True, 1)


def test_reading_stops_at_its_bounds_and_says_so():
    found, asked, _ = read(linked, {"type": "link", "max_pages": 2})
    assert (found["response"], found["complete"], len(asked)) == (ALL[:6], False, 2)
    found, asked, _ = read(linked, {"type": "link", "max_items": 4})
    assert (found["response"], found["complete"], len(asked)) == (ALL[:4], False, 2)
    found, asked, _ = read(linked, {"type": "link", "max_items": 7})
    assert (found["response"], found["complete"]) == (ALL, True)


def test_all_pages_together_are_as_large_as_one_answer_may_be(monkeypatch):
    monkeypatch.setattr(_exchange, "MAX_BYTES", 250)
    with pytest.raises(NodeError) as caught:
        read(lambda _asked: Reply(["x" * 90]), {"type": "page"})
    assert caught.value.error == "ResponseTooLarge"


@pytest.mark.parametrize(
    ("answer", "pagination", "error", "says"),
    [
        ([Reply({"rows": []})], {"type": "link"}, "InvalidResponse", "no array"),
        ([Reply("text")], {"type": "page"}, "InvalidResponse", "no array"),
        ([Reply([1], headers={"Link": '</rows>; rel="next"'})], {"type": "link"}, "InvalidResponse", "there before"),
        (
            [Reply({"n": "a", "r": [1]})],
            {"type": "cursor", "items": "page.r", "cursor": "page.n"},
            "InvalidResponse",
            "before",
        ),
        (
            [Reply({"n": {}, "r": [1]})],
            {"type": "cursor", "items": "page.r", "cursor": "page.n"},
            "InvalidResponse",
            "cursor",
        ),
        ([Reply({"r": 5})], {"type": "page", "items": "page.r"}, "InvalidResponse", "no array"),
        ([Reply([1])], {"type": "page", "items": "$error('no')"}, "ExpressionError", ""),
        ([Reply([1]), Reply({}, 500)], {"type": "page"}, "HttpError", "500"),
        (
            [Reply([1], headers={"Link": '<http://192.0.2.1/rows>; rel="next"'})],
            {"type": "link"},
            "InvalidResponse",
            "another host",
        ),
        ([Reply([1], headers={"Link": '<http://a:b/>; rel="next"'})], {"type": "link"}, "InvalidResponse", "link"),
        ([Reply([1], headers={"Link": '<ftp://a/>; rel="next"'})], {"type": "link"}, "InvalidResponse", "host"),
    ],
)
def test_pages_that_lead_nowhere_fail_with_a_declared_error(answer, pagination, error, says):
    with pytest.raises(NodeError) as caught:
        read(answer, pagination)
    assert (caught.value.error, says in caught.value.message) == (error, True), caught.value


def test_each_page_has_the_credential():
    config = {"credential": "crm", "keyring": {"crm": ("basic", {"username": "a", "password": "b"})}}
    _, asked, _ = read(linked, {"type": "link"}, config)
    sent = {a.headers["authorization"] for a in asked}
    assert sent == {"Basic " + base64.b64encode(b"a:b").decode()}
    config = {"credential": "crm", "keyring": {"crm": ("api_key", {"name": "key", "value": "v", "in": "query"})}}
    _, asked, _ = read(linked, {"type": "link"}, config)
    assert [query(a)["key"] for a in asked] == ["v", "v", "v"]


def test_what_a_config_lacks_is_named():
    assert problems("http_request", {"pagination": {"type": "cursor"}}) == ["config.pagination.cursor"]
    assert problems("http_request", {"pagination": {"type": "cursor", "cursor": "page.n"}}) == []
    both = {"credential": "crm", "auth": {"type": "bearer", "token": "{{ trigger.t }}"}}
    assert problems("http_request", both) == ["config.auth"]
