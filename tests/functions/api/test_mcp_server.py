from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import MCPError

from functions.api import mcp_server
from shared.errors import Unavailable
from shared.tenancy import Tenant
from stepfunctions import mcp_tools
from tests.functions.api.over_mcp import talk
from tests.functions.api.test_webhooks import key_with
from tests.functions.api.workflows_over_http import Json, adder, asker, created, made, node, problem, workflow
from tests.stepfunctions.engine.watch import wait_for

NUMBER = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ACCEPT = {"accept": "application/json, text/event-stream"}
VERSION = "2025-11-25"
MODES = ["auto", "legacy"]


def tool(document: Json, name: str | None = None, **more: Any) -> Json:
    return {**document, "settings": {"mcp": {"name": name, **more}}}


def typed(document: Json, schema: Any = NUMBER) -> Json:
    document["nodes"][0]["config"]["input_schema"] = schema
    return document


def released(client, document: Json) -> str:
    workflow_id = created(client, document)
    made(client.post(f"/workflows/{workflow_id}/publish"))
    return workflow_id


@pytest.fixture
def key(owner) -> str:
    return str(owner.key_text)


def names(key: str) -> list[str]:
    async def listed(client):
        return [t.name for t in (await client.list_tools()).tools]

    return talk(key, listed)


def call(key: str, name: str, arguments: Any = None, mode: str = "auto", meta: Any = None):
    async def called(client):
        try:
            return await client.call_tool(name, arguments, meta=meta)
        except MCPError as error:  # the client would wrap it into a group
            return error

    result = talk(key, called, mode)
    if isinstance(result, MCPError):
        raise result
    return result


def sent(client, message: Any, **headers: str):
    return client.post("/mcp", json=message, headers={**ACCEPT, **headers})


def rpc(method: str, params: Any = None, number: int = 1) -> Json:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}


# --- the protocol ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_client_lists_and_calls(api_client, key, machines, mode):
    workflow_id = released(api_client, tool(typed(adder(description="Adds one.")), "add-one"))

    async def use(client):
        assert client.server_info.name == "statewright"
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.resources is None
        (listed,) = [t for t in (await client.list_tools()).tools if t.name == "add-one"]
        return listed, await client.call_tool("add-one", {"a": 4})

    listed, result = talk(key, use, mode)
    assert (listed.description, listed.input_schema) == ("Adds one.", NUMBER)
    assert not result.is_error
    value = result.structured_content
    assert {**value, "execution_id": "x"} == {"execution_id": "x", "status": "completed", "output": 5}
    assert json.loads(result.content[0].text) == value
    run = made(api_client.get(f"/workflows/executions/{value['execution_id']}"))
    assert (run["workflow_id"], run["triggered_by"]["kind"]) == (workflow_id, "mcp")


