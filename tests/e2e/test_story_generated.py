"""Workflows that are kept, made of templates, and made of prompts, with what there is to make them of.

Told with the generated client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.e2e.client import Client, connected
from tests.e2e.conftest import MCP_TOKEN
from tests.servers.mcp.own import Own
from tests.stepfunctions.agents import Model
from tests.stepfunctions.generator.said import OUT, START, agent, answer, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
DOUBLE = {"id": "double", "type": "transform", "config": {"expression": "${user_input} * 2"}}
NAMED = {"id": "named", "type": "template", "config": {"template": "It is ${steps.double.output}"}}


@pytest.fixture(scope="module")
def client(local: Stack, mine: Caller) -> Iterator[Client]:
    with connected(local, mine) as made:
        yield made


@pytest.fixture(scope="module")
def ledger(client: Client, mine: Caller, mcp: Own) -> str:
    """An MCP server of the tenant's that has been looked at."""
    mine.secrets.add(MCP_TOKEN)
    key = {"name": "plan_ledger", "kind": "bearer", "values": {"token": MCP_TOKEN}}
    client("credentials.create", sent=("CredentialIn", key))
    server = {"name": "plan_ledger", "url": f"http://{mcp.host}/mcp", "credential": "plan_ledger"}
    client("mcp_servers.create", sent=("McpServer", server))
    client("mcp_servers.refresh", "plan_ledger")
    return "plan_ledger"


@pytest.fixture(scope="module")
def clerk(client: Client, told: Model, ledger: str) -> str:
    """An agent of the tenant's."""
    model = {"provider": "openai", "model": "plan-clerk", "credential": "told"}
    fields = {"name": "plan_clerk", "description": "Sorts letters", "model": model, "mcp_servers": [ledger]}
    client("agents.create", sent=("Agent", fields))
    told.scripts["plan-clerk"] = ["A complaint."]
    return "plan_clerk"


def steps_of(client: Client, workflow_id: str) -> list[str]:
    return [s.to_dict()["id"] for s in client("steps.list_all", workflow_id).steps]


def ended(client: Client, workflow_id: str, trigger: Any) -> Any:
    run = client.sw.execute(workflow_id, trigger, seconds=60)
    assert run.status == "completed", run.error
    return run


def test_workflows_and_their_runs_are_kept(client: Client) -> None:
    fields: Json = {"name": "Doubling", "description": "Twice as much", "category": "sums", "tags": ["plan"]}
    made = client("workflows.create", sent=("WorkflowIn", {**fields, "steps": [DOUBLE]}), idempotency_key="plan-1")
    again = client("workflows.create", sent=("WorkflowIn", {**fields, "steps": [DOUBLE]}), idempotency_key="plan-1")
    assert again.id == made.id
    for filters in ({"category": "sums"}, {"tag": "plan"}, {"q": "doubl"}, {"is_active": False, "tag": "plan"}):
        assert made.id in [w.id for w in client.pages("workflows.list_all", **filters)], filters
    # Two people save: the second is told.
    changed: Json = {**fields, "name": "Doubling, named", "steps": [DOUBLE, NAMED]}
    saved = client("workflows.put", made.id, sent=("WorkflowIn", changed), if_match='"1"')
    assert (saved.revision, saved.name) == (2, "Doubling, named")
    client.refused(412, "workflows.put", made.id, sent=("WorkflowIn", fields | {"steps": [DOUBLE]}), if_match='"1"')
    assert client("workflows.validate", made.id).valid
    assert client("workflows.publish", made.id).version == 1

    runs = [ended(client, made.id, number) for number in (2, 3)]
    assert [r.final_output for r in runs] == ["It is 4", "It is 6"]
    broken = client.sw.execute(made.id, "x", seconds=60)
    history = client.pages("executions.list_all", made.id)
    assert [r.id for r in history] == [broken.id, runs[1].id, runs[0].id]
    assert [r.id for r in client.pages("executions.list_all", made.id, status="failed")] == [broken.id]
    found = client("executions.get", runs[0].id)
    nodes = found.node_executions.to_dict()
    assert (nodes["double"]["outputs"], nodes["named"]["outputs"]) == ({"output": 4}, {"output": "It is 4"})
    assert (found.trigger_data, found.triggered_by["kind"], found.duration_ms > 0) == (2, "manual", True)
    stats = until(lambda: client("workflows.stats", made.id), lambda s: s.runs.completed + s.runs.failed == 3)
    assert (stats.runs.total, round(stats.success_rate, 2)) == (3, 0.67)
    copied = client("workflows.copy", made.id)
    assert (copied.id != made.id, copied.nodes == saved.nodes, copied.published_version) == (True, True, None)
    client("workflows.remove", copied.id)
    client.refused(404, "workflows.get", copied.id)


