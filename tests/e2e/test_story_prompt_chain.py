"""Chains of prompts: templates, data passed on as data, a person in between, branches, loops, races; saved, shared."""

from __future__ import annotations

import json

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.stepfunctions.agents import Model

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
OUTLINE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "points": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "points"],
}
DRAFT = {"title": "Tides", "points": ["moon"]}


def prompt(step_id: str, model: str, text: str, **fields: object) -> Json:
    return {"id": step_id, "type": "prompt", "credential": "told", "model": model, "prompt": text, **fields}


# A stored prompt, an agent's task, a person who edits the data, a loop over the list, and one of two ends.
STEPS: list[Json] = [
    {
        "id": "outline",
        "type": "prompt",
        "credential": "told",
        "prompt_name": "chain_outline",
        "variables": {"topic": "${user_input.topic}", "count": "${user_input.count}"},
        "output_schema": OUTLINE,
    },
    {"id": "check", "type": "agent", "agent": "chain_checker", "input": "Check ${steps.outline.output.title}"},
    {
        "id": "edit",
        "type": "human_in_the_loop",
        "title": "Edit ${steps.outline.output.title}",
        "input": "${steps.outline.output}",
        "form": OUTLINE,
    },
    {
        "id": "each",
        "type": "loop",
        "over": "${steps.edit.output.points}",
        "steps": [prompt("write", "chain-writer", "Write about ${item} in ${steps.edit.output.title}")],
    },
    {
        "id": "long",
        "type": "conditional",
        "condition": "$count(${steps.edit.output.points}) > 1",
        "then": [prompt("join", "chain-editor", "Join: ${steps.each.output}")],
        "else": [{"id": "only", "type": "transform", "config": {"expression": "${steps.each.output}[0]"}}],
    },
]


