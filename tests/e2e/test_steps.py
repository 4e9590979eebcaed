"""Workflows written as steps on the local AWS: chains of prompts, agents that are paused, runs below runs."""

from __future__ import annotations

import json

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
KEY = "steps-hush-hush-key"
OUTLINE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "points": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "points"],
}


@pytest.fixture(scope="module")
def furnished(mine: Caller, mind: tuple[Model, Server]) -> Model:
    model, server = mind
    mine.secrets.add(KEY)
    values = {"api_key": KEY, "base_url": f"{server.url}/v1"}
    mine.post("/credentials", {"name": "steps_mind", "kind": "openai", "values": values}, 201)
    return model


def prompt(step_id: str, **fields: object) -> Json:
    return {"id": step_id, "type": "prompt", "credential": "steps_mind", **fields}


def interactions(mine: Caller, run_id: str) -> list[Json]:
    found: list[Json] = mine.get(f"/workflows/executions/{run_id}/interactions")["items"]
    return found


def test_a_chain_of_prompts_with_a_person_who_edits_the_data(mine: Caller, furnished: Model) -> None:
    draft = {"title": "Tides", "points": ["moon"]}
    furnished.scripts |= {"outliner": [json.dumps(draft)], "writer": ["A story of moon and sun."]}
    schema = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    stored = {"name": "outline", "text": "Outline {{ topic }}.", "model": "outliner", "input_schema": schema}
    mine.post("/prompts", stored, 201)
    steps = [
        prompt("outline", prompt_name="outline", variables={"topic": "${user_input.topic}"}, output_schema=OUTLINE),
        {"id": "edit", "type": "human_in_the_loop", "title": "Edit ${steps.outline.output.title}", "form": OUTLINE},
        prompt("write", model="writer", prompt="Write ${steps.edit.output.title}: ${steps.edit.output.points}"),
    ]
    workflow_id = mine.published({"name": "Prompt chain", "steps": steps})
    run_id = mine.execute(workflow_id, {"topic": "tides"})
    task = mine.get(f"/tasks/{mine.task(run_id, 'edit')}")
    assert (task["title"], task["data"]) == ("Edit Tides", draft)
    shown = interactions(mine, run_id)
    assert [(i["step_id"], i["type"], i["status"]) for i in shown] == [
        ("outline", "prompt", "completed"),
        ("edit", "human_in_the_loop", "paused"),
    ]
    mine.answer(run_id, "edit", {"decision": "approve", "data": {**task["data"], "points": ["moon", "sun"]}})
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"]) == ("completed", "A story of moon and sun."), ended["error"]
    asked = [a["messages"][-1]["content"] for a in furnished.asked if a["model"] in ("outliner", "writer")]
    assert asked == ["Outline tides.", 'Write Tides: ["moon","sun"]']
    assert [i["output"] for i in interactions(mine, run_id)][-1] == "A story of moon and sun."


def test_race_and_combine_is_an_ordinary_workflow(mine: Caller, furnished: Model) -> None:
    furnished.scripts |= {"red": ["Red says."], "blue": ["Blue says."], "judge": ["Both say."]}
    steps = [
        {
            "id": "race",
            "type": "parallel",
            "branches": [[prompt(name, model=name, prompt="${user_input}")] for name in ("red", "blue")],
        },
        prompt("combine", model="judge", prompt="Combine: ${steps.race.output}"),
    ]
    ended = mine.until(mine.start({"name": "Race", "steps": steps}, "Why?"))
    assert ended["final_output"] == "Both say.", ended["error"]
    asked = next(a for a in furnished.asked if a["model"] == "judge")
    assert asked["messages"][-1]["content"] == 'Combine: ["Red says.","Blue says."]'


def test_a_workflow_of_agents_is_made_gone_on_with_paused_and_removed(mine: Caller, furnished: Model) -> None:
    furnished.scripts |= {"researcher": ["Found."], "summary": ["In short."], "report": ["The report."]}
    for name in ("researcher", "summary", "report"):
        model = {"provider": "openai", "model": name, "credential": "steps_mind"}
        agent = {"name": f"steps_{name}", "model": model, "memory": {"enabled": True}}
        mine.post("/agents", agent, 201)
    steps = [
        {"id": "research", "type": "agent", "agent": "steps_researcher", "input": "Research ${user_input}"},
        {"id": "rest", "type": "delay", "config": {"ms": 2_000}},
        {"id": "summary", "type": "agent", "agent": "steps_summary", "input": "Sum up: ${steps.research.output}"},
    ]
    workflow_id = mine.store({"name": "Agents in a row", "steps": steps})
    report = {"id": "report", "type": "agent", "agent": "steps_report", "input": "Report on ${steps.summary.output}"}
    made = mine.post(f"/workflows/{workflow_id}/steps", {"step": report}, 201)
    assert [s["id"] for s in made["steps"]] == ["research", "rest", "summary", "report"]
    mine.publish(workflow_id)
    run_id = mine.execute(workflow_id, "trends")
    mine.until_node(run_id, "research", "completed")
    mine.control(run_id, "pause")
    paused = mine.until(run_id, "paused")
    assert (paused["pause_reason"], paused["node_executions"]["report"]["status"]) == ("requested", "pending")
    mine.control(run_id, "resume")
    ended = mine.until(run_id)
    assert (ended["status"], ended["final_output"]) == ("completed", "The report."), ended["error"]
    for name, said in (("research", "Found."), ("report", "The report.")):
        messages = mine.get(f"/threads/{run_id}-{name}/messages")["items"]
        assert [m["content"] for m in messages][-1] == said, "each step has a thread of its own"
    assert [i["step_id"] for i in interactions(mine, run_id)] == ["research", "rest", "summary", "report"]
    assert any(w["id"] == workflow_id for w in mine.get("/workflows?q=Agents in a row")["items"])
    assert mine.send("DELETE", f"/workflows/{workflow_id}").status_code == 204
    mine.refused("GET", f"/workflows/{workflow_id}/steps", 404)


def test_a_run_below_a_run_is_linked_both_ways(mine: Caller) -> None:
    below = mine.published({"name": "Below", "steps": [{"type": "transform", "config": {"expression": "trigger * 2"}}]})
    steps = [{"id": "call", "type": "sub_workflow", "config": {"workflow_id": below}, "inputs": {"input": 21}}]
    run_id = mine.start({"name": "Above", "steps": steps})
    assert mine.until(run_id)["final_output"] == 42
    (call,) = interactions(mine, run_id)
    assert (call["type"], call["output"]) == ("sub_workflow", 42)
    child = until(lambda: mine.get(f"/workflows/executions/{call['child_execution_id']}/interactions"), every=0.2)
    assert (child["parent"]["parent_id"], child["parent"]["output"]) == (call["id"], 42)
