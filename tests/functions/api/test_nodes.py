from __future__ import annotations

import httpx

from shared.nodes.catalogue import catalogue
from shared.nodes.registry import names


def test_the_catalogue_holds_every_type(api_client: httpx.Client) -> None:
    answer = api_client.get("/workflows/nodes")
    assert answer.status_code == 200
    assert answer.json() == {"items": catalogue(), "next_cursor": None}
    assert {d["type"] for d in answer.json()["items"]} == names().keys()


def test_a_category(api_client: httpx.Client) -> None:
    found = api_client.get("/workflows/nodes", params={"category": "trigger"}).json()["items"]
    assert [d["type"] for d in found] == [
        "chat_trigger",
        "event_listener",
        "file_watch",
        "http_webhook",
        "manual_trigger",
        "schedule",
    ]
    assert api_client.get("/workflows/nodes", params={"category": "nothing"}).json()["items"] == []


def test_one_type(api_client: httpx.Client) -> None:
    found = api_client.get("/workflows/nodes/switch").json()
    assert found["kind"] == "expr"
    assert found["dynamic_outputs"] is True
    assert found["inputs"] == {
        "input": {"type": "any", "required": False, "multiple": False, "description": "What is handed on."}
    }
    loop = api_client.get("/workflows/nodes/loop").json()
    assert (loop["kind"], list(loop["inner_outputs"]), loop["scope_names"]) == (
        "container",
        ["item", "index"],
        ["index", "item"],
    )


def test_an_unknown_type(api_client: httpx.Client) -> None:
    for name in ("no_such_type", "_chat", "%2e%2e", "base"):
        answer = api_client.get(f"/workflows/nodes/{name}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_it_needs_credentials(public_client: httpx.Client) -> None:
    assert public_client.get("/workflows/nodes").status_code == 401
    assert public_client.get("/workflows/nodes/loop").status_code == 401
