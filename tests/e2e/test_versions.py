"""Versions on the local AWS: the difference, tests before publishing, a canary that fails and returns by itself."""

from __future__ import annotations

import pytest

from tests.e2e.caller import Caller, Json, until
from tests.functions.api.workflows_over_http import node, workflow

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]


def pricing(expression: str, **settings: object) -> Json:
    """Gives what the expression says of an order, unless the service that knows the rate says no."""
    nodes = [
        node("hook", "http_webhook", {"response_mode": "last"}),
        node("price", "transform", {"expression": expression}),
        node("out", "output"),
    ]
    wires = "hook.body -> price.input; price.output -> out.value"
    return workflow(nodes, wires, name="Pricing", settings=settings)


GOOD, BAD = "inputs.input.amount * 2", "$error('no price today')"
CASE = {
    "name": "Two of them",
    "trigger_data": {"body": {"amount": 2}},
    "expected_output": {"equals": 4},
    "assertions": {"price": {"output": {"equals": 4}, "attempts": 1}},
}


def test_a_version_that_fails_returns_by_itself(mine: Caller) -> None:
    workflow_id = mine.store(pricing(BAD))
    url = f"/workflows/{workflow_id}"
    mine.publish(workflow_id)
    # The draft is mended, but its settings ask for tests: one that fails keeps it from being published.
    changed = mine.send("PUT", url, pricing("inputs.input.amount * 3", require_tests=True))
    assert changed.status_code == 200, changed.text
    mine.post(f"{url}/tests", CASE, 201)
    refused = mine.refused("POST", f"{url}/publish", 422)
    assert (refused["code"], len(refused["errors"])) == ("tests_failed", 1)
    found = mine.post(f"{url}/tests/run", {}, 200)
    (case,) = found["cases"]
    assert [(d["path"], d["expected"], d["found"]) for d in case["differences"]] == [
        ("output", 4, 6),
        ("price.output", 4, 6),
    ]
    assert mine.send("PUT", url, pricing(GOOD, require_tests=True)).status_code == 200
    hook = mine.publish(workflow_id)["hook"]["id"]
    # What became of the first version.
    told = mine.get(f"{url}/versions/1/diff?to=2")
    (node_change,) = told["difference"]["changed"]
    assert [(c["path"], c["before"], c["after"]) for c in node_change["changes"]] == [("config.expression", BAD, GOOD)]
    assert told["plan_before"]["cost_per_1000_runs"] == told["plan_after"]["cost_per_1000_runs"]
    # The bad one is given all runs. Deliveries over HTTP fail until the ends were counted; then they succeed again.
    canary = {"version": 1, "weight": 100, "max_failure_rate": 0.2, "min_runs": 3}
    begun = mine.send("PUT", f"{url}/canary", canary)
    assert (begun.status_code, begun.json()["state"]) == (200, "active")
    address = mine.get(f"/webhooks/{hook}")["url"]

    def deliver() -> int:
        return mine.http.post(address, json={"amount": 2}).status_code

    assert [deliver() for _ in range(3)] == [502] * 3
    withdrawn = until(lambda: mine.get(f"{url}/canary"), lambda c: c["state"] != "active")
    assert (withdrawn["state"], withdrawn["ended_by"]) == ("withdrawn", None)
    assert withdrawn["failed"] >= 3
    assert "runs of version 1 failed" in withdrawn["reason"]
    answer = mine.http.post(address, json={"amount": 2})
    assert (answer.status_code, answer.json()) == (200, 4)
    versions = {r["version"] for r in mine.get(f"{url}/executions")["items"]}
    assert versions == {1, 2}
    notes = until(lambda: mine.get("/notifications?unread=true")["items"])
    assert any("withdrawn" in n["title"] for n in notes)
    # The first version comes back into the draft; what is published stays.
    revision = mine.get(url)["revision"]
    restored = mine.send("POST", f"{url}/versions/1/restore", headers={"If-Match": f'"{revision}"'})
    assert restored.status_code == 200, restored.text
    assert restored.json()["nodes"][1]["config"]["expression"] == BAD
    assert restored.json()["published_version"] == 2
    assert mine.refused("POST", f"{url}/canary/promote", 409)["code"] == "no_canary"
