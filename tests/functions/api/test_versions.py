"""Versions over HTTP: what differs, back into the draft, canaries."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.api.workflows_over_http import adder, created, execute, made, node, problem, workflow


def published(client: Any, *documents: dict[str, Any]) -> str:
    """The path of a workflow of which these are versions."""
    url = f"/workflows/{created(client, documents[0])}"
    for document in documents:
        made(client.put(url, json=document))
        made(client.post(f"{url}/publish"))
    return url


def asking(**settings: Any) -> dict[str, Any]:
    nodes = [
        node("start", "manual_trigger", position={"x": 9, "y": 9}),
        node("add", "transform", {"expression": "trigger.a + 2"}, name="Adds"),
        node("ask", "human_in_the_loop", {"title": "May I?"}),
        node("out", "output"),
    ]
    wires = "start.trigger -> add.input; add.output -> ask.input; ask.response -> out.value"
    return workflow(nodes, wires, variables={"rate": 2}, settings={"timeout_seconds": 60, **settings})


def test_a_difference_says_what_it_means(api_client):
    url = published(api_client, adder(), asking())
    found = made(api_client.get(f"{url}/versions/1/diff?to=2"))
    assert (found["before"], found["after"]) == (1, 2)
    told = found["difference"]
    assert told["same"] is False
    assert told["added"] == [{"id": "ask", "type": "human_in_the_loop", "name": None, "parent": None}]
    assert told["removed"] == []
    changes = [
        (n["id"], [(c["path"], c["kind"], c["before"], c["after"]) for c in n["changes"]]) for n in told["changed"]
    ]
    assert changes == [("add", [("config.expression", "changed", "trigger.a + 1", "trigger.a + 2")])]
    assert [(n["id"], [c["path"] for c in n["changes"]]) for n in told["cosmetic"]] == [
        ("start", ["position"]),
        ("add", ["name"]),
    ]
    assert [(c["source_node"], c["target_node"]) for c in told["connections_added"]] == [("add", "ask"), ("ask", "out")]
    assert [(c["source_node"], c["target_node"]) for c in told["connections_removed"]] == [("add", "out")]
    assert [(c["path"], c["kind"], c["after"]) for c in told["variables"]] == [("rate", "added", 2)]
    assert [(c["path"], c["before"], c["after"]) for c in told["settings"]] == [("timeout_seconds", 86_400, 60)]
    before, after = found["plan_before"], found["plan_after"]
    assert (before["valid"], after["valid"], after["questions"]) == (True, True, ["ask"])
    assert before["transitions"]["expected"] < after["transitions"]["expected"]
    assert before["cost_per_1000_runs"]["total"] < after["cost_per_1000_runs"]["total"]
    assert (before["segments"], after["segments"]) == ([["start", "add", "out"]], [["out"]])
    back = made(api_client.get(f"{url}/versions/2/diff?to=1"))
    assert [n["id"] for n in back["difference"]["removed"]] == ["ask"]


def test_the_draft_may_be_looked_at_although_it_cannot_run(api_client):
    url = published(api_client, adder())
    assert made(api_client.get(f"{url}/versions/1/diff"))["difference"]["same"] is True
    made(api_client.put(url, json=workflow([node("x", "http_request")])))
    found = made(api_client.get(f"{url}/versions/1/diff?to=draft"))
    assert found["plan_after"]["valid"] is False
    assert found["plan_after"]["errors"] > 0


def test_moving_a_node_is_no_difference_for_a_run(api_client):
    moved = adder()
    moved["nodes"][0]["position"] = {"x": 1, "y": 2}
    moved["nodes"][0]["notes"] = "The start"
    url = published(api_client, adder(), moved)
    told = made(api_client.get(f"{url}/versions/1/diff?to=2"))["difference"]
    assert (told["same"], [n["id"] for n in told["cosmetic"]]) == (True, ["start"])


def test_other_first_cases_of_a_switch_are_a_difference(api_client):
    cases = {"vip": "inputs.input > 1", "large": "inputs.input > 2"}
    either = [workflow([node("kind", "switch", {"cases": dict(c)})]) for c in (cases.items(), reversed(cases.items()))]
    told = made(api_client.get(f"{published(api_client, *either)}/versions/1/diff?to=2"))["difference"]
    (change,) = told["changed"][0]["changes"]
    assert (change["path"], change["before"], change["after"]) == ("config.cases", ["vip", "large"], ["large", "vip"])


def test_a_long_value_is_cut_and_the_order_told(api_client):
    long = adder(variables={"text": "a" * 5_000, "list": [1]})
    other = adder(variables={"text": "b" * 5_000, "list": [1, 2]})
    other["nodes"].reverse()
    url = published(api_client, long, other)
    told = made(api_client.get(f"{url}/versions/1/diff?to=2"))["difference"]
    text, listed = told["variables"]
    assert (len(text["before"]), listed["before"], listed["after"]) == (2_001, [1], [1, 2])
    assert told["reordered"] is True


@pytest.mark.parametrize("path", ["9/diff", "x/diff", "0/diff", "1/diff?to=9", "-1/diff", f"{'9' * 30}/diff"])
def test_a_version_that_is_not_there(api_client, path):
    url = published(api_client, adder())
    problem(api_client.get(f"{url}/versions/{path}"), 404)


@pytest.mark.parametrize("to", ["x", "0", "-1", "1.0", "", "9" * 30])
def test_no_version(api_client, to):
    url = published(api_client, adder())
    problem(api_client.get(f"{url}/versions/1/diff", params={"to": to}), 422)


def test_a_version_comes_back_into_the_draft(api_client):
    url = published(api_client, adder(name="One"), adder(name="Two"))
    revision = api_client.get(url).json()["revision"]
    problem(api_client.post(f"{url}/versions/1/restore", headers={"If-Match": f'"{revision - 1}"'}), 412, "stale")
    answer = api_client.post(f"{url}/versions/1/restore", headers={"If-Match": f'"{revision}"'})
    restored = made(answer)
    assert (restored["name"], restored["published_version"], restored["revision"]) == ("One", 2, revision + 1)
    assert answer.headers["etag"] == f'"{revision + 1}"'
    assert made(api_client.post(f"{url}/versions/1/restore"))["revision"] == revision + 1  # it is that already
    for missing in ("9", "x", "0"):
        problem(api_client.post(f"{url}/versions/{missing}/restore"), 404)


def test_a_canary_over_http(api_client, other_client, machines):
    url = published(api_client, adder(), adder(name="Two"))
    problem(api_client.get(f"{url}/canary"), 404, "no_canary")
    problem(api_client.put(f"{url}/canary", json={"version": 2, "weight": 5}), 409, "same_version")
    body = {"version": 1, "weight": 100, "max_failure_rate": 0.1, "min_runs": 5, "window_seconds": 600}
    nothing = api_client.put(f"{url}/canary", json=body, headers={"If-Match": '"1"'})
    problem(nothing, 412, "stale")
    begun = made(api_client.put(f"{url}/canary", json={**body, "weight": 1}))
    first = api_client.get(f"{url}/canary").headers["etag"]
    again = api_client.put(f"{url}/canary", json=body, headers={"If-Match": first})
    begun, second = made(again), again.headers["etag"]
    for method in ("put", "delete"):
        stale = api_client.request(method, f"{url}/canary", json=body, headers={"If-Match": first})
        problem(stale, 412, "stale")
    assert api_client.get(f"{url}/canary").headers["etag"] == second != first
    assert {k: begun[k] for k in body} == body
    assert (begun["state"], begun["instead_of"], begun["runs"], begun["reason"]) == ("active", 2, 0, None)
    assert execute(api_client, url.rsplit("/", 1)[1], {"a": 1})["version"] == 1
    assert made(api_client.get(f"{url}/canary")) == begun
    for method, path in (("GET", "canary"), ("PUT", "canary"), ("DELETE", "canary"), ("POST", "canary/promote")):
        problem(other_client.request(method, f"{url}/{path}", json=body if method == "PUT" else None), 404)
    assert made(api_client.post(f"{url}/canary/promote"))["published_version"] == 1
    problem(api_client.post(f"{url}/canary/promote"), 409, "no_canary")
    assert api_client.delete(f"{url}/canary").status_code == 204
    assert api_client.get(f"{url}/canary").json()["state"] == "promoted"


BAD = [
    {},
    {"version": 1},
    {"version": "1", "weight": 5},
    {"version": 0, "weight": 5},
    {"version": 1, "weight": 101},
    {"version": 1, "weight": -1},
    {"version": 1, "weight": 0.5},
    {"version": 1, "weight": 5, "max_failure_rate": 1.1},
    {"version": 1, "weight": 5, "min_runs": 0},
    {"version": 1, "weight": 5, "window_seconds": 1},
    {"version": 1, "weight": 5, "other": 1},
    [],
    None,
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_what_is_no_canary(api_client, bad):
    url = published(api_client, adder(), adder(name="Two"))
    problem(api_client.put(f"{url}/canary", json=bad), 422)


def test_a_canary_with_other_triggers(api_client):
    hook = workflow([node("hook", "http_webhook"), node("out", "output")], "hook.body -> out.value")
    url = published(api_client, adder(), hook)
    told = problem(api_client.put(f"{url}/canary", json={"version": 1, "weight": 5}), 422, "triggers_differ")
    assert {e["node_id"] for e in told["errors"]} == {"start", "hook"}
