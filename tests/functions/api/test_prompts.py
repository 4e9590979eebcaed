"""Prompts over HTTP, and chains of them: structured data, a person who edits it, several models at once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shared.settings import settings
from tests.functions.api.workflows_over_http import Json, created, execute, made, problem, until
from tests.shared.nodes.http_server import Asked, Reply, Server, serving
from tests.shared.nodes.models import openai_says

VARIABLES = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}
OUTLINE = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "points": {"type": "array", "items": {"type": "string"}}},
    "required": ["title", "points"],
}
PROMPT = {"name": "outline", "text": "Outline {{ topic }}.", "model": "m", "input_schema": VARIABLES}


@pytest.fixture
def model(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A model at an OpenAI-compatible endpoint: a value where a schema is given, else it says what it was asked."""

    def answer(asked: Asked) -> Reply:
        said = " | ".join(str(m["content"]) for m in asked.json["messages"])
        if "response_format" in asked.json:
            return openai_says(json.dumps({"title": "Draft", "points": ["one"]}))
        return openai_says(f"{asked.json['model']}: {said}")

    with serving(answer) as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.host)
        settings.cache_clear()
        yield server


@pytest.fixture
def key(api_client, model) -> str:
    body = {"name": "mind", "kind": "openai", "values": {"api_key": "k", "base_url": f"{model.url}/v1"}}
    made(api_client.post("/credentials", json=body))
    return "mind"