def test_steps_and_canvas_are_edited_one_by_one(client: Client) -> None:
    sent = {"name": "By hand", "steps": [DOUBLE]}
    workflow_id = client("workflows.create", sent=("WorkflowIn", sent)).id
    client("steps.add", workflow_id, sent=("AddStepIn", {"step": NAMED}))
    note = {"id": "note", "type": "log", "config": {"message": "Doubled"}}
    client("steps.add", workflow_id, sent=("AddStepIn", {"step": note, "after": "double"}))
    assert steps_of(client, workflow_id) == ["double", "note", "named"]
    other = {**NAMED, "config": {"template": "That makes ${steps.double.output}"}}
    client("steps.put", workflow_id, "named", sent=("WrittenStep", other))
    client("steps.remove", workflow_id, "note")
    assert client.refused(409, "steps.remove", workflow_id, "double").code == "step_in_use"
    rest = {"id": "rest", "type": "delay", "config": {"ms": 1}}
    client("steps.add", workflow_id, sent=("AddStepIn", {"step": rest}))
    client("steps.reorder", workflow_id, sent=("ReorderIn", {"order": ["double", "rest", "named"]}))
    assert steps_of(client, workflow_id) == ["double", "rest", "named"]
    client("steps.connect", workflow_id, "double", sent=("ConnectIn", {"to": "named"}))
    assert ended(client, workflow_id, 4).final_output == "That makes 8"

    client("canvas.move", workflow_id, "double", sent=("Position", {"x": 40, "y": 80}))
    drawn = client("canvas.get", workflow_id).to_dict()
    assert {n["id"]: n["position"] for n in drawn["nodes"]}["double"] == {"x": 40, "y": 80}
    assert {("double", "rest"), ("double", "named")} <= {(e["source"], e["target"]) for e in drawn["edges"]}
    for item in drawn["nodes"]:
        item["position"] = {"x": item["position"]["x"] + 10, "y": item["position"]["y"]}
    moved = client("canvas.put", workflow_id, sent=("CanvasIn", {"nodes": drawn["nodes"], "edges": drawn["edges"]}))
    assert {n["id"]: n["position"] for n in moved.to_dict()["nodes"]}["double"] == {"x": 50, "y": 80}


def test_what_there_is_to_build_with(client: Client, clerk: str, ledger: str) -> None:
    agents = {a.name: a for a in client.pages("resources.agents", q="plan")}
    assert agents[clerk].mcp_servers == [ledger]
    servers = {s.name: s for s in client.pages("resources.mcps", q="plan")}
    assert (servers[ledger].health.status, "add" in [t.name for t in servers[ledger].tools]) == ("healthy", True)
    tools = {(t.kind, t.name) for t in client.pages("resources.tools")}
    assert ("builtin", "calculate") in tools
    of_server = client.pages("resources.tools", server=ledger)
    assert "add" in [t.tool for t in of_server]
    assert {t.server for t in of_server} == {ledger}


