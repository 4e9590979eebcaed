"""Agents in runs: what they do is recorded step by step, and means the same in both granularities."""

from __future__ import annotations

from typing import Any

import pytest

from shared.runs.model import Run
from shared.settings import settings
from shared.tasks.service import TaskService
from tests.servers.mcp.own import serving as serving_mcp
from tests.stepfunctions.agents import Model, keep, tool, workflow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.watch import answer, comes_to

both = pytest.mark.parametrize("granularity", ["segment", "node"])
waiting = pytest.mark.parametrize("approval", ["never", "when_asked"])


def outputs(machines: Machines, run: Run, node_id: str = "clerk", scope: str = "") -> dict[str, Any]:
    record = machines.records(run)[scope, node_id]
    return {port: machines.value(stored) for port, stored in record.outputs.items()}


@both
@waiting
def test_tools_are_called_until_there_is_an_answer(
    machines: Machines, remote: Service, model: Model, granularity: str, approval: str
):
    tool(machines.tenant, "look", remote.base)
    model.scripts["m"] = [
        [("look", {"n": 1}), ("look", {"n": 2})],
        [("calculate", {"expression": "6 * 7"})],
        "It is 42.",
    ]
    made = workflow(granularity, tools=["look", "calculate"], approval=approval)
    over = machines.until(machines.start(made, "How much?"))
    assert (over.status, over.error) == ("completed", None)
    assert machines.value(over.final_output) == "It is 42."
    found = outputs(machines, over)
    assert [m["role"] for m in found["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    assert [(c["name"], c["arguments"], c["step"]) for c in found["tool_calls"]] == [
        ("look", {"n": 1}, 1),
        ("look", {"n": 2}, 1),
        ("calculate", {"expression": "6 * 7"}, 2),
    ]
    assert found["tool_calls"][2]["result"] == {"result": 42}
    counts = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30}
    assert found["usage"] == {**counts, "steps": 3, "models": {"served": counts}}
    assert set(model.paid.values()) == {1}
    records = machines.records(over)
    assert {s for s, n in records if n == "clerk.model"} == {"clerk/0", "clerk/1", "clerk/2"}
    called = {s: r.usage["tool"] for (s, n), r in records.items() if n == "clerk.call"}
    assert called == {
        "clerk/0/clerk.tools/0": "look",
        "clerk/0/clerk.tools/1": "look",
        "clerk/1/clerk.tools/0": "calculate",
    }
    system = model.asked[0]["messages"][0]
    assert (system["role"], "data" in system["content"]) == ("system", True)


@both
@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_person_is_asked(machines: Machines, remote: Service, model: Model, owner, granularity: str, decision: str):
    tool(machines.tenant, "refund", remote.base, ask_a_person=True)
    tool(machines.tenant, "look", remote.base)
    model.scripts["m"] = [[("refund", {"n": 5}), ("look", {"n": 1})], "Done."]
    people = {"assignees": [owner.user.id], "approval_instructions": "Look at {{ order }} twice."}
    run = machines.start(workflow(granularity, tools=["refund", "look"], **people), "Refund 5.")
    comes_to(machines, run, "paused", "human_input")
    task = machines.open_tasks(run)["clerk.approval"]
    shown = TaskService(machines.tenant).open_tasks(run.id)[0]
    assert (shown.title, shown.assignees) == ("Allow the tool refund?", (owner.user.id,))
    kept = TaskService(machines.tenant).get(shown.id)[1]
    assert kept.instructions == "Look at {{ order }} twice."
    assert kept.data["arguments"] == {"n": 5}
    assert len(remote.seen) == 1, "what needs nobody's consent does not wait"
    answer(machines, run, owner.user.id, "clerk.approval", decision)
    over = machines.until(run)
    assert (over.status, machines.value(over.final_output)) == ("completed", "Done.")
    first, second = outputs(machines, over)["tool_calls"]
    assert second["name"] == "look"
    assert task.id
    if decision == "approve":
        assert "result" in first
        assert len(remote.seen) == 2
    else:
        assert first["error"]["error"] == "Rejected"
        assert len(remote.seen) == 1
        assert "did not allow" in model.told()[0]


@pytest.mark.parametrize("policy", ["reject", "approve", "fail"])
def test_nobody_answers(machines: Machines, remote: Service, model: Model, policy: str):
    tool(machines.tenant, "refund", remote.base)
    model.scripts["m"] = [[("refund", {"n": 5})], "Done."]
    config = {"approval": "always", "approval_timeout_seconds": 1, "on_approval_timeout": policy}
    over = machines.until(machines.start(workflow(tools=["refund"], **config), "Refund 5."))
    if policy == "fail":
        assert over.error is not None
        assert (over.error["node_id"], over.error["error"]) == ("clerk", "Timeout")
        return
    assert over.status == "completed", over.error
    (call,) = outputs(machines, over)["tool_calls"]
    assert ("result" in call, len(remote.seen)) == ((True, 1) if policy == "approve" else (False, 0))


def test_what_goes_wrong_with_tools_is_told(machines: Machines, remote: Service, model: Model):
    tool(machines.tenant, "look", remote.base)
    remote.fail("/look/1", times=5, status=404)
    wanted = [("look", {"n": 1}), ("nothing", {}), ("look", {"n": "x"}), ("look", "{broken"), ("look", {"n": 2})]
    model.scripts["m"] = [wanted, "Sorry."]
    over = machines.until(machines.start(workflow(tools=["look"], approval="never"), "Look."))
    assert over.status == "completed", over.error
    made = outputs(machines, over)["tool_calls"]
    errors = [c.get("error", {}).get("error") for c in made]
    assert errors == ["HttpError", "ToolNotFound", "InvalidArguments", "InvalidArguments", None]
    told = model.told()
    assert len(told) == 5
    assert all(t.startswith(f"{e}: ") for t, e in zip(told, errors, strict=True) if e)