@pytest.fixture(scope="module")
def chain(mine: Caller, told: Model) -> str:
    """The workflow's id."""
    told.scripts |= {
        "chain-outliner": [json.dumps(DRAFT)],
        "chain-checker": ["It is fine."],
        "chain-writer": ["A paragraph."],
        "chain-editor": ["The whole story."],
    }
    schema = {
        "type": "object",
        "properties": {"topic": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["topic", "count"],
    }
    stored = {"name": "chain_outline", "text": "Outline {{ topic }} in {{ count }} points.", "model": "chain-outliner"}
    assert mine.post("/prompts", {**stored, "input_schema": schema}, 201)["version"] == 1
    agent = {"name": "chain_checker", "model": {"model": "chain-checker", "credential": "told"}}
    mine.post("/agents", agent, 201)
    return mine.published({"name": "Chain", "description": "From a topic to a text", "steps": STEPS})


def asked(told: Model, name: str) -> list[str]:
    """What the model of this name was asked, in order."""
    return [str(a["messages"][-1]["content"]) for a in list(told.asked) if a["model"] == name]


def children(mine: Caller, run_id: str) -> list[tuple[str, str, str]]:
    items = mine.get(f"/workflows/executions/{run_id}/interactions")["items"]
    return [(i["step_id"], i["type"], i["status"]) for i in items]


def answered(mine: Caller, run_id: str, points: list[str]) -> Json:
    """The run's end, after a person has put these points into the outline."""
    mine.answer(run_id, "edit", {"decision": "approve", "data": {"title": "Tides", "points": points}})
    ended = mine.until(run_id)
    assert ended["status"] == "completed", ended["error"]
    return ended


def test_a_chain_is_a_conversation_that_waits_for_a_person(mine: Caller, told: Model, chain: str) -> None:
    assert mine.get(f"/workflows/{chain}?notation=steps")["steps"][0]["prompt_name"] == "chain_outline"
    run_id = mine.execute(chain, {"topic": "tides", "count": 3})
    task = mine.get(f"/tasks/{mine.task(run_id, 'edit')}")
    assert (task["title"], task["data"], task["form"]) == ("Edit Tides", DRAFT, OUTLINE)
    paused = mine.until(run_id, "paused")
    assert paused["pause_reason"] == "human_input"
    # The parent is the run, its children are the steps that have begun.
    shown = mine.get(f"/workflows/executions/{run_id}/interactions")
    assert (shown["parent"]["type"], shown["parent"]["status"]) == ("workflow.run", "paused")
    assert [i["parent_id"] for i in shown["items"]] == [shown["parent"]["id"]] * 3
    assert children(mine, run_id) == [
        ("outline", "prompt", "completed"),
        ("check", "agent", "completed"),
        ("edit", "human_in_the_loop", "paused"),
    ]
    assert shown["items"][0]["output"] == DRAFT, "the prompt's answer is data, not text"
    assert shown["items"][2]["task_id"] == task["id"]

    ended = answered(mine, run_id, ["moon", "sun"])
    assert ended["final_output"] == "The whole story."
    assert asked(told, "chain-outliner") == ["Outline tides in 3 points."]
    assert asked(told, "chain-checker") == ["Check Tides"]
    assert sorted(asked(told, "chain-writer")) == ["Write about moon in Tides", "Write about sun in Tides"]
    assert asked(told, "chain-editor") == ['Join: ["A paragraph.","A paragraph."]']
    nodes = ended["node_executions"]
    assert (nodes["write"]["iterations"]["completed"], nodes["only"]["status"]) == (2, "skipped")
    kinds = until(lambda: [e["type"] for e in mine.events(run_id)], lambda found: "execution_completed" in found)
    wanted = ["execution_started", "task_created", "execution_paused", "execution_resumed", "execution_completed"]
    assert [k for k in kinds if k in wanted] == wanted

    # The other branch: of one point nothing has to be joined.
    short = answered(mine, mine.execute(chain, {"topic": "tea", "count": 1}), ["moon"])
    assert short["final_output"] == "A paragraph."
    assert short["node_executions"]["join"]["status"] == "skipped"


def test_what_does_not_fit_is_said(mine: Caller, told: Model, chain: str) -> None:
    ended = mine.until(mine.execute(chain, {"topic": "tides", "count": "many"}))
    assert (ended["status"], ended["error"]["node_id"]) == ("failed", "outline")
    told.scripts["chain-chatty"] = ["Sure! Here is no JSON."] * 5
    steps = [prompt("outline", "chain-chatty", "Outline it.", output_schema=OUTLINE)]
    ended = mine.until(mine.start({"name": "Chatty", "steps": steps}))
    assert (ended["status"], ended["error"]["error"]) == ("failed", "InvalidResponse")
    run_id = mine.execute(chain, {"topic": "tides", "count": 2})
    wrong = {"decision": "approve", "data": {"title": 7, "points": []}}
    path = f"/tasks/{mine.task(run_id, 'edit')}/complete"
    assert any("title" in e["path"] for e in mine.refused("POST", path, 422, wrong)["errors"])
    mine.control(run_id, "cancel")
    assert mine.until(run_id)["status"] == "cancelled"


def test_a_chain_is_saved_loaded_and_shared(mine: Caller, theirs: Caller, told: Model, chain: str) -> None:
    chosen = [{"name": "editor", "path": "nodes.join.config.model", "title": "Who joins"}]
    saved = mine.post(f"/workflows/{chain}/template", {"name": "Chain", "parameters": chosen}, 201)
    assert saved["id"] in [t["id"] for t in mine.get("/workflows/templates?source=tenant&limit=200")["items"]]
    told.scripts["chain-other"] = ["Another story."]
    given = {"name": "Chain, again", "parameters": {"editor": "chain-other"}}
    loaded = mine.post(f"/workflows/templates/{saved['id']}/instantiate", given, 201)
    assert (loaded["name"], loaded["problems"]) == ("Chain, again", [])
    ended = answered(mine, mine.execute(loaded["id"], {"topic": "tea", "count": 2}), ["a", "b"])
    assert ended["final_output"] == "Another story."

    link = mine.post(f"/workflows/{chain}/share", {"rights": "copy"}, 201)
    mine.secrets.add(link["token"])
    taken = theirs.post(f"/shared/{link['token']}/copy", None, 201)
    lacks = {p["message"] for p in taken["problems"]}
    for name in ("chain_checker", "chain_outline"):
        assert any(name in text for text in lacks), "whoever takes it is told what it needs"
    assert any("told" in text for text in lacks)
    written = [s["id"] for s in theirs.get(f"/workflows/{taken['id']}/steps")["steps"]]
    assert written == ["outline", "check", "edit", "each", "long"]


def test_race_and_combine_is_an_ordinary_workflow(mine: Caller, told: Model) -> None:
    told.scripts |= {"chain-red": ["Red says."], "chain-blue": ["Blue says."], "chain-judge": ["Both say."]}
    branches = [[prompt(name, f"chain-{name}", "${user_input}")] for name in ("red", "blue")]
    race = {"id": "race", "type": "parallel", "branches": branches}
    steps = [race, prompt("combine", "chain-judge", "Combine: ${steps.race.output}")]
    run_id = mine.start({"name": "Race", "steps": steps}, "Why?")
    assert mine.until(run_id)["final_output"] == "Both say."
    assert asked(told, "chain-judge") == ['Combine: ["Red says.","Blue says."]']
    assert {step for step, _, _ in children(mine, run_id)} >= {"red", "blue", "combine"}
    # And as a template, for whoever draws nothing.
    models = {"first_model": "chain-judge", "second_model": "chain-red", "third_model": "chain-blue"}
    given = {"parameters": {**models, "credential": "told"}}
    made = mine.post("/workflows/templates/race-and-combine/instantiate", given, 201)
    ended = mine.until(mine.execute(made["id"], {"prompt": "Why?"}))
    assert ended["final_output"]["answer"] == "Both say.", ended["error"]
    assert len(ended["final_output"]["responses"]) == 3
