"""The story of guided workflows on the local AWS: template, permission, conversation, and what it leads to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow
from tests.shared.nodes.http_server import Server
from tests.stepfunctions.agents import Model
from tests.stepfunctions.guided_talk import says, template, update

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
KEY = "guide-hush-hush-key"


def test_from_a_template_to_its_end(mine: Caller, theirs: Caller, mind: tuple[Model, Server]) -> None:
    model, server = mind
    mine.secrets.add(KEY)
    values = {"api_key": KEY, "base_url": f"{server.url}/v1"}
    mine.post("/credentials", {"name": "guide", "kind": "openai", "values": values}, 201)
    refund = mine.published(
        workflow(
            [node("start", "manual_trigger"), node("out", "output", inputs={"value": "{{ trigger.amount * 2 }}"})],
        )
    )
    chosen = {"model": "guide", "credential": "guide"}
    made = template(model=chosen, end_action_type="workflow", end_action_target=refund)
    mine.post("/workflow-templates", made, 201)
    customer = mine.post("/user-types", {"name": "Customer"}, 201)["id"]
    mine.post("/permissions", {"user_type_id": customer, "template": "claim"}, 201)
    offered = mine.get(f"/user-types/{customer}/workflow-templates")["items"]
    assert [t["name"] for t in offered] == ["claim"]

    instance = mine.post("/workflow-instances", {"template": "claim", "conversation_id": "e2e-chat"}, 201)
    url = f"/workflow-instances/{instance['id']}"
    busy = mine.refused("POST", "/workflow-instances", 409, {"template": "claim", "conversation_id": "e2e-chat"})
    assert (busy["code"], instance["id"] in busy["detail"]) == ("conversation_busy", True)

    def say(text: str, answer: Mapping[str, Any], **fields: Any) -> Json:
        model.scripts["guide"] = [json.dumps(answer)] * 3
        said: Json = mine.post(f"{url}/messages", {"content": text, **fields}, 200)
        assert said["turn"]["status"] == "answered", said
        return said["instance"]

    invented = say("Hello there", says("Noted.", update("amount", 4000, "Hello there")))
    assert (invented["state"], invented["missing"]) == ({}, ["name"])
    assert say("I am Ada", says("How much?", update("name", "Ada", "Ada")))["current_step"] == "what"
    both = says("And your mail?", update("amount", 120, "120 euro"), update("damaged", False, "in one piece"))
    assert say("120 euro, it came in one piece", both)["current_step"] == "contact"
    shown = say("ada@example.org", says("Fine.", update("email", "ada@example.org", "ada@example.org")))
    assert (shown["phase"], [s["field"] for s in shown["summary"]]) == (
        "confirming",
        ["name", "amount", "damaged", "email"],
    )
    assert say("No, 100 euro", says("All right.", update("amount", 100, "100")))["state"]["amount"] == 100
    say("Yes, that is it", says("Thank you.", agrees="that is it"))
    done = until(lambda: mine.get(f"{url}?wait_seconds=5"), lambda i: i["status"] != "active")
    assert (done["status"], done["end_action"]["result"]) == ("completed", 200)
    (run,) = mine.get(f"/workflows/{refund}/executions")["items"]
    assert run["id"] == done["end_action"]["execution_id"]
    assert mine.run(run["id"])["trigger_data"] == done["state"]

    assert theirs.send("GET", url).status_code == 404
    assert theirs.send("GET", "/workflow-templates/claim").status_code == 404
    counted = mine.get("/workflow-templates/claim/analytics")
    assert (counted["started"], counted["completed"], counted["active"]) == (1, 1, 0)


def test_the_answer_comes_although_nobody_waits_for_it(mine: Caller, mind: tuple[Model, Server]) -> None:
    model, _ = mind
    chosen = {"model": "slow-guide", "credential": "guide"}
    mine.post("/workflow-templates", template(name="alone", model=chosen), 201)
    instance = mine.post("/workflow-instances", {"template": "alone"}, 201)["id"]
    model.scripts["slow-guide"] = [json.dumps(says("Hello Ada.", update("name", "Ada", "Ada")))] * 3
    url = f"/workflow-instances/{instance}"
    mine.post(f"{url}/messages", {"content": "Ada", "wait_seconds": 0}, 202)
    # The messages are only read: it is the stream that writes the answer down.
    found = until(lambda: mine.get(f"{url}/messages")["items"], lambda said: len(said) == 2)
    assert (found[1]["content"], found[1]["taken"]) == ("Hello Ada.", ["name"])
    mine.post(f"{url}/cancel", None, 200)
