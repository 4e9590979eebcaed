"""Threads over HTTP."""

from __future__ import annotations

import pytest

from tests import http_api
from tests.functions.api.test_webhooks import key_with


def test_made_said_read_changed_and_removed(api_client, other_client):
    made = api_client.post("/threads", json={"id": "order-7", "metadata": {"order": "7"}})
    assert (made.status_code, made.headers["etag"], made.headers["location"]) == (201, '"1"', "/api/v1/threads/order-7")
    assert api_client.post("/threads", json={"id": "order-7"}).json()["code"] == "id_taken"
    for text in ("Where is it?", "Still nothing."):
        said = api_client.post("/threads/order-7/messages", json={"content": text})
        assert said.status_code == 201, said.text
    first = api_client.get("/threads/order-7/messages", params={"limit": 1}).json()
    rest = api_client.get("/threads/order-7/messages", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [m["content"] for m in (*first["items"], *rest["items"])] == ["Where is it?", "Still nothing."]
    newest = api_client.get("/threads/order-7/messages", params={"order": "newest_first"}).json()["items"]
    assert [(m["number"], m["role"]) for m in newest] == [(1, "user"), (0, "user")]
    assert other_client.get("/threads/order-7").status_code == 404
    assert other_client.get("/threads/order-7/messages").status_code == 404
    assert other_client.post("/threads/order-7/messages", json={"content": "me too"}).status_code == 404
    assert other_client.post("/threads", json={"id": "order-7"}).status_code == 201
    changed = api_client.patch("/threads/order-7", json={"title": "Late"}, headers={"If-Match": '"1"'})
    assert (changed.json()["title"], changed.json()["metadata"], changed.json()["messages"]) == (
        "Late",
        {"order": "7"},
        2,
    )
    assert api_client.patch("/threads/order-7", json={"title": "x"}, headers={"If-Match": '"1"'}).status_code == 412
    assert api_client.delete("/threads/order-7", headers={"If-Match": '"1"'}).status_code == 412
    assert api_client.delete("/threads/order-7", headers={"If-Match": '"2"'}).status_code == 204
    assert api_client.get("/threads/order-7").status_code == 404
    assert [t["id"] for t in other_client.get("/threads").json()["items"]] == ["order-7"]


def test_said_once(api_client):
    thread_id = api_client.post("/threads", json={}).json()["id"]
    assert thread_id.startswith("th_")
    for _ in range(2):
        key = {"Idempotency-Key": "k"}
        said = api_client.post(f"/threads/{thread_id}/messages", json={"content": "Hello"}, headers=key)
        assert said.json()["number"] == 0
    assert api_client.get(f"/threads/{thread_id}").json()["messages"] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/threads", {"id": "a b"}),
        ("/threads", {"id": "-a"}),
        ("/threads", {"metadata": {"a": 1}}),
        ("/threads", {"title": "x" * 201}),
        ("/threads", {"more": 1}),
        ("/threads/t/messages", {"role": "boss", "content": "x"}),
        ("/threads/t/messages", {"content": 5}),
        ("/threads/t/messages", {}),
    ],
)
def test_refused(api_client, path, body):
    api_client.post("/threads", json={"id": "t"})
    assert api_client.post(path, json=body).status_code == 422


def test_who_may(api_client):
    with http_api.connect(key_with(api_client, "viewer", ("threads:read",))) as reader:
        assert reader.get("/threads").status_code == 200
        assert reader.post("/threads", json={}).status_code == 403


def test_a_message_is_read_and_removed_by_its_number(api_client, other_client):
    api_client.post("/threads", json={"id": "t"})
    said = [api_client.post("/threads/t/messages", json={"content": text}) for text in "abc"]
    url = "/threads/t/messages/1"
    assert said[1].headers["location"] == f"/api/v1{url}"
    assert api_client.get(url).json() == api_client.get("/threads/t/messages").json()["items"][1]
    assert other_client.get(url).status_code == other_client.delete(url).status_code == 404
    with http_api.connect(key_with(api_client, "viewer", ("threads:read",))) as reader:
        assert reader.get(url).json()["content"] == "b"
        assert reader.delete(url).status_code == 403
    assert api_client.delete(url).status_code == 204
    for again in (api_client.get(url), api_client.delete(url), api_client.delete("/threads/t/messages/3")):
        assert (again.status_code, again.json()["code"]) == (404, "no_message")
    assert api_client.get("/threads/t/messages/x").status_code == 422
    assert [m["number"] for m in api_client.get("/threads/t/messages").json()["items"]] == [0, 2]
    thread = api_client.get("/threads/t")
    assert (thread.json()["messages"], thread.headers["etag"]) == (2, '"1"')
    assert api_client.post("/threads/t/messages", json={"content": "d"}).json()["number"] == 3


def test_large_messages_make_short_pages(api_client):
    api_client.post("/threads", json={"id": "t"})
    for number in range(30):
        body = {"content": f"{number} " + "x" * 199_000}
        assert api_client.post("/threads/t/messages", json=body).status_code == 201
    for order in ("oldest_first", "newest_first"):
        seen, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            params = {"order": order} | ({"cursor": cursor} if cursor else {})
            answer = api_client.get("/threads/t/messages", params=params)
            assert answer.status_code == 200, answer.text[:500]
            seen += [m["number"] for m in answer.json()["items"]]
            cursor, pages = answer.json()["next_cursor"], pages + 1
        assert seen == sorted(range(30), reverse=order == "newest_first")
        assert pages == 2
