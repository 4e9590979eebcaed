"""Agents among other nodes, in runs that are retried, replayed, cancelled; what they remember."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from shared.resources.store import ResourceStore
from shared.runs.model import Run
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from shared.threads.store import ThreadStore
from stepfunctions import control
from tests import triggered
from tests.stepfunctions.agents import Model, keep, tool, workflow
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.watch import answer, comes_to, wait_for
from tests.stepfunctions.people import Person

both = pytest.mark.parametrize("granularity", ["segment", "node"])
waiting = pytest.mark.parametrize("approval", ["never", "when_asked"])


def outputs(machines: Machines, run: Run, node_id: str = "clerk", scope: str = "") -> dict[str, Any]:
    record = machines.records(run)[scope, node_id]
    return {port: machines.value(stored) for port, stored in record.outputs.items()}


@both
def test_agents_in_a_loop_and_beside_each_other(machines: Machines, model: Model, granularity: str):
    model.scripts = {
        "one": [[("calculate", {"expression": "1 + 1"})], "two"],
        "other": [[("calculate", {"expression": "2 + 2"})], "four"],
    }
    inner = {"model": "one", "tools": ["calculate"]}
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 2}),
            node("clerk", "agent", inner, parent="each"),
            node("boss", "agent", {**inner, "model": "other"}, inputs={"input": "{{ 'Task ' & $count(trigger) }}"}),
            node("all", "merge"),
            node("out", "output"),
        ],
        """start.trigger -> each.items; each.item -> clerk.input; each.results -> all.inputs; boss.output -> all.inputs
        all.output -> out.value""",
        settings={"granularity": granularity},
    )
    over = machines.until(machines.start(made, ["a", "b", "c"]), seconds=60)
    assert machines.value(over.final_output) == [["two"] * 3, "four"]
    assert set(model.paid.values()) == {1}
    assert len(model.paid) == 8
    assert outputs(machines, over, scope="each/1")["usage"]["steps"] == 2


def test_a_stored_agent_and_what_goes_before_it(machines: Machines, model: Model):
    stored = {"model": {"provider": "openai", "model": "m", "credential": None, "parameters": {"temperature": 0.5}}}
    limits = {"limits": {"max_steps": 1, "max_tokens": None}, "memory": {"enabled": False, "max_messages": 5}}
    keep(
        machines.tenant,
        "agents",
        "clerk",
        **stored,
        **limits,
        instructions="Be kind.",
        tools=["calculate"],
        mcp_servers=[],
    )
    model.scripts = {"m": ["Hello."], "n": ["Hi."]}
    made = document(
        [node("start", "manual_trigger"), node("clerk", "agent", {"agent": "clerk"}), node("out", "output")],
        "start.trigger -> clerk.input; clerk.output -> out.value",
    )
    assert machines.value(machines.until(machines.start(made, "A")).final_output) == "Hello."
    asked = model.asked[0]
    assert (asked["temperature"], [t["function"]["name"] for t in asked["tools"]]) == (0.5, ["calculate"])
    assert asked["messages"][0]["content"].startswith("Be kind.")
    over = {"agent": "clerk", "model": "n", "instructions": "Be quick.", "tools": [], "parameters": {"temperature": 1}}
    other = made.model_copy(
        update={"nodes": (made.nodes[0], made.nodes[1].model_copy(update={"config": over}), made.nodes[2])}
    )
    assert machines.value(machines.until(machines.start(other, "B")).final_output) == "Hi."
    assert (model.asked[1]["temperature"], "tools" in model.asked[1]) == (1, False)
    assert model.asked[1]["messages"][0]["content"] == "Be quick."


def test_a_thread_is_remembered(machines: Machines, model: Model):
    model.scripts["m"] = ["Noted."]
    made = workflow(fields={"inputs": {"thread_id": "customer-42"}})
    for said in ("My name is Ada.", "Who am I?"):
        assert machines.until(machines.start(made, said)).status == "completed"
    assert [(m["role"], m["content"]) for m in model.asked[1]["messages"]] == [
        ("user", "My name is Ada."),
        ("assistant", "Noted."),
        ("user", "Who am I?"),
    ]
    threads = ThreadStore(TenantTable(machines.tenant))
    assert threads.get("customer-42").messages == 4
    small = workflow(fields={"inputs": {"thread_id": "customer-42"}}, memory={"max_messages": 1})
    machines.until(machines.start(small, "And now?"))
    assert [m["content"] for m in model.asked[2]["messages"]] == ["And now?"], "an answer without its question"


def test_cancelled_while_a_person_is_asked(machines: Machines, remote: Service, model: Model, owner):
    tool(machines.tenant, "refund", remote.base, ask_a_person=True)
    model.scripts["m"] = [[("refund", {"n": 5})], "Done."]
    run = machines.start(workflow(tools=["refund"]), "Refund 5.")
    comes_to(machines, run, "paused", "human_input")
    control.cancel(machines.tenant, run.id)
    assert machines.until(run).status == "cancelled"
    wait_for(lambda: not machines.open_tasks(run), "the task is closed")
    assert (len(remote.seen), sum(model.paid.values())) == (0, 1)


def test_a_stored_agent_that_changes_meanwhile(machines: Machines, remote: Service, model: Model, owner):
    """Who the agent is, and what tools it has, is settled by its first step."""
    tool(machines.tenant, "refund", remote.base, ask_a_person=True)
    stored = {"model": {"model": "m"}, "limits": {}, "memory": {}, "mcp_servers": []}
    keep(machines.tenant, "agents", "boss", **stored, instructions="Be kind.", tools=["refund"])
    model.scripts["m"] = [[("refund", {"n": 5})], "Done."]
    run = machines.start(workflow(agent="boss", model=""), "Refund 5.")
    comes_to(machines, run, "paused", "human_input")
    store = ResourceStore(TenantTable(machines.tenant))
    before = store.get("agents", "boss")
    changed = {**before.document, "instructions": "Be quick.", "model": {"model": "other"}, "tools": []}
    store.save(before, replace(before, document=changed))
    store.remove(store.get("tools", "refund"))
    answer(machines, run, owner.user.id, "clerk.approval")
    assert machines.until(run).status == "completed"
    assert [a["messages"][0]["content"][:8] for a in model.asked] == ["Be kind."] * 2
    assert (len(remote.seen), {m for m, _, _ in model.paid}) == (1, {"m"})


@waiting
def test_a_failed_run_that_is_retried_pays_nothing_twice(machines: Machines, model: Model, approval: str):
    model.scripts["m"] = [[("calculate", {"expression": "1"})], [("calculate", {"expression": "2"})]]
    run = machines.start(workflow(tools=["calculate"], approval=approval), "Go.")
    assert machines.until(run).error is not None, "the endpoint has no third answer"
    model.scripts["m"] = [*model.scripts["m"], "Done."]
    control.retry(machines.tenant, run.id)
    over = machines.until(run)
    assert (over.status, machines.value(over.final_output)) == ("completed", "Done.")
    assert [model.paid["m", "Go.", step] for step in (0, 1)] == [1, 1]


def test_replay_and_a_single_node(machines: Machines, model: Model):
    somebody = Person(machines)
    model.scripts["m"] = [[("calculate", {"expression": "1"})], "Done."]
    made = document(
        [
            node("start", "manual_trigger"),
            node("clerk", "agent", {"model": "m", "tools": ["calculate"]}),
            node("loud", "transform", {"expression": "$uppercase(inputs.input)"}),
            node("out", "output"),
        ],
        "start.trigger -> clerk.input; clerk.output -> loud.input; loud.output -> out.value",
    )
    workflow_id = somebody.create(made)
    run = machines.until(somebody.execute(workflow_id, "Go."))
    assert machines.value(run.final_output) == "DONE."
    after = machines.until(somebody.replay(run, "loud"))
    assert (machines.value(after.final_output), sum(model.paid.values())) == ("DONE.", 2)
    edited = machines.until(somebody.replay(run, "clerk", edits={"clerk": {"output": "said"}}))
    assert (machines.value(edited.final_output), sum(model.paid.values())) == ("SAID", 2)
    again = machines.until(somebody.replay(run, "clerk"))
    assert (machines.value(again.final_output), sum(model.paid.values())) == ("DONE.", 4)
    nodes = somebody.nodes(run)
    assert {n for n in nodes if n.startswith("clerk.")} >= {"clerk.model", "clerk.tools", "clerk.call", "clerk.next"}
    assert (nodes["clerk.model"]["status"], nodes["clerk.model"]["iterations"]) == (
        "completed",
        {"total": 2, "completed": 2},
    )
    assert nodes["clerk.model"]["usage"]["total_tokens"] == 20
    only = workflow(model="m")
    alone = somebody.alone(somebody.create(only), "clerk", {"input": "Go."})
    found = machines.value(alone.final_output)
    assert (found["output"], found["tool_calls"][0]["error"]["error"]) == ("Done.", "ToolNotFound")


def test_a_chat_keeps_its_own_thread(machines: Machines, model: Model, api_client):
    model.scripts["m"] = ["Hello to you."]
    made = {
        "name": "Chat",
        "nodes": [
            node("chat", "chat_trigger"),
            node("clerk", "agent", {"model": "m"}),
            node("out", "output"),
        ],
        "connections": [
            {
                "id": "a",
                "source_node": "chat",
                "source_port": "message",
                "target_node": "clerk",
                "target_port": "input",
            },
            {
                "id": "b",
                "source_node": "chat",
                "source_port": "thread_id",
                "target_node": "clerk",
                "target_port": "thread_id",
            },
            {"id": "c", "source_node": "clerk", "source_port": "output", "target_node": "out", "target_port": "value"},
        ],
    }
    workflow_id = triggered.create(api_client, made)
    triggered.publish(api_client, workflow_id)
    for text in ("Hello", "Again"):
        body = {"message": text, "thread_id": "t-1", "wait_seconds": 20}
        answered = api_client.post(f"/workflows/{workflow_id}/chat", json=body)
        assert (answered.status_code, answered.json()["answer"]) == (200, "Hello to you."), answered.text
    assert [m["content"] for m in model.asked[1]["messages"]] == ["Hello", "Hello to you.", "Again"]
    said = ThreadStore(TenantTable(machines.tenant)).history("t-1", 9)
    assert [m["content"] for m in said] == ["Hello", "Hello to you.", "Again", "Hello to you."]


@pytest.mark.parametrize(
    ("trigger", "fields"),
    [(None, {}), ("", {}), ("Hi", {"inputs": {"thread_id": "no such id"}}), ("Hi", {"inputs": {"thread_id": 7}})],
)
def test_bad_inputs(machines: Machines, model: Model, trigger: Any, fields: dict[str, Any]):
    model.scripts["m"] = ["Hello."]
    over = machines.until(machines.start(workflow(fields=fields), trigger))
    assert over.error is not None
    assert (over.error["node_id"], over.error["error"], sum(model.paid.values())) == ("clerk", "InvalidInput", 0)


@both
def test_agents_that_ask_in_a_loop_and_beside_it(
    machines: Machines, remote: Service, model: Model, owner, granularity: str
):
    tool(machines.tenant, "refund", remote.base, ask_a_person=True)
    model.scripts["m"] = [[("refund", {"n": 1}), ("refund", {"n": 2})], "Done."]
    config = {"model": "m", "tools": ["refund"]}
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"max_concurrency": 2}),
            node("clerk", "agent", config, parent="each"),
            node("boss", "agent", config, inputs={"input": "Do."}),
            node("out", "output", inputs={"value": "{{ [nodes.each.results, nodes.boss.output] }}"}),
        ],
        "start.trigger -> each.items; each.item -> clerk.input",
        settings={"granularity": granularity},
    )
    run = machines.start(made, ["a", "b"])
    somebody = Principal(machines.tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    tasks = TaskService(machines.tenant)
    asked = wait_for(lambda: len(found := tasks.open_tasks(run.id)) == 6 and found, "six questions")
    for task in asked:
        tasks.complete(somebody, task.id, "approve" if task.node_id == "boss.approval" else "reject")
    over = machines.until(run)
    assert (over.status, over.error) == ("completed", None)
    assert machines.value(over.final_output) == ["Done.", "Done.", "Done."]
    assert len(remote.seen) == 2
    assert set(model.paid.values()) == {1}


@waiting
def test_paused_between_two_steps(machines: Machines, model: Model, approval: str):
    model.scripts["m"] = [[("calculate", {"expression": "1"})], "Done."]
    runs: list[Run] = []

    def pause() -> None:
        """While the model thinks; for longer than the last look at the run's flag holds."""
        model.while_asked = lambda: None
        wait_for(lambda: runs, "the run is known")
        control.pause(machines.tenant, runs[0].id)
        until = time.monotonic() + 0.3
        wait_for(lambda: time.monotonic() > until, "some time")

    model.while_asked = pause
    runs.append(machines.start(workflow(tools=["calculate"], approval=approval), "Go."))
    comes_to(machines, runs[0], "paused", "requested")
    assert sum(model.paid.values()) == 1
    wait_for(lambda: machines.store.parked(runs[0].id), "it is parked")
    control.resume(machines.tenant, runs[0].id)
    over = machines.until(runs[0])
    assert (over.status, machines.value(over.final_output)) == ("completed", "Done.")
    assert set(model.paid.values()) == {1}