def generated(client: Client, told: Model, name: str, said: Json, **fields: Any) -> Any:
    """A generation that is over."""
    told.scripts[name] = [json.dumps(said)]
    model = {"provider": "openai", "model": name, "credential": "told"}
    found = client("generate.generate", sent=("GenerateIn", {"model": model, **fields}))
    return until(lambda: client("generate.get", found.id, wait_seconds=5), lambda g: g.status != "running")


def test_a_prompt_becomes_a_workflow_and_another_changes_it(
    client: Client, told: Model, clerk: str, ledger: str
) -> None:
    sort = node("sort", "agent", {"agent": clerk}, {"input": "{{ trigger.letter }}"})
    reply = node("reply", "agent", {"agent": "plan_writer"}, {"input": "{{ nodes.sort.output }}"})
    writer = agent("plan_writer", instructions="You answer letters.", mcp_servers=[ledger])
    mail = {"name": "mail", "url": None, "reason": "It could send the answer."}
    more: Json = {"agents_to_create": [writer], "mcps_suggested": [mail], "explanation": "Sorted, then answered."}
    found = generated(
        client,
        told,
        "plan-1",
        answer([START, sort, reply, OUT], "reply.output -> out.value", **more),
        prompt="Letters.",
    )
    assert (found.status, found.explanation, found.problems) == ("done", "Sorted, then answered.", []), found.error
    assert ([a.name for a in found.agents_to_create], found.existing_agents_used) == (["plan_writer"], [clerk])
    assert (found.existing_mcps_used, [m.name for m in found.mcps_suggested]) == ([ledger], ["mail"])
    shown = str(next(a for a in told.asked if a["model"] == "plan-1")["messages"])
    assert all(name in shown for name in (clerk, ledger, "Sorts letters")), "what there is, it is told of"

    applied = client("generate.apply", sent=("ApplyIn", {"generation_id": found.id}))
    assert (applied.agents_created, applied.workflow.published_version) == (["plan_writer"], None)
    assert client("agents.get", "plan_writer").instructions == "You answer letters."
    told.scripts["plan-1"] = ["Dear Ada, sorry."]  # what its new agent says: it has the model that made it
    assert ended(client, applied.workflow.id, {"letter": "It broke."}).final_output == "Dear Ada, sorry."

    loud = node("loud", "transform", {"expression": "$uppercase(nodes.reply.output)"})
    louder = answer([START, sort, reply, loud, OUT], "reply.output -> loud.input; loud.output -> out.value")
    change = generated(client, told, "plan-2", louder, prompt="Louder.", workflow_id=applied.workflow.id)
    assert (change.status, [n["id"] for n in change.diff.to_dict()["added"]]) == ("done", ["loud"]), change.error
    client("generate.apply", sent=("ApplyIn", {"generation_id": change.id}))
    assert ended(client, applied.workflow.id, {"letter": "It broke."}).final_output == "DEAR ADA, SORRY."


def test_templates_are_listed_read_and_made_into_workflows(client: Client) -> None:
    listed = {t.id: t for t in client.pages("templates.list_all", source="library", category="ai")}
    assert {"model-router", "prompt-chain"} <= set(listed)
    found = client("templates.get", "approval")
    assert "limit" in found.parameters.to_dict()["properties"]
    sent = ("InstantiateIn", {"name": "Spending", "parameters": {"limit": 50}})
    made = client("templates.instantiate", "approval", sent=sent)
    assert (made.name, made.problems) == ("Spending", [])
    assert ended(client, made.id, {"what": "tea", "amount": 10}).final_output == {"approved": True}
    own = client("templates.of_workflow", made.id, sent=("TemplateOfIn", {"name": "Spending, ours"}))
    assert own.id in [t.id for t in client.pages("templates.list_all", source="tenant")]
    again = client("templates.instantiate", own.id)
    assert again.id != made.id
    wrong = ("InstantiateIn", {"parameters": {"limit": "much"}})
    refused = client.refused(422, "templates.instantiate", "approval", sent=wrong)
    assert [(e["code"], e["path"]) for e in refused.errors] == [("bad_parameter", "parameters.limit")]
