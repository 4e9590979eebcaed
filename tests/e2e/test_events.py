"""Events on the local AWS: over its bus, by the platform's one rule, to the workflows that listen."""

from __future__ import annotations

import pytest

from infrastructure.local.stack import Stack
from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def listening(pattern: Json) -> Json:
    nodes = [node("on", "event_listener", {"pattern": pattern}), node("out", "output")]
    return workflow(nodes, "on.event -> out.value")


def heard(caller: Caller, workflow_id: str) -> list[Json]:
    """The runs of a workflow that events have started, oldest first."""
    found = caller.get(f"/workflows/{workflow_id}/executions")["items"]
    return [r for r in reversed(found) if r["triggered_by"]["kind"] == "event"]


def test_an_event_starts_the_workflows_whose_pattern_it_fits(mine: Caller, theirs: Caller, local: Stack) -> None:
    large = {"detail-type": ["order.placed"], "detail": {"amount": [{"numeric": [">=", 100]}]}}
    fits, small = mine.published(listening(large)), mine.published(listening({"detail-type": ["order.placed"]}))
    other = theirs.published(listening({"detail-type": ["order.placed"]}))
    sent = {"type": "order.placed", "source": "shop", "id": "o-17", "data": {"amount": 140, "note": "x" * 50_000}}
    for _ in range(2):  # the shop repeats it
        assert mine.post("/events", sent, 202)["id"] == "o-17"
    mine.post("/events", {**sent, "id": "o-18", "data": {"amount": 5}}, 202)
    until(lambda: heard(mine, small), lambda runs: len(runs) == 2)
    (run,) = until(lambda: heard(mine, fits))
    ended = mine.until(run["id"])
    assert ended["status"] == "completed"
    (whole,) = mine.get(f"/workflows/executions/{run['id']}/nodes/out")["items"]
    assert whole["inputs"]["value"]["detail"]["amount"] == 140
    assert heard(theirs, other) == []
    rules = local.client("events").list_rules(EventBusName=local.outputs["BusName"])["Rules"]
    assert len(rules) == 1  # of all tenants and all workflows


def test_a_workflow_hears_that_another_has_failed(mine: Caller) -> None:
    breaking = mine.published(
        workflow(
            [node("start", "manual_trigger"), node("bad", "json_parse"), node("out", "output")],
            "start.trigger -> bad.input; bad.output -> out.value",
        )
    )
    pattern = {"source": ["statewright"], "detail-type": ["execution_failed"], "detail": {"workflow_id": [breaking]}}
    watching = mine.published(listening(pattern))
    run_id = mine.execute(breaking, "{ no json")
    assert mine.until(run_id)["status"] == "failed"
    (run,) = until(lambda: heard(mine, watching))
    event = mine.until(run["id"])["final_output"]
    assert (event["detail"]["execution_id"], event["detail"]["node_id"]) == (run_id, "bad")


def test_a_workflow_that_hears_of_its_own_end_stops_by_itself(mine: Caller) -> None:
    looping = mine.store(listening({"source": ["me"]}))
    own = {"detail": {"workflow_id": [looping]}, "detail-type": ["execution_completed"]}
    body = listening({"$or": [{"source": ["me"]}, own]})
    assert mine.send("PUT", f"/workflows/{looping}", body).status_code == 200
    mine.publish(looping)
    mine.post("/events", {"type": "again", "source": "me"}, 202)
    runs = until(lambda: heard(mine, looping), lambda found: [r for r in found if r["status"] == "failed"])
    last = mine.run(runs[-1]["id"])
    assert last["error"]["error"] == "ChainTooLong"
    assert [r["status"] for r in runs] == ["completed"] * 6 + ["failed"]
    mine.post(f"/workflows/{looping}/unpublish", {}, 200)
