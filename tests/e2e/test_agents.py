"""Agents on the local AWS, with credentials: a loop over tools of an MCP server, and a person's consent."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller
from tests.e2e.conftest import MCP_TOKEN
from tests.echo_server import EchoServer
from tests.servers.mcp.own import Own
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model
from tests.stepfunctions.compiler.documents import document, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
KEY = "mind-hush-hush-key"
ID = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


@pytest.fixture(scope="module")
def furnished(mine: Caller, mcp: Own, echo: EchoServer, mind: tuple[Model, Server]) -> Model:
    model, server = mind
    mine.secrets |= {MCP_TOKEN, KEY}
    values = {"api_key": KEY, "base_url": f"{server.url}/v1"}
    mine.post("/credentials", {"name": "mind", "kind": "openai", "values": values}, 201)
    mine.post("/credentials", {"name": "ledger_key", "kind": "bearer", "values": {"token": MCP_TOKEN}}, 201)
    ledger = {"name": "ledger", "url": f"http://{mcp.host}/mcp", "credential": "ledger_key", "allowed_tools": ["add"]}
    mine.post("/mcp-servers", ledger, 201)
    refund = {"name": "refund", "kind": "http", "method": "POST", "url": f"http://{echo.host}/refunds/{{id}}"}
    mine.post("/tools", {**refund, "input_schema": ID, "ask_a_person": True}, 201)
    return model


def asking(**config: object):
    return document(
        [
            node("start", "manual_trigger"),
            node("clerk", "agent", {"agent": "clerk", **config}, inputs={"thread_id": "{{ trigger.customer }}"}),
            node("out", "output"),
        ],
        "start.trigger -> clerk.input; clerk.output -> out.value",
    )


def stored(name: str, **more: object) -> dict[str, object]:
    model = {"provider": "openai", "model": name, "credential": "mind"}
    return {"name": name, "model": model, "instructions": "Help.", "memory": {"enabled": True}, **more}


def test_a_loop_over_tools_of_an_mcp_server(mine: Caller, furnished: Model) -> None:
    add = "ledger__add"
    furnished.scripts["adder"] = [[(add, {"a": 1, "b": 2}), (add, {"a": 3, "b": 4})], [(add, {"a": 3, "b": 7})], "Ten."]
    mine.post("/agents", stored("adder", mcp_servers=["ledger"]), 201)
    ended = mine.until(mine.start(asking(agent="adder"), {"customer": "e2e-1"}))
    assert (ended["status"], ended["final_output"]) == ("completed", "Ten."), ended["error"]
    clerk = ended["node_executions"]["clerk"]["outputs"]
    assert [c["result"] for c in clerk["tool_calls"]] == [{"total": 3}, {"total": 7}, {"total": 10}]
    assert (clerk["usage"]["steps"], ended["usage"]["total_tokens"]) == (3, 30)
    passes = mine.get(f"/workflows/executions/{ended['id']}/nodes/clerk.model")["items"]
    assert [p["iteration"] for p in passes] == [[0], [1], [2]]


def test_a_person_allows_a_tool(mine: Caller, theirs: Caller, furnished: Model) -> None:
    furnished.scripts["clerk"] = [[("refund", {"id": 7})], "Refunded."]
    mine.post("/agents", stored("clerk", tools=["refund"]), 201)
    workflow_id = mine.published(asking())
    for decision, error in (("approve", None), ("reject", "Rejected")):
        run = mine.execute(workflow_id, {"customer": "e2e-2", "wish": decision})
        task = mine.get(f"/tasks/{mine.task(run, 'clerk.approval')}")
        assert (task["title"], task["data"]["arguments"]) == ("Allow the tool refund?", {"id": 7})
        mine.until(run, "paused")
        mine.answer(run, "clerk.approval", {"decision": decision})
        ended = mine.until(run)
        assert (ended["status"], ended["final_output"]) == ("completed", "Refunded."), ended["error"]
        (call,) = ended["node_executions"]["clerk"]["outputs"]["tool_calls"]
        assert call.get("error", {}).get("error") == error
    said = mine.get("/threads/e2e-2/messages")["items"]
    assert [m["role"] for m in said] == ["user", "assistant"] * 2
    theirs.refused("GET", "/threads/e2e-2", 404)
    ended = theirs.until(theirs.start(asking(), {"customer": "e2e-2"}))
    assert ended["error"]["error"] == "AgentNotFound"