def test_a_tool_that_fails_may_fail_the_agent(machines: Machines, remote: Service, model: Model):
    tool(machines.tenant, "look", remote.base)
    remote.fail("/look/1", times=5, status=404)
    model.scripts["m"] = [[("look", {"n": 1})], "Sorry."]
    made = workflow(tools=["look"], on_tool_error="fail", approval="never")
    over = machines.until(machines.start(made, "Look."))
    assert over.error is not None
    assert (over.error["node_id"], over.error["error"]) == ("clerk", "ToolFailed")


def test_a_tool_that_may_have_worked_is_not_called_again(machines: Machines, remote: Service, model: Model):
    tool(machines.tenant, "look", remote.base)
    remote.hold("/look/1")
    model.scripts["m"] = [[("look", {"n": 1})], "Sorry."]
    fields = {"idempotent": False, "timeout_seconds": 2, "retry": {"max_attempts": 2, "interval_seconds": 0}}
    made = workflow(tools=["look"], on_tool_error="fail", approval="never", fields=fields)
    over = machines.until(machines.start(made, "Look."))
    assert over.error is not None
    assert (over.error["error"], remote.count()) == ("ToolFailed", {"/look/1": 1})


def test_long_results_are_cut_for_the_model_only(machines: Machines, remote: Service, model: Model):
    model.scripts["m"] = [[("calculate", {"expression": "$pad('', 1000, 'x')"})], "Long."]
    made = workflow(tools=["calculate"], max_result_characters=100)
    over = machines.until(machines.start(made, "Go."))
    assert over.status == "completed", over.error
    assert len(outputs(machines, over)["tool_calls"][0]["result"]["result"]) == 1_000
    assert len(model.told()[0]) < 200
    assert "cut off" in model.told()[0]


@waiting
@pytest.mark.parametrize("on_limit", ["fail", "answer"])
@pytest.mark.parametrize(("limit", "error"), [({"max_steps": 2}, "MaxSteps"), ({"token_budget": 20}, "BudgetExceeded")])
def test_limits(machines: Machines, model: Model, approval: str, on_limit: str, limit: dict[str, int], error: str):
    model.scripts["m"] = [[("calculate", {"expression": "1"})]] * 5
    made = workflow(tools=["calculate"], approval=approval, on_limit=on_limit, **limit)
    over = machines.until(machines.start(made, "Go on."))
    assert sum(model.paid.values()) == 2
    if on_limit == "fail":
        assert over.error is not None
        assert (over.error["node_id"], over.error["error"]) == ("clerk", error)
        return
    assert over.status == "completed", over.error
    made_calls = outputs(machines, over)["tool_calls"]
    assert [c.get("error", {}).get("error") for c in made_calls] == [None, error]
    assert outputs(machines, over)["messages"][-1]["role"] == "tool"


def test_an_answer_that_fits_a_schema(machines: Machines, model: Model):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    model.scripts["m"] = ["No JSON", '{"n": "x"}', 'Here: {"n": 7}']
    over = machines.until(machines.start(workflow(output_schema=schema), "Seven?"))
    assert machines.value(over.final_output) == {"n": 7}
    model.scripts["m"] = ["No"] * 9
    over = machines.until(machines.start(workflow(output_schema=schema, repair_attempts=1), "Eight?"))
    assert over.error is not None
    assert (over.error["error"], model.paid["m", "Eight?", 1], model.paid["m", "Eight?", 2]) == (
        "InvalidResponse",
        1,
        0,
    )


def test_the_error_port_tells_what_the_model_endpoint_did(machines: Machines, model: Model):
    made = document(
        [
            node("start", "manual_trigger"),
            node("clerk", "agent", {"model": "m", "agent": "nobody"}),
            node("out", "output"),
        ],
        "start.trigger -> clerk.input; clerk.error -> out.value",
    )
    over = machines.until(machines.start(made, "Hello"))
    found = machines.value(over.final_output)
    assert (found["node_id"], found["error"]) == ("clerk", "AgentNotFound")


def test_tools_of_a_real_mcp_server(machines: Machines, model: Model, monkeypatch: pytest.MonkeyPatch):
    model.scripts["m"] = [[("own__add", {"a": 1, "b": 2}), ("own__add", {"a": 3, "b": 4})], "Three and seven."]
    with serving_mcp() as own:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", own.host)
        settings.cache_clear()
        keep(machines.tenant, "mcp_servers", "own", **{**own.document(allowed_tools=["add"]), "credential": None})
        over = machines.until(machines.start(workflow(mcp_servers=["own"]), "Add."))
        assert over.status == "completed", over.error
        assert [c["result"] for c in outputs(machines, over)["tool_calls"]] == [{"total": 3}, {"total": 7}]
        assert sorted(c["a"] for c in own.calls) == [1, 3]
    (offered,) = model.asked[0]["tools"]
    assert (offered["function"]["name"], offered["function"]["description"]) == ("own__add", "Adds two numbers.")
    assert set(offered["function"]["parameters"]["properties"]) == {"a", "b"}
