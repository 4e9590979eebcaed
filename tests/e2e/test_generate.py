"""From a prompt to a run on the local AWS: a repair, a new agent, a change by a prompt; two tenants."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.caller import Caller, until
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model
from tests.stepfunctions.generator.said import OUT, START, agent, answer, node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
KEY = "generator-hush-hush-key"
ASKING = [START, node("ask", "agent", {"agent": "gen_greeter"}, {"input": "{{ trigger.who }}"}), OUT]
WIRES = "ask.output -> out.value"
WRONG = answer([START, node("ask", "agent", {"agent": "nobody_there"}, {"input": "x"}), OUT], WIRES)
GREETER = agent("gen_greeter", instructions="You greet people.", tools=["calculate"])
RIGHT = answer(ASKING, WIRES, agents_to_create=[GREETER], explanation="An agent greets whoever comes.")
LOUD = [*ASKING[:2], node("loud", "transform", {"expression": "$uppercase(nodes.ask.output)"}), OUT]


@pytest.fixture(scope="module")
def assisted(mine: Caller, mind: tuple[Model, Server]) -> Model:
    """The model that the first tenant has chosen, with a credential of its own."""
    model, server = mind
    mine.secrets.add(KEY)
    values = {"api_key": KEY, "base_url": f"{server.url}/v1"}
    mine.post("/credentials", {"name": "gen_key", "kind": "openai", "values": values}, 201)
    return model


def begun(mine: Caller, model: Model, name: str, prompt: str, *answers: Any, **more: Any) -> Any:
    """A generation that is over."""
    model.scripts[name] = [json.dumps(a) for a in answers]
    chosen = {"provider": "openai", "model": name, "credential": "gen_key"}
    found = mine.post("/workflows/generate", {"prompt": prompt, "model": chosen, **more})
    location = f"/workflows/generations/{found['id']}?wait_seconds=10"
    return until(lambda: mine.get(location), lambda f: f["status"] != "running", seconds=120)


def test_from_a_prompt_to_a_run_and_to_another(mine: Caller, theirs: Caller, assisted: Model) -> None:
    theirs.post("/agents", {"name": "theirs_alone", "model": {"model": "m"}}, 201)
    found = begun(mine, assisted, "gen-1", "Greet whoever comes.", WRONG, RIGHT, wait_seconds=0)
    assert (found["status"], found["repairs"]) == ("done", 1), found
    assert found["explanation"] == "An agent greets whoever comes."
    assert [a["name"] for a in found["agents_to_create"]] == ["gen_greeter"]
    asked = [a for a in assisted.asked if a["model"] == "gen-1"]
    assert "unknown_agent" in asked[1]["messages"][-1]["content"]
    assert "theirs_alone" not in str(asked)
    assert KEY not in str(asked)
    theirs.refused("GET", f"/workflows/generations/{found['id']}", 404)
    theirs.refused("POST", "/workflows/generate/apply", 404, {"generation_id": found["id"]})
    mine.refused("GET", "/agents/gen_greeter", 404)

    applied = mine.post("/workflows/generate/apply", {"generation_id": found["id"]}, 201)
    workflow_id = applied["workflow"]["id"]
    assert (applied["agents_created"], applied["workflow"]["is_active"]) == (["gen_greeter"], False)
    assert mine.post("/workflows/generate/apply", {"generation_id": found["id"]}, 200) == applied
    assisted.scripts["gen-1"] = ["Hello Ada"]
    ended = mine.until(mine.execute(workflow_id, {"who": "Ada"}))
    assert (ended["status"], ended["final_output"]) == ("completed", "Hello Ada"), ended["error"]

    louder = answer(LOUD, "loud.output -> out.value")
    change = begun(mine, assisted, "gen-2", "Louder, please.", louder, workflow_id=workflow_id, wait_seconds=20)
    assert (change["status"], change["revision"]) == ("done", 1), change
    assert [n["id"] for n in change["diff"]["added"]] == ["loud"]
    assert change["existing_agents_used"] == ["gen_greeter"]
    mine.post("/workflows/generate/apply", {"generation_id": change["id"]}, 200)
    ended = mine.until(mine.execute(workflow_id, {"who": "Ada"}))
    assert (ended["status"], ended["final_output"]) == ("completed", "HELLO ADA"), ended["error"]


def test_what_cannot_be_done_says_so(mine: Caller, assisted: Model) -> None:
    cannot = answer(None, cannot="No node sends a fax.")
    found = begun(mine, assisted, "gen-3", "Fax it.", cannot, wait_seconds=20)
    assert (found["status"], found["error"]["message"]) == ("impossible", "No node sends a fax.")
    refused = mine.refused("POST", "/workflows/generate/apply", 409, {"generation_id": found["id"]})
    assert refused["code"] == "not_done"


def test_the_palette_and_a_servers_health(mine: Caller, theirs: Caller, mcp: Any) -> None:
    server = {"name": "gen_dark", "url": f"http://{mcp.host}/mcp"}  # it wants a token
    mine.post("/mcp-servers", server, 201)
    assert mine.get("/mcp-servers/gen_dark/health")["status"] == "unknown"
    mine.post("/mcp-servers/gen_dark/refresh", None, 200)
    health = mine.get("/mcp-servers/gen_dark/health")
    assert (health["status"], health["last_error"]["error"]) == ("failing", "AuthenticationFailed")
    listed = mine.get("/workflows/resources/mcps?q=gen_dark")["items"]
    assert [(s["name"], s["health"]["status"]) for s in listed] == [("gen_dark", "failing")]
    assert "gen_dark" not in str(theirs.get("/workflows/resources/mcps?limit=200"))
    assert "calculate" in [t["name"] for t in mine.get("/workflows/resources/tools?kind=builtin")["items"]]
