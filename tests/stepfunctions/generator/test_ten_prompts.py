"""Ten prompts: what comes of them is applied, run, and does what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from shared.resources.store import ResourceStore
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.workflows import service as workflows
from stepfunctions.generator.apply import apply, of_generation
from stepfunctions.manual import execute
from tests.stepfunctions.agents import keep, tool
from tests.stepfunctions.compiler.documents import document
from tests.stepfunctions.compiler.documents import node as document_node
from tests.stepfunctions.generator.said import OUT, START, adding, agent, answer, node

DOUBLE = document(
    [
        document_node("start", "manual_trigger"),
        document_node("double", "transform", {"expression": "trigger.n * 2"}),
        document_node("out", "output"),
    ],
    "start.trigger -> double.input; double.output -> out.value",
)


@pytest.fixture
def run(machines, who):
    """Applies what is done, and gives the final output of a run of it."""

    def applied(generation, data: Any) -> Any:
        assert generation.status == "done", (generation.state["error"], generation.state["result"])
        made = apply(who, *of_generation(generation))
        assert (made.again, made.workflow.is_active) == (False, False)
        by = {"trigger_node": None, "version": "draft", "mark": None, "wait_seconds": 0}
        started = execute(who, made.workflow.id, trigger_data=data, **by)
        ended = machines.until(started)
        assert ended.status == "completed", ended.error
        return machines.value(ended.final_output)

    return applied


def test_1_a_sum(generated, run):
    made = generated("Add one to a.", adding())
    assert (made.state["result"]["explanation"], made.state["result"]["diff"]) == ("It works.", None)
    assert run(made, {"a": 41}) == 42


def test_2_a_choice(generated, run):
    nodes = [
        START,
        node("large", "condition", {"condition": "trigger.amount > 100"}),
        node("yes", "transform", {"expression": '"ask the boss"'}),
        node("no", "transform", {"expression": '"pay"'}),
        node("both", "merge", {"mode": "first"}),
        OUT,
    ]
    wires = """start.trigger -> large.input; large.true -> yes.input; large.false -> no.input;
        yes.output -> both.inputs; no.output -> both.inputs; both.output -> out.value"""
    made = generated("Invoices above 100 go to the boss, others are paid.", answer(nodes, wires))
    assert run(made, {"amount": 250}) == "ask the boss"


def test_3_each_of_a_list(generated, run):
    nodes = [
        START,
        node("each", "loop", {"max_concurrency": 3}, {"items": "{{ trigger.names }}"}),
        node("greet", "transform", {"expression": '"Hello " & item'}, parent="each"),
        OUT,
    ]
    made = generated("Greet everybody.", answer(nodes, "each.item -> greet.input; each.results -> out.value"))
    assert run(made, {"names": ["Ada", "Grace"]}) == ["Hello Ada", "Hello Grace"]


def test_4_an_agent_that_is_there(generated, run, tenant, model):
    model.scripts["thinks"] = ["Sent on Monday."]
    keep(tenant, "agents", "clerk", description="Answers questions about orders.", model={"model": "thinks"})
    nodes = [START, node("ask", "agent", {"agent": "clerk", "model": "thinks"}, {"input": "{{ trigger }}"}), OUT]
    made = generated("Let our orders clerk answer.", answer(nodes, "ask.output -> out.value"))
    assert (made.state["result"]["existing_agents_used"], made.state["result"]["agents_to_create"]) == (["clerk"], [])
    assert '"clerk"' in model.asked[0]["messages"][1]["content"]
    assert run(made, "When was it sent?") == "Sent on Monday."


def test_5_a_new_agent(generated, run, tenant, model):
    new = agent("greeter", instructions="You greet.", tools=["current_time"])
    nodes = [START, node("ask", "agent", {"agent": "greeter"}, {"input": "{{ trigger }}"}), OUT]
    made = generated("An agent greets people.", answer(nodes, "ask.output -> out.value", agents_to_create=[new]))
    result = made.state["result"]
    assert (result["existing_agents_used"], result["existing_tools_used"]) == ([], ["current_time"])
    name = result["agents_to_create"][0]["model"]["model"]
    model.scripts[name] = ["Good morning, Ada."]
    assert run(made, "I am Ada.") == "Good morning, Ada."
    stored = ResourceStore(TenantTable(tenant)).get("agents", "greeter")
    assert (stored.version, stored.document["instructions"]) == (1, "You greet.")


def test_6_a_tool_that_is_there(generated, run, tenant, http, model):
    tool(tenant, "echo", http.base, description="Finds an order.")
    nodes = [START, node("find", "function_call", {}, {"name": "echo", "args": {"n": "{{ trigger.n }}"}}), OUT]
    made = generated("Find the order of the number n.", answer(nodes, "find.result -> out.value"))
    assert made.state["result"]["existing_tools_used"] == ["echo"]
    assert "Finds an order." in model.asked[0]["messages"][1]["content"]
    run(made, {"n": 7})
    assert http.seen[-1][1].startswith("/echo/7")


def test_7_a_workflow_that_is_there(generated, run, publish, events):
    publish(DOUBLE, "double")
    nodes = [START, node("twice", "sub_workflow", {"workflow_id": "double"}, {"input": "{{ trigger }}"}), OUT]
    made = generated("Double n by our workflow.", answer(nodes, "twice.output -> out.value"))
    assert run(made, {"n": 21}) == 42


def test_8_two_repairs(generated, run, model):
    unknown = answer(
        [START, node("add", "adder"), {**OUT, "config": "{name"}], "start.trigger -> add.input; add -> out"
    )
    wrong = [START, node("add", "agent", {"agent": "nobody"}, {"input": "{{ nodes.none.output }}"}), OUT]
    made = generated("Add one to a.", unknown, answer(wrong, "add.output -> out.value"), adding())
    assert (made.status, made.step) == ("done", 3)
    told = [asked["messages"][-1]["content"] for asked in model.asked]
    assert [t in told[1] for t in ("[unknown_type]", "[bad_json]", "[bad_connection]")] == [True, True, True]
    assert [t in told[2] for t in ("[unknown_agent]", "nobody", "[unknown_type]")] == [True, True, False]
    assert run(made, {"a": 1}) == 2


def test_9_what_cannot_be_done(generated, who):
    made = generated("Fax it.", answer(None, cannot="There is no node that sends a fax."))
    assert (made.status, made.state["error"]["error"]) == ("impossible", "Impossible")
    assert made.state["error"]["message"] == "There is no node that sends a fax."
    assert workflows.listing(who, None, 10).items == []


def test_10_a_person_decides(generated, machines, who):
    nodes = [START, node("ask", "human_in_the_loop", {"title": "Pay {{ trigger.amount }}?"}), OUT]
    wires = "start.trigger -> ask.input; ask.response -> out.value"
    made = generated("A person decides about each payment.", answer(nodes, wires))
    applied = apply(who, *of_generation(made))
    by = {"trigger_node": None, "version": "draft", "mark": None, "wait_seconds": 0}
    started = execute(who, applied.workflow.id, trigger_data={"amount": 5}, **by)
    machines.until(started, "paused")
    assert machines.open_tasks(started)["ask"].title == "Pay 5?"
    TaskService(machines.tenant).complete(who, machines.open_tasks(started)["ask"].id, "approve", {}, "Fine.")
    assert machines.until(started).status == "completed"
