"""What there is to be put into a workflow, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tools.builtin import BUILTINS
from tests import http_api
from tests.functions.api.test_resources import AGENT, SERVER, TOOL
from tests.functions.api.test_webhooks import key_with
from tests.functions.api.workflows_over_http import adder, created

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}
SEEN = {
    "at": "2026-01-01T00:00:00Z",
    "latency_ms": 12,
    "ok": True,
    "error": None,
    "message": None,
    "server": None,
    "resources": [],
    "prompts": [],
    "last_ok_at": "2026-01-01T00:00:00Z",
    "last_error": None,
    "failures": 0,
    "tools": [{"name": n, "description": f"About {n}.", "input_schema": SCHEMA} for n in ("find", "change it")],
    "changes": None,
}


@pytest.fixture
def furnished(api_client, tenant) -> None:
    """A server that was looked at and one that was not, tools of each kind, an agent."""
    for path, document in (
        ("mcp-servers", SERVER),
        ("mcp-servers", {"name": "dark", "url": "https://mcp.example/dark"}),
        ("tools", TOOL),
        ("tools", {"name": "seek", "kind": "mcp", "server": "crm", "tool": "find"}),
        ("tools", {"name": "lost", "kind": "mcp", "server": "nobody", "tool": "find"}),
        ("tools", {"name": "sums", "kind": "workflow", "workflow_id": "wf_1", "description": "Sums up."}),
        ("tools", {"name": "calculate", "kind": "builtin", "builtin": "calculate", "description": "Mine."}),
        ("agents", {**AGENT, "tools": ["seek"], "memory": {"enabled": True}}),
    ):
        assert api_client.post(f"/{path}", json=document).status_code == 201
    store = ResourceStore(TenantTable(tenant))
    store.keep_found(store.get("mcp_servers", "crm"), SEEN)
    for name in ("adds", "adds_more"):
        about = {"name": name, "description": "Adds one."}
        workflow_id = created(api_client, adder(id=name, settings={"mcp": about}))
        assert api_client.post(f"/workflows/{workflow_id}/publish").status_code == 200
    created(api_client, adder(settings={"mcp": {"name": "draft"}}))  # not published


def every(client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(f"/workflows/resources/{path}", params={**query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return found
        cursor = {"cursor": answer.json()["next_cursor"]}


def test_tools_of_every_kind(api_client, furnished):
    found = every(api_client, "tools")
    builtin = sorted(set(BUILTINS) - {"calculate"})
    names = [*builtin, "calculate", "lookup_order", "lost", "seek", "sums", "adds", "adds_more"]
    names += ["crm__find", "crm__change_it"]
    assert [t["name"] for t in found] == names
    by_name = {t["name"]: t for t in found}
    assert (by_name["fetch_url"]["source"], by_name["fetch_url"]["input_schema"]["type"]) == ("builtin", "object")
    mine = by_name["calculate"]
    assert (mine["source"], mine["description"]) == ("tool", "Mine.")
    assert mine["input_schema"] == BUILTINS["calculate"].input_schema
    assert (by_name["lookup_order"]["kind"], by_name["lookup_order"]["ask_a_person"]) == ("http", True)
    seek = by_name["seek"]
    assert (seek["server"], seek["tool"], seek["health"]) == ("crm", "find", "healthy")
    assert (seek["description"], seek["input_schema"]) == ("About find.", SCHEMA)
    assert (by_name["lost"]["health"], by_name["lost"]["input_schema"]) == ("unknown", None)
    assert by_name["sums"]["workflow_id"] == "wf_1"
    adds = by_name["adds"]
    assert (adds["source"], adds["workflow_id"], adds["description"]) == ("workflow", "adds", "Adds one.")
    listed = by_name["crm__change_it"]
    assert (listed["source"], listed["server"], listed["tool"]) == ("mcp_server", "crm", "change it")


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_pages_hold_each_tool_once(api_client, furnished, limit):
    assert every(api_client, "tools", limit=limit) == every(api_client, "tools")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "ORDER"}, ["lookup_order"]),
        ({"q": "about find"}, ["seek", "crm__find"]),
        ({"kind": "workflow"}, ["sums", "adds", "adds_more"]),
        ({"kind": "mcp"}, ["lost", "seek", "crm__find", "crm__change_it"]),
        ({"server": "crm"}, ["seek", "crm__find", "crm__change_it"]),
        ({"server": "dark"}, []),
        ({"q": "nothing of the kind"}, []),
    ],
)
def test_filters(api_client, furnished, query, names):
    assert [t["name"] for t in every(api_client, "tools", limit=2, **query)] == names


def test_servers_have_their_health_and_tools(api_client, furnished):
    crm, dark = every(api_client, "mcps")
    assert (crm["name"], crm["health"]["status"], crm["health"]["tools_count"]) == ("crm", "healthy", 2)
    assert crm["tools"][0] == {"name": "find", "description": "About find."}
    assert (dark["name"], dark["health"]["status"], dark["tools"]) == ("dark", "unknown", [])
    assert [s["name"] for s in every(api_client, "mcps", q="DAR", limit=1)] == ["dark"]
    document = api_client.get("/mcp-servers/crm").json()
    assert api_client.put("/mcp-servers/crm", json={**document, "description": "Other."}).status_code == 200
    assert every(api_client, "mcps")[0]["health"]["status"] == "unknown"


def test_agents_say_what_they_use(api_client, furnished):
    (clerk,) = every(api_client, "agents")
    assert (clerk["tools"], clerk["mcp_servers"], clerk["remembers"]) == (["seek"], [], True)
    assert every(api_client, "agents", q="nobody") == []


def test_another_tenant_sees_what_is_built_in(api_client, other_client, furnished):
    assert {t["source"] for t in every(other_client, "tools")} == {"builtin"}
    assert (every(other_client, "mcps"), every(other_client, "agents")) == ([], [])
    cursor = api_client.get("/workflows/resources/tools", params={"limit": 1}).json()["next_cursor"]
    assert other_client.get("/workflows/resources/tools", params={"cursor": cursor}).status_code == 400
    assert api_client.get("/workflows/resources/tools", params={"cursor": cursor, "q": "x"}).status_code == 400


@pytest.mark.parametrize("query", [{"kind": "magic"}, {"server": "Not a name"}, {"q": "x" * 201}, {"limit": 0}])
def test_bad_queries(api_client, query):
    assert api_client.get("/workflows/resources/tools", params=query).status_code == 422


def test_who_may(api_client, furnished):
    with http_api.connect(key_with(api_client, "viewer")) as viewer:
        assert len(every(viewer, "tools")) == len(every(api_client, "tools"))
    with http_api.connect(key_with(api_client, "editor", ["tools:read"])) as other:
        assert other.get("/workflows/resources/tools").status_code == 403


def test_a_page_ends_when_it_is_large(api_client, tenant):
    wide = {"type": "object", "description": "x" * 90_000}
    for number in range(40):
        document = {**TOOL, "name": f"t{number:02}", "input_schema": wide}
        assert api_client.post("/tools", json=document).status_code == 201
    answer = api_client.get("/workflows/resources/tools", params={"limit": 200})
    assert 3_000_000 < len(answer.content) < 3_500_000
    assert len(every(api_client, "tools", limit=200)) == 40 + len(BUILTINS)