def test_a_prompt_has_versions(api_client):
    first = api_client.post("/prompts", json=PROMPT)
    assert (first.status_code, first.headers["etag"], first.json()["text"]) == (201, '"1"', PROMPT["text"])
    changed = made(api_client.put("/prompts/outline", json={**PROMPT, "text": "Say {{ topic }}."}))
    assert changed["version"] == 2
    assert made(api_client.get("/prompts/outline/versions/1"))["document"]["text"] == PROMPT["text"]
    assert [p["name"] for p in made(api_client.get("/prompts"))["items"]] == ["outline"]
    assert [v["version"] for v in made(api_client.get("/prompts/outline/versions"))["items"]] == [2, 1]
    problem(api_client.put("/prompts/outline", json=PROMPT, headers={"If-Match": '"1"'}), 412)
    problem(api_client.post("/prompts", json=PROMPT), 409)
    assert api_client.delete("/prompts/outline").status_code == 204
    problem(api_client.get("/prompts/outline"), 404)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"text": ""}, "text"),
        ({"text": "{{ open"}, ""),
        ({"text": "{{ 1 + }}"}, ""),
        ({"name": "Has Spaces"}, "name"),
        ({"input_schema": {"type": "strin"}}, "input_schema"),
        ({"input_schema": {"type": "string"}}, "input_schema.type"),
        ({"output_schema": {"type": 5}}, "output_schema"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_prompt_is_refused(api_client, change, path):
    errors = problem(api_client.post("/prompts", json={**PROMPT, **change}), 422)["errors"]
    assert any(path in (e.get("path") or "") for e in errors), errors


def test_a_chain_of_prompts_with_a_person_who_edits_the_data(api_client, machines, model, key):
    made(api_client.post("/prompts", json=PROMPT))
    made(api_client.put("/prompts/outline", json={**PROMPT, "text": "Not this."}))
    steps = [
        {"id": "outline", "type": "prompt", "prompt_name": "outline", "prompt_version": 1, "credential": key,
         "variables": {"topic": "${user_input.topic}"}, "output_schema": OUTLINE},
        {"id": "edit", "type": "human_in_the_loop", "title": "Edit ${steps.outline.output.title}", "form": OUTLINE},
        {"id": "write", "type": "prompt", "model": "m", "credential": key,
         "prompt": "Write ${steps.edit.output.title} with ${steps.edit.output.points}"},
    ]  # fmt: skip
    workflow_id = created(api_client, {"name": "Chain", "steps": steps})
    assert made(api_client.get(f"/workflows/{workflow_id}/steps"))["steps"] == steps
    assert made(api_client.post(f"/workflows/{workflow_id}/validate"))["problems"] == []
    run = made(api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": {"topic": "tides"}}))
    waiting = until(api_client, run["id"], "paused")
    assert model.asked[0].json["messages"] == [{"role": "user", "content": "Outline tides."}]
    task = made(api_client.get(f"/tasks/{waiting['node_executions']['edit']['task_id']}"))
    assert (task["title"], task["data"]) == ("Edit Draft", {"title": "Draft", "points": ["one"]})
    edited = {**task["data"], "points": ["one", "two"]}  # the form is filled with the data; what is changed counts
    problem(api_client.post(f"/tasks/{task['id']}/complete", json={"decision": "approve", "data": {"title": 5}}), 422)
    made(api_client.post(f"/tasks/{task['id']}/complete", json={"decision": "approve", "data": edited}))
    ended = until(api_client, run["id"], "completed", "failed")
    assert ended["final_output"] == 'm: Write Draft with ["one","two"]', ended["error"]
    shown = made(api_client.get(f"/workflows/executions/{run['id']}/interactions"))["items"]
    assert [(i["step_id"], i["type"]) for i in shown] == [
        ("outline", "prompt"), ("edit", "human_in_the_loop"), ("write", "prompt"),
    ]  # fmt: skip
    assert shown[0]["output"] == {"title": "Draft", "points": ["one"]}


def test_race_and_combine_is_an_ordinary_workflow(api_client, machines, model, key):
    asks = [
        [{"id": name, "type": "prompt", "model": name, "credential": key, "prompt": "${user_input}"}]
        for name in ("red", "blue")
    ]
    steps = [
        {"id": "race", "type": "parallel", "branches": asks},
        {
            "id": "combine",
            "type": "prompt",
            "model": "judge",
            "credential": key,
            "prompt": "Combine: ${steps.race.output}",
        },
    ]
    workflow_id = created(api_client, {"name": "Race", "steps": steps})
    assert execute(api_client, workflow_id, "hi")["final_output"] == 'judge: Combine: ["red: hi","blue: hi"]'


def failing(client, key: str, **step: object) -> Json:
    steps = [{"id": "p", "type": "prompt", "credential": key, "model": "m", **step}]
    run = execute(client, created(client, {"name": "Fails", "steps": steps}), {})
    assert run["status"] == "failed"
    error: Json = run["error"]
    return error


def test_a_stored_prompt_that_cannot_be_asked_says_why(api_client, machines, key):
    made(api_client.post("/prompts", json=PROMPT))
    assert failing(api_client, key, prompt_name="none")["error"] == "PromptNotFound"
    assert failing(api_client, key, prompt_name="outline", prompt_version=9)["error"] == "PromptNotFound"
    wrong = failing(api_client, key, prompt_name="outline", variables={"topic": 5})
    assert wrong["error"] == "InvalidInput"
    assert "topic" in wrong["message"] or "5" in wrong["message"]
    made(api_client.post("/prompts", json={"name": "bad", "text": "{{ $error('no') }}"}))
    assert failing(api_client, key, prompt_name="bad")["error"] == "ExpressionError"


def test_a_stored_prompt_stands_behind_what_was_said_and_brings_its_schema(api_client, machines, model, key):
    stored = {**PROMPT, "text": "{{ topic }}", "system": "Be {{ topic }}.", "output_schema": OUTLINE}
    made(api_client.post("/prompts", json=stored))
    said = [{"role": "user", "content": "hello"}]
    step = {"id": "p", "type": "prompt", "prompt_name": "outline", "credential": key, "prompt": said}
    steps = [
        {**step, "variables": {"topic": "brief"}},
        {"type": "output", "inputs": {"value": "${steps.p.json.title}"}},
    ]
    assert execute(api_client, created(api_client, {"name": "S", "steps": steps}))["final_output"] == "Draft"
    assert [m["content"] for m in model.asked[0].json["messages"]][:3] == ["Be brief.", "hello", "brief"]
