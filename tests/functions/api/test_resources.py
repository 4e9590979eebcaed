"""Tools, MCP servers and agents over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests import http_api
from tests.functions.api.test_webhooks import key_with

TOOL = {
    "name": "lookup_order",
    "description": "Finds an order.",
    "kind": "http",
    "url": "https://shop.example/orders/{id}",
    "input_schema": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    "credential": "shop",
    "ask_a_person": True,
}
SERVER = {"name": "crm", "url": "https://mcp.example/mcp", "credential": "crm_key", "allowed_tools": ["find"]}
AGENT = {"name": "clerk", "model": {"provider": "anthropic", "model": "m", "parameters": {"temperature": 0}}}
EVERY = [("tools", TOOL), ("mcp-servers", SERVER), ("agents", AGENT)]
every = pytest.mark.parametrize(("path", "document"), EVERY, ids=[path for path, _ in EVERY])


def change(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "description": "Changed."}


@every
def test_made_read_listed_changed_and_removed(api_client, other_client, path, document):
    created = api_client.post(f"/{path}", json=document)
    assert created.status_code == 201, created.text
    name, body = document["name"], created.json()
    assert document.items() <= {**body, "model": document.get("model")}.items()
    assert (created.headers["etag"], created.headers["location"]) == ('"1"', f"/api/v1/{path}/{name}")
    read = api_client.get(f"/{path}/{name}")
    assert (read.json(), read.headers["etag"]) == (body, '"1"')
    listed = api_client.get(f"/{path}").json()
    assert [(i["name"], i["version"]) for i in listed["items"]] == [(name, 1)]
    assert other_client.get(f"/{path}").json()["items"] == []
    changed = api_client.put(f"/{path}/{name}", json=change(body), headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["created_at"] == body["created_at"]
    assert api_client.put(f"/{path}/{name}", json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert api_client.delete(f"/{path}/{name}", headers={"If-Match": '"1"'}).status_code == 412
    assert api_client.delete(f"/{path}/{name}", headers={"If-Match": '"2"'}).status_code == 204
    assert api_client.get(f"/{path}/{name}").status_code == 404


@every
def test_a_name_is_unique_in_its_tenant_and_kind(api_client, other_client, path, document):
    api_client.post(f"/{path}", json=document)
    again = api_client.post(f"/{path}", json=document)
    assert (again.status_code, again.json()["code"]) == (409, "name_taken")
    assert other_client.post(f"/{path}", json=document).status_code == 201


@every
def test_every_change_is_a_version_that_is_kept(api_client, path, document):
    name = document["name"]
    api_client.post(f"/{path}", json=document)
    api_client.put(f"/{path}/{name}", json=change(document))
    assert api_client.put(f"/{path}/{name}", json=change(document)).headers["etag"] == '"2"'  # nothing has changed
    versions = api_client.get(f"/{path}/{name}/versions").json()["items"]
    assert [v["version"] for v in versions] == [2, 1]
    first = api_client.get(f"/{path}/{name}/versions/1").json()
    assert (first["document"]["name"], first["document"]["description"]) == (name, document.get("description", ""))
    assert api_client.get(f"/{path}/{name}/versions/3").status_code == 404


@every
def test_a_new_thing_of_an_old_name_has_no_old_versions(api_client, path, document):
    name = document["name"]
    for _ in range(2):
        api_client.post(f"/{path}", json=document)
        api_client.put(f"/{path}/{name}", json=change(document))
        api_client.delete(f"/{path}/{name}")
    api_client.post(f"/{path}", json=document)
    assert [v["version"] for v in api_client.get(f"/{path}/{name}/versions").json()["items"]] == [1]
    assert api_client.get(f"/{path}/{name}/versions/2").status_code == 404


@every
def test_pages(api_client, path, document):
    for letter in "abc":
        api_client.post(f"/{path}", json={**document, "name": letter})
    first = api_client.get(f"/{path}", params={"limit": 2}).json()
    rest = api_client.get(f"/{path}", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [i["name"] for i in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert api_client.get("/user-types", params={"cursor": first["next_cursor"]}).status_code == 400


@every
def test_the_same_idempotency_key_makes_one(api_client, path, document):
    once = {"Idempotency-Key": "k1"}
    first, again = (api_client.post(f"/{path}", json=document, headers=once) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())


@every
def test_roles_and_scopes(api_client, path, document):
    api_client.post(f"/{path}", json=document)
    with http_api.connect(key_with(api_client, "viewer")) as viewer:
        assert viewer.get(f"/{path}/{document['name']}").status_code == 200
        assert viewer.post(f"/{path}", json={**document, "name": "other"}).status_code == 403
        assert viewer.delete(f"/{path}/{document['name']}").status_code == 403


LONG = "x" * 64
BAD_NAMES = ("", "Aa", "1a", "a-b", "a\n", "a" + LONG, 5, None)
BAD: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
    *((path, document, {"name": name}, 422) for path, document in EVERY for name in BAD_NAMES),
    *((path, document, {"unknown": 1}, 422) for path, document in EVERY),
    *((path, document, {"description": 5}, 422) for path, document in EVERY),
    ("tools", TOOL, {"kind": "magic"}, 422),
    ("tools", TOOL, {"url": "ftp://shop.example"}, 422),
    ("tools", TOOL, {"url": "https://{host}/orders"}, 422),
    ("tools", TOOL, {"url": "https://me:pw@shop.example/"}, 422),
    ("tools", TOOL, {"url": "https://shop.example/\n"}, 422),
    ("tools", TOOL, {"method": "TRACE"}, 422),
    ("tools", TOOL, {"ask_a_person": "yes"}, 422),
    ("tools", TOOL, {"headers": {"Authorization": "Bearer x"}}, 422),
    ("tools", TOOL, {"headers": {"X": "a\r\nb"}}, 422),
    ("tools", TOOL, {"input_schema": {"type": "nonsense"}}, 422),
    ("tools", TOOL, {"input_schema": {"type": "array"}}, 422),
    ("tools", TOOL, {"input_schema": {"type": "object", "$ref": "https://elsewhere.example/schema"}}, 422),
    ("tools", TOOL, {"input_schema": {"type": "object", "description": "x" * 100_000}}, 413),
    ("tools", TOOL, {"body": "{{ args."}, 422),
    ("tools", {"name": "b", "kind": "builtin", "builtin": "calculate"}, {"builtin": "rm"}, 422),
    ("tools", {"name": "w", "kind": "workflow", "workflow_id": "wf"}, {"workflow_version": 0}, 422),
    ("tools", {"name": "m", "kind": "mcp", "server": "crm", "tool": "find"}, {"server": "Not a name"}, 422),
    ("mcp-servers", SERVER, {"url": None}, 422),
    ("mcp-servers", SERVER, {"url": "https://me:pw@mcp.example/mcp"}, 422),
    ("mcp-servers", SERVER, {"url": "https:///mcp"}, 422),
    ("mcp-servers", SERVER, {"command": "time"}, 422),
    ("mcp-servers", SERVER, {"transport": "stdio"}, 422),
    ("mcp-servers", SERVER, {"transport": "stdio", "url": None, "command": "time"}, 422),  # with a credential
    ("mcp-servers", SERVER, {"transport": "carrier pigeon"}, 422),
    ("mcp-servers", SERVER, {"allowed_tools": "all"}, 422),
    ("mcp-servers", SERVER, {"headers": {"cookie": "x"}}, 422),
    ("agents", AGENT, {"model": {"provider": "nobody", "model": "m"}}, 422),
    ("agents", AGENT, {"model": {"model": ""}}, 422),
    ("agents", AGENT, {"tools": ["Not a name"]}, 422),
    ("agents", AGENT, {"tools": ["t"] * 129}, 422),
    ("agents", AGENT, {"limits": {"max_steps": 0}}, 422),
    ("agents", AGENT, {"limits": {"max_steps": "10"}}, 422),
    ("agents", AGENT, {"memory": {"max_messages": -1}}, 422),
    ("agents", AGENT, {"instructions": "x" * 50_001}, 422),
]  # fmt: skip


@pytest.mark.parametrize(("path", "document", "wrong", "status"), BAD, ids=[f"{p}-{str(w)[:40]}" for p, _, w, _ in BAD])
def test_bad_documents_are_refused_and_nothing_is_stored(api_client, path, document, wrong, status):
    assert api_client.post(f"/{path}", json=document).status_code == 201
    api_client.delete(f"/{path}/{document['name']}")
    answer = api_client.post(f"/{path}", json={**document, **wrong})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api_client.get(f"/{path}").json()["items"] == []


def test_a_name_does_not_change(api_client):
    api_client.post("/agents", json=AGENT)
    answer = api_client.put("/agents/clerk", json={**AGENT, "name": "other"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "other_name")


def test_lists_show_what_a_palette_needs(api_client):
    for path, document in EVERY:
        api_client.post(f"/{path}", json=document)
    shown = {path: api_client.get(f"/{path}").json()["items"][0] for path, _ in EVERY}
    assert (shown["tools"]["kind"], shown["tools"]["ask_a_person"]) == ("http", True)
    assert (shown["mcp-servers"]["transport"], shown["mcp-servers"]["url"]) == ("streamable_http", SERVER["url"])
    assert shown["agents"]["model"]["model"] == "m"
