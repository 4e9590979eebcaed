"""Workflows of agents as steps, and runs as a parent with its steps as children, over HTTP."""

from __future__ import annotations

from tests.functions.api.workflows_over_http import created, made, problem, until


def test_agents_have_a_thread_for_each_step_of_a_run(api_client):
    steps = [
        {"id": "research", "type": "agent", "agent": "researcher", "input": "Research ${user_input}"},
        {"id": "sum", "type": "agent", "agent": "writer"},
        {"id": "on", "type": "agent", "agent": "writer", "thread_id": "customer-${user_input.id}"},
        {"id": "none", "type": "agent", "agent": "writer", "thread_id": None},
    ]
    workflow_id = created(api_client, {"name": "Agents", "steps": steps})
    nodes = {n["id"]: n for n in made(api_client.get(f"/workflows/{workflow_id}"))["nodes"]}
    assert [nodes[n]["inputs"].get("thread_id") for n in ("research", "sum", "on", "none")] == [
        "{{ execution.id & '-research' }}",
        "{{ execution.id & '-sum' }}",
        "customer-{{ trigger.id }}",
        None,
    ]
    assert made(api_client.get(f"/workflows/{workflow_id}/steps"))["steps"] == steps
    report = {"step": {"id": "report", "type": "agent", "agent": "reporter", "input": "Report on ${steps.sum.output}"}}
    assert made(api_client.post(f"/workflows/{workflow_id}/steps", json=report))["steps"][-1] == report["step"]


def test_a_run_is_a_parent_with_its_steps_as_children(api_client, machines):
    steps = [
        {"type": "manual_trigger"},
        {"id": "sub", "type": "transform", "config": {"expression": "inputs.input.a + 1"}},
        {"id": "check", "type": "human_in_the_loop", "title": "Good?", "input": {"n": "${steps.sub.output}"}},
        {"id": "last", "type": "transform", "config": {"expression": "${steps.check.output.n} + 1"}},
    ]
    workflow_id = created(api_client, {"name": "Talk", "steps": steps})
    run = made(api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": {"a": 1}}))
    until(api_client, run["id"], "paused")
    url = f"/workflows/executions/{run['id']}/interactions"
    found = made(api_client.get(url))
    parent = found["parent"]
    assert (parent["type"], parent["status"], parent["pause_reason"]) == ("workflow.run", "paused", "human_input")
    assert (parent["input"], parent["output"], parent["parent_id"]) == ({"a": 1}, None, None)
    shown = [(i["step_id"], i["type"], i["status"], i["input"], i["output"]) for i in found["items"]]
    assert shown == [
        ("sub", "transform", "completed", {"input": {"a": 1}}, 2),
        ("check", "human_in_the_loop", "paused", {"n": 2}, None),
    ]
    assert all(i["parent_id"] == run["id"] for i in found["items"])
    body = {"decision": "submit", "data": {"n": 40}}
    made(api_client.post(f"/tasks/{found['items'][1]['task_id']}/complete", json=body))
    until(api_client, run["id"], "completed")
    first = made(api_client.get(url, params={"limit": 2}))
    rest = made(api_client.get(url, params={"limit": 2, "cursor": first["next_cursor"]}))
    assert [i["step_id"] for i in (*first["items"], *rest["items"])] == ["sub", "check", "last"]
    assert (rest["items"][0]["index"], rest["items"][0]["output"], rest["next_cursor"]) == (2, 41, None)
    assert first["parent"]["output"] == 41
    problem(api_client.get(url, params={"cursor": "x"}), 400)
    problem(api_client.get("/workflows/executions/ex_none/interactions"), 404)
