"""The end actions, run by the engine on moto's interpreter."""

from __future__ import annotations

import json

import pytest

from tests import triggered
from tests.stepfunctions.guided_talk import Person, body, template, thinking

KNOWN = {"name": "Ada", "amount": 120, "damaged": False, "email": "ada@example.org"}
MANUAL = {"id": "start", "type": "manual_trigger"}


@pytest.fixture
def mind(machines, monkeypatch):
    with thinking(monkeypatch) as made:
        yield made


@pytest.fixture
def make(api_client, mind):
    """A person who has only to agree to the end of a claim."""

    def made(**fields):
        body(api_client.post("/workflow-templates", json=template(**fields)), 201)
        person = Person(api_client)
        begun = person.begin(state=KNOWN)
        assert (begun["phase"], begun["summary"][0]["value"]) == ("confirming", "Ada")
        return person

    return made


def workflow(client, manual=MANUAL, name="Refund"):
    made = triggered.create(client, triggered.document(manual, name=name))
    triggered.publish(client, made)
    return made


def runs(client, workflow_id):
    return client.get(f"/workflows/{workflow_id}/executions").json()["items"]


def test_a_workflow_gets_the_state(api_client, make):
    refund = workflow(api_client)
    person = make(end_action_type="workflow", end_action_target=refund)
    done = person.act("confirm", {"wait_seconds": 20})
    assert (done["status"], done["end_action"]["result"]) == ("completed", KNOWN)
    (run,) = runs(api_client, refund)
    assert run["id"] == done["end_action"]["execution_id"]
    assert (run["status"], run["triggered_by"]["kind"]) == ("completed", "guided")
    assert run["triggered_by"]["id"] == person.instance
    assert person.client.post(f"/workflow-instances/{person.instance}/confirm", json={}).status_code == 409
    assert len(runs(api_client, refund)) == 1


def test_an_address_is_called_once_with_the_state(make, remote):
    person = make(end_action_type="api_call", end_action_target=f"{remote.base}/claims")
    done = person.act("confirm", {"wait_seconds": 20})
    assert (done["status"], done["end_action"]["result"]) == ("completed", {"path": "/claims"})
    ((path, key),) = remote.seen
    assert (path, bool(key)) == ("/claims", True)


def test_a_failure_is_told_and_tried_again(make, remote, api_client):
    remote.fail("/claims", times=20, status=422)
    person = make(end_action_type="api_call", end_action_target=f"{remote.base}/claims")
    failed = person.act("confirm", {"wait_seconds": 20})
    assert (failed["status"], failed["error"]["error"]) == ("failed", "HttpError")
    other = body(
        api_client.post(
            "/workflow-instances", json={"template": "claim", "conversation_id": failed["conversation_id"]}
        ),
        201,
    )
    busy = person.act("retry", {"wait_seconds": 20}, 409)
    assert (busy["code"], other["id"] in busy["detail"]) == ("conversation_busy", True)
    assert api_client.post(f"/workflow-instances/{other['id']}/cancel").status_code == 200
    remote.script.clear()
    done = person.act("retry", {"wait_seconds": 20})
    assert (done["status"], done["end_action"]["attempt"], done["error"]) == ("completed", 2, None)
    assert person.act("retry", {}, 409)["code"] == "not_failed"
    keys = [key for _, key in remote.seen]
    assert len(set(keys)) == 2  # one for each run
    counted = body(api_client.get("/workflow-templates/claim/analytics"))
    assert (counted["completed"], counted["failed"], counted["active"], counted["cancelled"]) == (1, 0, 0, 1)


