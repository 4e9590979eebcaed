"""Looking at an MCP server over HTTP: what it has is remembered, and so is that it does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.settings import settings
from tests import http_api
from tests.functions.api.test_webhooks import key_with
from tests.servers.mcp import TIME_SERVER, own
from tests.servers.mcp.own import Own

SECRET = "hush-hush-token"


@pytest.fixture
def server(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Own]:
    with own.serving() as running:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", running.host)
        monkeypatch.setenv("SW_MCP_STDIO", f"time={TIME_SERVER} --local-timezone UTC")
        settings.cache_clear()
        yield running


def make(client, **document: Any) -> None:
    answer = client.post("/mcp-servers", json={"name": "own", **document})
    assert answer.status_code == 201, answer.text
    assert answer.json()["found"] is None


def refreshed(client, name: str = "own") -> Any:
    answer = client.post(f"/mcp-servers/{name}/refresh")
    assert answer.status_code == 200, answer.text
    assert client.get(f"/mcp-servers/{name}").json() == answer.json()
    return answer.json()["found"]


def test_what_it_has_is_remembered_until_it_changes(api_client, server):
    make(api_client, url=f"http://{server.host}/mcp", allowed_tools=["add"])
    found = refreshed(api_client)
    assert (found["ok"], found["error"], found["server"]["name"]) == (True, None, "own")
    assert [t["name"] for t in found["tools"]] == ["add"]
    assert "notes://today" in {r["uri"] for r in found["resources"]}
    assert {"summarise", "everything"} == {p["name"] for p in found["prompts"]}
    document = api_client.get("/mcp-servers/own").json()
    changed = api_client.put("/mcp-servers/own", json={**document, "allowed_tools": ["words"]})
    assert changed.json()["found"] is None
    assert [t["name"] for t in refreshed(api_client)["tools"]] == ["words"]


def health(client, name: str = "own") -> Any:
    answer = client.get(f"/mcp-servers/{name}/health")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_its_health_is_remembered(api_client, server):
    make(api_client, url=f"http://{server.host}/mcp")
    assert (health(api_client)["status"], health(api_client)["checked_at"]) == ("unknown", None)
    first = refreshed(api_client)
    well = health(api_client)
    assert (well["status"], well["last_ok_at"], well["failures"]) == ("healthy", first["at"], 0)
    assert (well["tools_count"], well["last_error"]) == (len(first["tools"]), None)
    assert 0 <= well["latency_ms"] < 20_000
    server.demands = ("authorization", "Bearer other")
    refreshed(api_client)
    found, ill = refreshed(api_client), health(api_client)
    assert (ill["status"], ill["failures"], ill["last_ok_at"]) == ("failing", 2, first["at"])
    assert (ill["last_error"]["error"], ill["last_error"]["at"]) == ("AuthenticationFailed", found["at"])
    assert [t["name"] for t in found["tools"]] == [t["name"] for t in first["tools"]]  # as it last answered
    server.demands = None
    assert refreshed(api_client)["changes"] == {"added": [], "removed": [], "changed": []}
    again = health(api_client)
    assert (again["status"], again["failures"]) == ("healthy", 0)
    assert again["last_error"]["error"] == "AuthenticationFailed"  # it is over, and still told


def test_a_new_server_of_an_old_name_is_not_known(api_client, server):
    make(api_client, url=f"http://{server.host}/mcp")
    refreshed(api_client)
    api_client.delete("/mcp-servers/own")
    make(api_client, url=f"http://{server.host}/mcp")


def test_one_that_does_not_answer(api_client, server):
    server.demands = ("authorization", "Bearer other")
    make(api_client, url=f"http://{server.host}/mcp")
    found = refreshed(api_client)
    assert (found["ok"], found["error"], found["tools"]) == (False, "AuthenticationFailed", [])


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"url": "http://169.254.169.254/mcp"}, "BlockedAddress"),
        ({"url": "http://no-such-host.invalid/mcp"}, "DnsError"),
        ({"url": "https://mcp.example/mcp", "credential": "nobody"}, "CredentialNotFound"),
        ({"transport": "stdio", "command": "rm"}, "NotAllowed"),
    ],
)
def test_why_it_does_not(api_client, server, document, error):
    make(api_client, **document)
    assert (refreshed(api_client)["ok"], refreshed(api_client)["error"]) == (False, error)


def test_a_command_of_the_operators(api_client, server):
    make(api_client, transport="stdio", command="time")
    assert [t["name"] for t in refreshed(api_client)["tools"]] == ["get_current_time", "convert_time"]


def test_the_tenants_own_credential_is_used_and_shown_nowhere(api_client, server):
    body = {"name": "crm", "kind": "bearer", "values": {"token": SECRET}}
    assert api_client.post("/credentials", json=body).status_code == 201
    server.demands = ("authorization", f"Bearer {SECRET}")
    make(api_client, url=f"http://{server.host}/mcp", credential="crm")
    assert refreshed(api_client)["ok"]
    assert SECRET not in api_client.get("/mcp-servers/own").text


def test_who_may(api_client, other_client, server):
    make(api_client, url=f"http://{server.host}/mcp")
    with http_api.connect(key_with(api_client, "viewer")) as viewer:
        assert viewer.post("/mcp-servers/own/refresh").status_code == 403
    assert other_client.post("/mcp-servers/own/refresh").status_code == 404
    assert server.asked == []


def test_what_has_changed_is_told(api_client, server):
    make(api_client, url=f"http://{server.host}/mcp")
    assert refreshed(api_client)["changes"] is None
    server.mcp.remove_tool("words")
    server.mcp.remove_tool("slow")
    server.mcp.add_tool(lambda: "new", name="grown", description="New.")
    server.mcp.add_tool(lambda: "quick", name="slow", description="No longer.")
    assert refreshed(api_client)["changes"] == {"added": ["grown"], "removed": ["words"], "changed": ["slow"]}


def test_the_health_of_anothers_server_is_not_found(api_client, other_client, server):
    make(api_client, url=f"http://{server.host}/mcp")
    assert other_client.get("/mcp-servers/own/health").status_code == 404
    with http_api.connect(key_with(api_client, "viewer")) as viewer:
        assert health(viewer)["status"] == "unknown"