def test_messages_as_they_are_on_the_wire(api_client):
    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = sent(api_client, rpc("initialize", hello))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["result"]["protocolVersion"] == VERSION
    assert "mcp-session-id" not in answer.headers
    told = sent(api_client, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (told.status_code, told.content) == (202, b"")
    assert sent(api_client, rpc("ping")).json()["result"] == {}
    assert sent(api_client, rpc("resources/list")).json()["error"]["code"] == -32601
    assert [t["name"] for t in sent(api_client, rpc("tools/list")).json()["result"]["tools"]] == [
        "cancel_run",
        "get_run",
    ]
    for method in ("GET", "DELETE"):
        assert problem(api_client.request(method, "/mcp", headers=ACCEPT), 405)
    problem(api_client.post("/mcp", content=b"{}", headers={**ACCEPT, "content-type": "text/plain"}), 415)
    problem(api_client.post("/mcp", content=b"{", headers={**ACCEPT, "content-type": "application/json"}), 400)
    assert sent(api_client, rpc("tools/call", {"name": 7})).json()["error"]["code"] == -32602
    assert sent(api_client, [rpc("tools/list")]).status_code == 400


def test_the_list_has_pages(api_client, key, monkeypatch):
    monkeypatch.setattr(mcp_server, "PAGE", 2)
    for name in ("b", "a", "c"):
        released(api_client, tool(adder(), name))

    async def pages(client):
        found, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            found.append([t.name for t in page.tools])
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert talk(key, pages) == [["a", "b"], ["c", "cancel_run"], ["get_run"]]
    bad = sent(api_client, rpc("tools/list", {"cursor": "?"})).json()
    assert bad["error"]["code"] == -32602


def test_unknown_tools_and_bad_arguments(api_client, key):
    released(api_client, tool(typed(adder()), "add"))
    with pytest.raises(MCPError, match="there is no tool 'nothing'"):
        call(key, "nothing")
    result = call(key, "add", {"a": "four"})
    assert result.is_error
    assert result.structured_content["error"]["error"] == "InvalidArguments"
    assert "arguments.a" in result.structured_content["error"]["message"]
    for arguments in ({}, {"execution_id": 7}, {"execution_id": "ex_1", "other": 1}, {"execution_id": "x" * 9_000}):
        assert call(key, "get_run", arguments).is_error
    for odd in ("", "\x00", "a#b", "../x", "\N{FOX FACE}"):
        assert call(key, "get_run", {"execution_id": odd}).structured_content["error"]["error"] == "NotFound"


# --- who may ---------------------------------------------------------------------------------------------------------


def test_another_tenants_tools_and_runs_are_not_there(api_client, other_client, key, other_owner, machines):
    released(api_client, tool(adder(), "add"))
    run_id = call(key, "add", {"a": 1}).structured_content["execution_id"]
    assert "add" not in names(other_owner.key_text)
    with pytest.raises(MCPError, match="there is no tool"):
        call(other_owner.key_text, "add", {"a": 1})
    for name in ("get_run", "cancel_run"):
        result = call(other_owner.key_text, name, {"execution_id": run_id})
        assert result.structured_content["error"]["error"] == "NotFound"


def test_roles_and_scopes(api_client, public_client, key):
    workflow_id = released(api_client, tool(adder(), "add"))
    wanted = rpc("tools/call", {"name": "add", "arguments": {"a": 1}})
    assert sent(public_client, rpc("tools/list")).status_code == 401
    for role, scopes, lists, calls in (
        ("viewer", None, 200, 403),
        ("operator", None, 200, 200),
        ("operator", ("mcp:read",), 200, 403),
        ("operator", ("executions:*",), 403, 403),
    ):
        limited = {"X-API-Key": key_with(api_client, role, scopes)}
        assert sent(public_client, rpc("tools/list"), **limited).status_code == lists, (role, scopes)
        assert sent(public_client, wanted, **limited).status_code == calls, (role, scopes)
    assert len(api_client.get(f"/workflows/{workflow_id}/executions").json()["items"]) == 1


def test_runs_that_no_tool_has_started_are_not_shown(api_client, key):
    run = made(api_client.post(f"/workflows/{released(api_client, adder())}/execute", json={"trigger_data": {"a": 1}}))
    for name in ("get_run", "cancel_run"):
        assert call(key, name, {"execution_id": run["id"]}).structured_content["error"]["error"] == "NotFound"


# --- which workflows are tools ---------------------------------------------------------------------------------------


def test_tools_come_and_go_with_publishing(api_client, key):
    marked = created(api_client, tool(adder(name="Add: one!")))
    assert "add_one" not in names(key)
    made(api_client.post(f"/workflows/{marked}/publish"))
    assert "add_one" in names(key)
    made(api_client.put(f"/workflows/{marked}", json=tool(adder(), "other", enabled=False)))
    assert "add_one" in names(key)  # a draft changes nothing
    made(api_client.post(f"/workflows/{marked}/publish"))
    assert names(key) == ["cancel_run", "get_run"]
    made(api_client.put(f"/workflows/{marked}", json=tool(adder(), "other")))
    made(api_client.post(f"/workflows/{marked}/publish"))
    assert "other" in names(key)
    made(api_client.post(f"/workflows/{marked}/unpublish"))
    assert names(key) == ["cancel_run", "get_run"]
    timed = [node("clock", "schedule", {"every": "1 hour"}), node("out", "output")]
    released(api_client, tool(workflow(timed, "clock.timestamp -> out.value"), "timed"))
    assert names(key) == ["cancel_run", "get_run"]


def test_of_one_name_the_first_is_the_tool_and_the_others_are_listed(api_client, key, machines):
    second = created(api_client, tool(adder(), "add"))
    first = released(api_client, tool(adder(), "add"))
    made(api_client.post(f"/workflows/{second}/publish"))
    made(api_client.post(f"/workflows/{first}/publish"))  # again: it keeps the name
    own = released(api_client, tool(adder(), "get_run"))
    listed = made(api_client.get("/mcp/tools"))["items"]
    assert [(t["name"], t["workflow_id"], t["taken_by"]) for t in listed] == [
        ("add", first, None),
        ("add", second, first),
        ("get_run", own, "the server itself"),
    ]
    assert names(key) == ["add", "cancel_run", "get_run"]
    run_id = call(key, "add", {"a": 1}).structured_content["execution_id"]
    assert made(api_client.get(f"/workflows/executions/{run_id}"))["workflow_id"] == first


def test_a_trigger_that_takes_no_object_takes_the_input(api_client, key, machines):
    echo = workflow([node("start", "manual_trigger"), node("out", "output")], "start.trigger -> out.value")
    released(api_client, tool(typed(echo, {"type": "string"}), "say"))
    (listed,) = made(api_client.get("/mcp/tools"))["items"]
    assert listed["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert call(key, "say", {"input": "hello"}).structured_content["output"] == "hello"
    for wrong in ({}, {"input": 7}, {"input": "a", "b": 1}):
        assert call(key, "say", wrong).structured_content["error"]["error"] == "InvalidArguments"


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_long_run_is_asked_for_later(api_client, key, machines, monkeypatch, http):
    monkeypatch.setattr(mcp_tools, "WAIT_SECONDS", 0.3)
    calls = [
        node("start", "manual_trigger"),
        node("get", "http_request", inputs={"url": f"{http.base}/held?mark=long"}),
        node("out", "output"),
    ]
    released(api_client, tool(workflow(calls, "start.trigger -> get.body; get.status -> out.value"), "long"))
    first = call(key, "long", {}).structured_content
    assert first["status"] in ("pending", "running")
    assert "get_run" in first["message"]
    assert first["progress"]["of"] == 3
    run = {"execution_id": first["execution_id"]}
    now = wait_for(lambda: _at_work(call(key, "get_run", run).structured_content), "the run to be at a node")
    assert (now["status"], now["progress"]["running"], now["progress"]["of"]) == ("running", ["get"], 3)
    http.release("long")
    last = call(key, "get_run", {**run, "wait_seconds": 20})
    assert last.structured_content == {**run, "status": "completed", "output": 200}


def _at_work(told):
    return told if told["progress"]["running"] else None


def test_a_run_that_asks_a_person_says_so_and_can_be_cancelled(api_client, key, machines):
    released(api_client, tool(asker(), "ask"))
    result = call(key, "ask", {})
    value = result.structured_content
    assert (result.is_error, value["status"], value["tasks"][0]["title"]) == (False, "paused", "May I?")
    assert "person" in value["message"]
    assert value["progress"] == {"done": 1, "of": 3, "running": []}
    cancelled = call(key, "cancel_run", {"execution_id": value["execution_id"]})
    assert cancelled.structured_content["status"] == "cancelled"
    again = call(key, "cancel_run", {"execution_id": value["execution_id"]})
    assert again.structured_content["error"]["error"] == "Conflict"


def test_a_failure_is_an_error_with_its_name(api_client, key, machines):
    broken = workflow(
        [node("start", "manual_trigger"), node("bad", "json_parse"), node("out", "output")],
        "start.trigger -> bad.input; bad.output -> out.value",
    )
    released(api_client, tool(typed(broken, {"type": "string"}), "parse"))
    result = call(key, "parse", {"input": "{ no"})
    assert result.is_error
    error = result.structured_content["error"]
    assert error["node_id"] == "bad"
    assert error["error"]


def test_one_key_leads_to_one_run(api_client, key, machines):
    workflow_id = released(api_client, tool(adder(), "add"))
    meta = {mcp_server.IDEMPOTENCY_KEY: "k-1"}
    ids = {call(key, "add", {"a": 1}, meta=meta, mode=m).structured_content["execution_id"] for m in (*MODES, *MODES)}
    assert len(ids) == 1
    other = call(key, "add", {"a": 2}, meta=meta).structured_content
    assert (other["output"], other["execution_id"] in ids) == (3, False)
    assert call(key, "add", {"a": 1}).structured_content["execution_id"] not in ids
    assert len(api_client.get(f"/workflows/{workflow_id}/executions").json()["items"]) == 3
    for bad in (7, "", "x" * 300):
        with pytest.raises(MCPError, match="idempotency-key"):
            call(key, "add", {"a": 1}, meta={mcp_server.IDEMPOTENCY_KEY: bad})


def test_what_is_too_large_is_not_sent(api_client, key, machines, monkeypatch):
    monkeypatch.setattr(mcp_tools, "MAX_OUTPUT", 100)
    echo = workflow([node("start", "manual_trigger"), node("out", "output")], "start.trigger -> out.value")
    released(api_client, tool(echo, "echo"))
    value = call(key, "echo", {"text": "x" * 200}).structured_content
    assert "output" not in value
    assert "212 bytes" in value["message"]


def test_trouble_of_ours_is_an_error_that_says_try_again(api_client, key, monkeypatch):
    released(api_client, tool(adder(), "add"))

    def unavailable(*_: object, **__: object) -> None:
        raise Unavailable("the table cannot be reached; try again")

    monkeypatch.setattr(mcp_tools, "execute", unavailable)
    result = call(key, "add", {"a": 1})
    assert (result.is_error, result.structured_content["error"]["error"]) == (True, "Unavailable")


def test_a_source_of_other_tools_can_stand_beside(owner, tenant):
    class Clock:
        def tools(self, who):
            return [mcp_tools.Tool("time", "Now.", {"type": "object"}), mcp_tools.Tool("get_run", "", {})]

        def call(self, who, name, arguments, key):
            return mcp_tools.Result({"now": 1}) if name == "time" else None

    from shared.tenancy import Principal

    who = Principal(Tenant(owner.tenant.id), "api_key", "key_a", "operator")
    box = mcp_tools.Toolbox(who, (*mcp_tools.SOURCES, Clock()))
    assert [t.name for t in box.tools()] == ["cancel_run", "get_run", "time"]
    assert box.tools()[1].description
    assert box.call("time", {}) == mcp_tools.Result({"now": 1})
    assert box.call("nothing", {}) is None
