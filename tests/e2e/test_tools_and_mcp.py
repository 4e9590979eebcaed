"""Tools of every kind and an MCP server on the local AWS, whose policies judge every call; two tenants."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.e2e.conftest import MCP_TOKEN
from tests.echo_server import EchoServer
from tests.servers.mcp.own import Own
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
DOUBLING = document(
    [
        node("start", "manual_trigger"),
        node("double", "transform", {"expression": "inputs.input.n * 2"}),
        node("out", "output"),
    ],
    "start.trigger -> double.input; double.output -> out.value",
)
CALLING = document(
    [
        node("start", "manual_trigger"),
        node("double", "function_call", inputs={"name": "double"}),
        node("sum", "function_call", inputs={"name": "calculate", "args": {"expression": "6 * 7"}}),
        node("order", "function_call", inputs={"name": "order", "args": {"id": "a/b", "note": "x"}}),
        node("server", "mcp_server", {"server": "own"}),
        node("add", "mcp_tool", {"tool": "add"}, inputs={"args": {"a": 1, "b": 2}}),
        node("notes", "mcp_resource", {"server": "own"}, inputs={"resource": "notes://today"}),
        node("asked", "mcp_prompt", {"server": "own"}, inputs={"prompt": "summarise", "args": {"text": "War"}}),
        node("out", "output", inputs={"value": "{{ [nodes.double.result, nodes.sum.result, nodes.add.result] }}"}),
    ],
    "start.trigger -> double.args; server.connection -> add.connection",
)


@pytest.fixture(scope="module")
def furnished(mine: Caller, mcp: Own, echo: EchoServer) -> None:
    mine.secrets.add(MCP_TOKEN)
    mine.post("/credentials", {"name": "mcp_key", "kind": "bearer", "values": {"token": MCP_TOKEN}}, 201)
    server = {"name": "own", "url": f"http://{mcp.host}/mcp", "credential": "mcp_key", "allowed_tools": ["add"]}
    mine.post("/mcp-servers", server, 201)
    workflow_id = mine.published(DOUBLING)
    tool = {"name": "double", "kind": "workflow", "workflow_id": workflow_id, "input_schema": NUMBER}
    mine.post("/tools", tool, 201)
    mine.post("/tools", {"name": "order", "kind": "http", "url": f"http://{echo.host}/orders/{{id}}"}, 201)


def test_a_server_is_looked_at(mine: Caller, theirs: Caller, mcp: Own, furnished: None) -> None:
    before = len(mcp.asked)  # other tests ask this server too
    found = mine.post("/mcp-servers/own/refresh", None, 200)["found"]
    assert (found["ok"], [t["name"] for t in found["tools"]]) == (True, ["add"])
    theirs.refused("POST", "/mcp-servers/own/refresh", 404)
    assert {h.get("authorization") for h, _ in mcp.asked[before:]} == {f"Bearer {MCP_TOKEN}"}


def test_a_run_calls_them_all(mine: Caller, furnished: None) -> None:
    ended = mine.until(mine.start(CALLING, {"n": 21}))
    assert ended["status"] == "completed", ended["error"]
    assert ended["final_output"] == [42, {"result": 42}, {"total": 3}]
    nodes = ended["node_executions"]
    assert nodes["asked"]["outputs"]["messages"][0]["content"].endswith("War")
    assert nodes["notes"]["outputs"]["content"] == "Feed the cat."


def test_another_tenants_tools_are_not_there(theirs: Caller, furnished: None) -> None:
    nodes = [node("call", "function_call", inputs={"name": "order"}), node("out", "output")]
    ended = theirs.until(theirs.start(document(nodes, "call.result -> out.value")))
    assert (ended["status"], ended["error"]["error"]) == ("failed", "ToolNotFound")