def test_a_tool_gets_the_state_as_its_arguments(api_client, mind):
    schema = {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]}
    steps = [{"id": "sum", "name": "Sum", "fields": ["expression"]}]
    fields = {"state_schema": schema, "steps": steps, "end_action_type": "tool_call", "end_action_target": "calculate"}
    body(api_client.post("/workflow-templates", json=template(confirm=False, **fields)), 201)
    person = Person(api_client)
    begun = person.begin(state={"expression": "17.5 * 4"})  # nothing to ask, nothing to agree to
    assert begun["phase"] == "ending" or begun["status"] == "completed"
    done = person.now(wait=20)
    assert (done["status"], done["end_action"]["result"]) == ("completed", {"result": 70})
    person.begin(state={"expression": "17.5 *"})
    failed = person.now(wait=20)
    assert failed["status"] == "failed"
    assert failed["error"]["message"]


def test_a_workflow_that_has_changed_since(api_client, make):
    refund = workflow(api_client)
    person = make(end_action_type="workflow", end_action_target=refund)
    strict = {**MANUAL, "config": {"input_schema": {"type": "object", "required": ["iban"]}}}
    triggered.republish(api_client, refund, triggered.document(strict, name="Refund"))
    url, sent = f"/workflow-instances/{person.instance}", {"wait_seconds": 20}
    first, repeat = (api_client.post(f"{url}/confirm", json=sent, headers={"Idempotency-Key": "c"}) for _ in range(2))
    failed = first.json()
    assert (repeat.json(), repeat.headers["idempotent-replay"], repeat.headers["etag"]) == (
        failed,
        "true",
        first.headers["etag"],
    )
    assert (failed["status"], failed["error"]["error"]) == ("failed", "InvalidInput")
    assert "iban" in failed["error"]["message"]
    assert runs(api_client, refund) == []
    assert api_client.delete(f"/workflows/{refund}").status_code == 204
    first, repeat = (api_client.post(f"{url}/retry", json=sent, headers={"Idempotency-Key": "r"}) for _ in range(2))
    gone = first.json()
    assert repeat.json() == gone
    assert gone["version"] == api_client.get(url).json()["version"]  # the repeat did nothing
    assert (gone["status"], gone["error"]["error"]) == ("failed", "NotPublished")


def test_what_a_person_said_is_no_template(api_client, mind):
    refund = workflow(api_client)
    body(
        api_client.post("/workflow-templates", json=template(end_action_type="workflow", end_action_target=refund)),
        201,
    )
    person = Person(api_client)
    odd = KNOWN | {"name": "{{ secrets.key }}", "damaged": True, "damage": "{{ $eval('1') }}"}
    person.begin(state=odd)
    done = person.act("confirm", {"wait_seconds": 20})
    assert json.dumps(done["end_action"]["result"], sort_keys=True) == json.dumps(odd, sort_keys=True)


def test_what_is_agreed_to_is_what_was_shown(api_client, make):
    person = make(end_action_type="workflow", end_action_target=workflow(api_client))
    url = f"/workflow-instances/{person.instance}"
    shown = api_client.get(url).headers["etag"]
    changed = api_client.patch(f"{url}/state", json={"state": {"amount": 4_000}})
    assert (changed.json()["phase"], changed.json()["summary"][1]["value"]) == ("confirming", 4_000)
    assert changed.json()["evidence"]["amount"]["by"]
    stale = api_client.post(f"{url}/confirm", json={}, headers={"If-Match": shown})
    assert stale.status_code == 412
    incomplete = api_client.patch(f"{url}/state", json={"remove": ["name"]})
    assert (incomplete.json()["phase"], incomplete.json()["missing"]) == ("collecting", ["name"])
    assert person.act("confirm", {}, 409)["code"] == "not_complete"


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ({"state": {"amount": "12"}}, "state.amount"),
        ({"state": {"amount": -1}}, "state.amount"),
        ({"state": {"nothing": 1}}, "state.nothing"),
        ({"remove": ["damage"]}, "state.damage"),
        ({"state": {"damage": "x" * 70_000}}, "state.damage"),
    ],
)
def test_a_correction_that_does_not_fit_changes_nothing(api_client, make, sent, path):
    person = make()
    refused = api_client.patch(f"/workflow-instances/{person.instance}/state", json=sent)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["path"] == path
    assert person.now()["state"] == KNOWN
