"""Guided workflows without code: a template is posted and checked, users of a type fill it in by talking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.e2e.test_people import Person
from tests.e2e.test_webhooks_out import received, subscribed
from tests.echo_server import EchoServer
from tests.functions.api.workflows_over_http import node, workflow
from tests.stepfunctions.agents import Model
from tests.stepfunctions.guided_talk import says, update

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
VISIT: Json = {
    "name": "visit",
    "description": "Makes an appointment",
    "category": "medical",
    "guidelines": "Speak plainly. Give no diagnosis.",
    "state_schema": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "age": {"type": "integer", "minimum": 0, "maximum": 130},
            "guardian": {"type": "string"},
            "pain": {"type": "integer", "minimum": 0, "maximum": 10},
        },
        "required": ["name", "age", "pain"],
    },
    "steps": [
        {"id": "who", "name": "You", "description": "Who it is", "fields": ["name", "age"]},
        {"id": "guardian", "name": "Guardian", "fields": ["guardian"], "when": "state.age < 18"},
        {
            "id": "why",
            "name": "Complaint",
            "fields": ["pain"],
            "rules": [{"expression": "state.pain < 9", "message": "with such pain, call an ambulance"}],
        },
    ],
    "model": {"model": "visit-guide", "credential": "told"},
}
KNOWN = {"name": "Ada", "age": 36, "pain": 3}


@pytest.fixture(scope="module")
def visit(mine: Caller, told: Model) -> Json:
    """The template, the workflow that a visit leads to, and the user type that may use it."""
    nodes = [node("start", "manual_trigger"), node("out", "output", inputs={"value": "{{ 'booked ' & trigger.name }}"})]
    booking = mine.published(workflow(nodes, name="Booking"))
    mine.post("/workflow-templates", {**VISIT, "end_action_type": "workflow", "end_action_target": booking}, 201)
    patient = mine.post("/user-types", {"name": "Patient"}, 201)["id"]
    permission = mine.post("/permissions", {"user_type_id": patient, "template": "visit"}, 201)["id"]
    return {"booking": booking, "patient": patient, "permission": permission}


@pytest.fixture(scope="module")
def people(local: Stack, mine: Caller, visit: Json) -> Iterator[tuple[Person, Person]]:
    """A user of that type, and one of none."""
    with httpx.Client(base_url=f"{local.api_url}/api/v1", timeout=60, trust_env=False) as public:
        pat, quinn = (Person(mine, public, f"{name}@guided.example", "operator") for name in ("pat", "quinn"))
        changed = mine.send("PATCH", f"/users/{pat.id}", {"user_types": [visit["patient"]]})
        assert changed.status_code == 200, changed.text
        yield pat, quinn


def test_templates_are_checked_and_found(mine: Caller, theirs: Caller, visit: Json) -> None:
    who, guardian, why = VISIT["steps"]
    schema = VISIT["state_schema"]
    wrong: list[tuple[str, Json]] = [
        ("steps", {"steps": []}),
        ("steps.1.id", {"steps": [who, {**why, "id": "who"}, guardian]}),
        ("steps.0.id", {"steps": [{"name": "You", "fields": ["name", "age"]}, why]}),
        ("steps.0.name", {"steps": [{"id": "who", "fields": ["name", "age"]}, guardian, why]}),
        ("steps.2.fields", {"steps": [who, guardian, {**why, "fields": ["pain", "nothing"]}]}),
        ("state_schema", {"state_schema": {**schema, "type": "sentence"}}),
        ("end_action_type", {"end_action_type": "fax", "end_action_target": "x"}),
        ("end_action_target", {"end_action_type": "workflow"}),
        ("end_action_target", {"end_action_type": "api_call", "end_action_target": "nowhere"}),
        ("end_action_target", {"end_action_type": "tool_call", "end_action_target": "no_such_tool"}),
    ]
    for path, fields in wrong:
        problem = mine.refused("POST", "/workflow-templates", 422, {**VISIT, "name": "wrong", **fields})
        assert any(e["path"].startswith(path) for e in problem["errors"]), (path, problem["errors"])
    assert mine.refused("POST", "/workflow-templates", 409, VISIT)["code"]
    both = {"user_type_id": visit["patient"], "template": "visit"}
    assert mine.refused("POST", "/permissions", 409, both)["code"] == "permission_exists"
    listed = mine.get("/workflow-templates?category=medical&is_active=true")["items"]
    assert [(t["name"], t["end_action_type"]) for t in listed] == [("visit", "workflow")]
    offered = mine.get(f"/user-types/{visit['patient']}/workflow-templates")["items"]
    assert [t["name"] for t in offered] == ["visit"]
    assert [p["id"] for p in mine.get("/permissions?template=visit")["items"]] == [visit["permission"]]
    theirs.refused("GET", "/workflow-templates/visit", 404)


def test_a_conversation_to_its_end(mine: Caller, told: Model, visit: Json, people: tuple[Person, Person]) -> None:
    pat, quinn = people
    begin = {"template": "visit", "conversation_id": "visit-1"}
    assert quinn.send("POST", "/workflow-instances", begin).status_code == 404
    assert quinn.send("GET", "/workflow-templates").json()["items"] == []
    begun = pat.send("POST", "/workflow-instances", begin)
    assert begun.status_code == 201, begun.text
    instance = begun.json()
    assert (instance["status"], instance["current_step"], instance["user_id"]) == ("active", "who", pat.id)
    url = f"/workflow-instances/{instance['id']}"
    busy = pat.send("POST", "/workflow-instances", begin)
    assert (busy.status_code, busy.json()["code"]) == (409, "conversation_busy")
    assert quinn.send("GET", url).status_code == 404

    def say(text: str, *updates: Json, reply: str = "Noted.", **more: Any) -> Json:
        told.scripts["visit-guide"] = [json.dumps(says(reply, *updates, **more))] * 3
        answer = pat.send("POST", f"{url}/messages", {"content": text})
        assert answer.status_code == 200, answer.text
        assert answer.json()["turn"]["reply"].startswith(reply)
        now: Json = answer.json()["instance"]
        return now

    # What nobody said is not taken; what is missing is known; corrections are.
    now = say("Good morning", update("pain", 5, "Good morning"), reply="Who are you?")
    assert (now["state"], now["missing"]) == ({}, ["name", "age"])
    now = say("I am Ada, and 16", update("name", "Ada", "Ada"), update("age", 16, "16"))
    assert (now["current_step"], now["missing"]) == ("guardian", ["guardian"])
    now = say("Sorry, I am 36", update("age", 36, "36"))
    assert [s["status"] for s in now["steps"]] == ["done", "not_applicable", "current"]
    now = say("It hurts like 9", update("pain", 9, "9"), reply="Oh dear.")
    assert ("pain" in now["state"], now["phase"]) == (False, "collecting")
    now = say("More like 3", update("pain", 3, "3"), reply="Thank you.")
    assert (now["phase"], [(s["field"], s["value"]) for s in now["summary"]]) == ("confirming", list(KNOWN.items()))
    instructions = [a for a in told.asked if a["model"] == "visit-guide"][-1]["messages"][0]["content"]
    assert "Give no diagnosis." in instructions

    assert pat.send("POST", f"{url}/confirm", {"wait_seconds": 20}).status_code == 200
    done = until(lambda: pat.send("GET", f"{url}?wait_seconds=5").json(), lambda i: i["status"] != "active")
    assert (done["status"], done["state"], done["end_action"]["result"]) == ("completed", KNOWN, "booked Ada")
    [run] = mine.get(f"/workflows/{visit['booking']}/executions")["items"]
    assert mine.run(run["id"])["trigger_data"] == KNOWN
    roles = [m["role"] for m in pat.send("GET", f"{url}/messages").json()["items"]]
    assert roles[:2] == ["user", "assistant"]


def test_one_is_cancelled_and_the_next_begins(mine: Caller, visit: Json, people: tuple[Person, Person]) -> None:
    pat = people[0]
    begin = {"template": "visit", "conversation_id": "visit-2", "state": {"name": "Ada", "age": 36}}
    first = pat.send("POST", "/workflow-instances", begin).json()
    assert first["current_step"] == "why"
    # A change of the template is a new version; who has begun goes on with theirs.
    kept = mine.get("/workflow-templates/visit")
    changed = mine.send("PUT", "/workflow-templates/visit", {**kept, "guidelines": "Be quick."})
    assert (changed.status_code, changed.json()["version"]) == (200, 2), changed.text
    assert pat.send("POST", f"/workflow-instances/{first['id']}/cancel").json()["status"] == "cancelled"
    second = pat.send("POST", "/workflow-instances", begin).json()
    assert (first["template_version"], second["template_version"]) == (1, 2)
    assert mine.refused("DELETE", "/workflow-templates/visit", 409)["code"] == "template_in_use"
    listed = pat.send("GET", "/workflow-instances?conversation_id=visit-2&status=active").json()["items"]
    assert [i["id"] for i in listed] == [second["id"]]
    assert len(mine.get(f"/workflow-instances?user_id={pat.id}&template=visit")["items"]) == 3
    # Taken back, a permission holds no longer, also in the middle of a conversation.
    assert mine.send("DELETE", f"/permissions/{visit['permission']}").status_code == 204
    assert pat.send("GET", f"/workflow-instances/{second['id']}").status_code == 404
    mine.post(f"/workflow-instances/{second['id']}/cancel", None, 200)
    counted = mine.get("/workflow-templates/visit/analytics")
    assert [counted[n] for n in ("started", "completed", "cancelled", "active", "failed")] == [3, 1, 2, 0, 0]
    assert counted["completion_rate"] == pytest.approx(1 / 3, abs=1e-3)
    assert counted["mean_seconds"] > 0
    steps = {s["step"]: (s["reached"], s["left"]) for s in counted["steps"]}
    assert (steps["why"][1], steps["guardian"]) == (2, (1, 0)), steps
    assert mine.send("DELETE", "/workflow-templates/visit").status_code == 204


def test_what_the_end_may_be(mine: Caller, told: Model, echo: EchoServer) -> None:
    ends: list[tuple[str, str | None, Json]] = [
        ("none", None, {"status": "completed"}),
        ("api_call", f"{echo.base}/echo?mark=visit", {"status": "completed", "method": "POST"}),
        ("api_call", f"{echo.base}/status/422", {"status": "failed"}),
        ("tool_call", "calculate", {"status": "completed", "result": 42}),
    ]
    # The step stands once, and the templates use it.
    mine.post("/workflow-steps", {"name": "a_sum", "title": "Sum", "fields": {"expression": {"type": "string"}}}, 201)
    schema: Json = {"type": "object", "properties": {}}
    steps = [{"id": "sum", "uses": {"step": "a_sum"}}]
    about = {"state_schema": schema, "steps": steps, "model": VISIT["model"], "confirm": False}
    told_to = subscribed(mine, f"{echo.base}/echo?mark=guided")
    ids: dict[str, str] = {}
    for number, (kind, target, wanted) in enumerate(ends):
        about |= {"name": f"end_{number}", "end_action_type": kind, "end_action_target": target}
        kept = mine.post("/workflow-templates", about, 201)
        assert (kept["steps"][0]["name"], kept["steps"][0]["fields"]) == ("Sum", ["expression"])
        begun = mine.post("/workflow-instances", {"template": f"end_{number}", "state": {"expression": "6 * 7"}}, 201)
        look = partial(mine.get, f"/workflow-instances/{begun['id']}?wait_seconds=5")
        ended = until(look, lambda i: i["status"] != "active")
        ids[begun["id"]] = f"guided_{ended['status']}"
        found = {"status": ended["status"], **((ended["end_action"] or {}).get("result") or {})}
        assert {k: v for k, v in found.items() if k in wanted} == wanted, ended
    [call] = [s for s in echo.seen if s[1] == "/echo?mark=visit"]
    assert json.loads(call[3]) == {"expression": "6 * 7"}
    # Whoever subscribes to everything is told of each: that it began, how it ended, and nothing of what was said.
    wanted = {(i, kind) for i, end in ids.items() for kind in ("guided_started", end)}
    events = until(
        lambda: received(echo, "guided", told_to["secret"]),
        lambda found: wanted <= {(b["data"].get("instance_id"), b["type"]) for b in found},
    )
    assert "6 * 7" not in json.dumps(events)
    assert not [b for b in events if b["data"].get("workflow_id", "").startswith("inner-")]
    mine.send("DELETE", f"/webhook-subscriptions/{told_to['id']}")
