"""Workflows written as steps, over HTTP: made, read back in both notations, changed step by step, run."""

from __future__ import annotations

import copy
import threading
from typing import Any

import httpx
import pytest

from tests import http_api
from tests.functions.api.workflows_over_http import Json, adder, created, execute, made, node, problem, workflow

CHAIN: list[Json] = [
    {"id": "first", "type": "transform", "config": {"expression": "${user_input.n} + 1"}},
    {"id": "second", "type": "transform", "config": {"expression": "${steps.first.output} * ${context.times}"}},
]


def chain(**fields: Any) -> Json:
    return {"name": "Chain", "steps": copy.deepcopy(CHAIN), "variables": {"times": 10}, **fields}


def steps_of(client: httpx.Client, workflow_id: str) -> list[Json]:
    found: list[Json] = made(client.get(f"/workflows/{workflow_id}/steps"))["steps"]
    return found


def ids(steps: list[Json]) -> list[str]:
    return [s["id"] for s in steps]


def test_steps_are_stored_as_a_document_and_read_back_as_both(api_client):
    answer = api_client.post("/workflows", json=chain(entry_step="first"))
    document = made(answer)
    assert [(n["id"], n["type"]) for n in document["nodes"]] == [
        ("first", "transform"),
        ("second", "transform"),
        ("output", "output"),
    ]
    assert [n["config"].get("expression") for n in document["nodes"]] == [
        "trigger.n + 1",
        "nodes.first.output * variables.times",
        None,
    ]
    ends = [(c["source_node"], c["source_port"], c["target_node"], c["target_port"]) for c in document["connections"]]
    assert ends == [("first", "output", "second", "input"), ("second", "output", "output", "value")]
    url = f"/workflows/{document['id']}"
    as_steps = api_client.get(url, params={"notation": "steps"})
    assert made(as_steps)["steps"] == CHAIN
    assert as_steps.headers["etag"] == answer.headers["etag"]
    assert (as_steps.json()["entry_step"], as_steps.json()["connections"]) == ("first", None)
    again = api_client.put(url, json=as_steps.json(), headers={"If-Match": answer.headers["etag"]})
    assert made(again)["revision"] == 1, "the same in the other notation is no change"
    assert made(api_client.post(f"{url}/validate"))["valid"]


def test_steps_run(api_client, machines):
    run = execute(api_client, created(api_client, chain()), {"n": 4})
    assert (run["status"], run["final_output"]) == ("completed", 50)


def test_a_hand_made_document_is_read_as_steps(api_client):
    document = adder()
    workflow_id = created(api_client, document)
    found = made(api_client.get(f"/workflows/{workflow_id}?notation=steps"))
    assert found["steps"] == [
        {"id": "start", "type": "manual_trigger"},
        {"id": "add", "type": "transform", "config": {"expression": "${user_input.a} + 1"}},
        {"id": "out", "type": "output"},
    ]
    stored = made(api_client.get(f"/workflows/{workflow_id}"))
    again = made(api_client.put(f"/workflows/{workflow_id}", json=found))
    assert (again["nodes"], again["connections"]) == (stored["nodes"], stored["connections"])


def test_branches_bodies_and_parallel_steps_run(api_client, machines):
    steps = [
        {"id": "big", "type": "conditional", "condition": "${user_input.n} > 5",
         "then": [{"id": "less", "type": "transform", "config": {"expression": "${user_input.n} - 5"}}],
         "else": [{"id": "same", "type": "transform", "config": {"expression": "${user_input.n}"}}]},
        {"id": "both", "type": "parallel", "branches": [
            [{"id": "a", "type": "transform", "config": {"expression": "'a'"}}],
            [{"id": "b", "type": "transform", "config": {"expression": "'b'"}}]]},
        {"id": "each", "type": "loop", "over": "${steps.both.output}", "steps": [
            {"id": "twice", "type": "transform", "config": {"expression": "item & item"}}]},
        {"id": "grow", "type": "loop", "while": "state < 8", "initial": 1, "steps": [
            {"id": "more", "type": "transform", "config": {"expression": "state * 2"}}]},
        {"id": "all", "type": "transform", "config": {"expression":
            "{'each': ${steps.each.output}, 'less': ${steps.less.output}, 'grown': ${steps.grow.output}}"}},
    ]  # fmt: skip
    workflow_id = created(api_client, {"name": "Shapes", "steps": steps})
    assert steps_of(api_client, workflow_id) == steps
    assert execute(api_client, workflow_id, {"n": 7})["final_output"] == {"each": ["aa", "bb"], "less": 2, "grown": 8}
    assert execute(api_client, workflow_id, {"n": 1})["final_output"] == {"each": ["aa", "bb"], "grown": 8}


def test_a_graph_goes_where_its_steps_say(api_client, machines):
    steps = [
        {"id": "end", "type": "transform", "config": {"expression": "'end of ' & ${steps.ask.output}"}},
        {"id": "ask", "type": "transform", "config": {"expression": "${user_input}"}, "next": "odd"},
        {"id": "odd", "type": "conditional", "condition": "${steps.ask.output} = 'x'", "then": "end", "else": "other"},
        {"id": "other", "type": "transform", "config": {"expression": "'other'"}, "next": "end.after"},
    ]
    workflow_id = created(api_client, {"name": "Graph", "steps": steps, "entry_step": "ask"})
    assert execute(api_client, workflow_id, "x")["final_output"] == "end of x"
    run = execute(api_client, workflow_id, "y")
    whole = made(api_client.get(f"/workflows/executions/{run['id']}"))
    assert {n: e["status"] for n, e in whole["node_executions"].items()} == dict.fromkeys(
        ("ask", "odd", "other", "end", "output"), "completed"
    )
    found = made(api_client.get(f"/workflows/{workflow_id}/steps"))
    assert (found["entry_step"], found["connections"]) == ("ask", None)


def test_what_tenants_write_stays_text(api_client, machines):
    text = "{{ secrets.x }} \\{{ ${HOME} {% x %} $${user_input} {${user_input}} \\${user_input}"
    steps = [{"id": "t", "type": "log", "inputs": {"message": text}}, {"type": "output", "inputs": {"value": text}}]
    run = execute(api_client, created(api_client, {"name": "Text", "steps": steps}), "IN")
    assert run["final_output"] == "{{ secrets.x }} \\{{ ${HOME} {% x %} $IN {IN} ${user_input}"


BAD: list[tuple[Json, str, str]] = [
    ({"steps": [{"id": "a", "type": "prompt", "prompt": "${steps.b.output}"}]}, "bad_reference", "steps.a.prompt"),
    ({"steps": [{"id": "a", "type": "prompt", "prompt": "${{ open"}]}, "bad_reference", "steps.a.prompt"),
    (
        {"steps": [{"id": "a", "type": "conditional", "condition": "'${user_input}' = 'x'"}]},
        "bad_reference",
        "steps.a.condition",
    ),
    ({"steps": [{"id": "a", "type": "delay", "prompt": "x"}]}, "unknown_field", "steps.a.prompt"),
    ({"steps": [{"id": "a", "type": "delay", "steps": []}]}, "unknown_field", "steps.a.steps"),
    ({"steps": [{"id": "a", "type": "delay", "then": []}]}, "unknown_field", "steps.a.then"),
    ({"steps": [{"id": "a", "type": "delay", "what": 1}]}, "unknown_field", "steps.0.what"),
    ({"steps": [{"id": "a", "type": "delay"}, {"id": "a", "type": "delay"}]}, "duplicate_id", "steps.a.id"),
    ({"steps": [{"id": "a", "type": "delay", "next": "b"}]}, "invalid_step", "steps.a.next"),
    ({"steps": [{"id": "a", "type": "log", "next": "b"}, {"id": "b", "type": "log"}]}, "invalid_step", "steps.a.next"),
    ({"steps": [{"id": "a", "type": "delay"}, {"type": "schedule"}]}, "invalid_step", "steps.schedule_1.type"),
    ({"steps": [{"id": "a", "type": "delay"}], "entry_step": "b"}, "invalid_step", "entry_step"),
    (
        {"steps": [{"id": "a", "type": "delay", "next": []}, {"id": "b", "type": "delay"}], "entry_step": "a"},
        "invalid_step",
        "steps.b.next",
    ),
    (
        {"steps": [{"id": "a", "type": "agent", "input": "x", "inputs": {"input": "y"}}]},
        "invalid_step",
        "steps.a.input",
    ),
    ({"steps": [{"id": "a", "type": "delay", "parent": "a"}]}, "invalid_step", "steps.a.parent"),
    ({"steps": [{"id": "a", "type": "delay", "branches": [[]]}]}, "invalid_step", "steps.a.branches"),
    ({"steps": [], "nodes": []}, "two_notations", "body"),
    ({"nodes": [], "entry_step": "a"}, "no_steps", "body"),
]


@pytest.mark.parametrize(("body", "code", "path"), BAD, ids=[f"{c}-{p}-{i}" for i, (_, c, p) in enumerate(BAD)])
def test_what_is_wrong_is_named_with_its_step(api_client, body, code, path):
    for answer in (
        api_client.post("/workflows", json={"name": "Bad", **body}),
        api_client.post("/workflows/validate", json={"name": "Bad", **body}),
    ):
        found = problem(answer, 422)["errors"]
        assert (code, path) in [(e["code"], e["path"]) for e in found], found


def test_lists_nest_only_so_deep(api_client):
    step: Json = {"id": "s0", "type": "delay"}
    for number in range(1, 15):
        step = {"id": f"s{number}", "type": "conditional", "then": [step]}
    found = problem(api_client.post("/workflows", json={"name": "Deep", "steps": [step]}), 422)["errors"]
    assert "nest at most 12" in found[0]["message"]


def test_nothing_comes_before_a_trigger(api_client):
    document = adder()
    document["connections"].append(
        {"id": "x", "source_node": "add", "source_port": "output", "target_node": "start", "target_port": "after"}
    )
    found = made(api_client.post("/workflows/validate", json=document))["problems"]
    assert "unknown_port" in [p["code"] for p in found]


# --- one step at a time -----------------------------------------------------------------------------------------------


def test_a_step_is_added_at_the_end_behind_another_and_inside(api_client, machines):
    workflow_id = created(api_client, chain())
    url = f"/workflows/{workflow_id}/steps"
    third = {"type": "transform", "config": {"expression": "${steps.second.output} + 1"}}
    answer = api_client.post(url, json={"step": third})
    added = made(answer)
    assert (answer.status_code, added["step_id"], ids(added["steps"])) == (
        201,
        "transform_1",
        ["first", "second", "transform_1"],
    )
    assert answer.headers["etag"] == '"2"'
    assert execute(api_client, workflow_id, {"n": 0})["final_output"] == 11
    loop = {"id": "loop", "type": "loop", "over": [1, 2]}
    made(api_client.post(url, json={"step": loop, "after": "first"}))
    body = {"step": {"id": "in", "type": "transform", "config": {"expression": "item"}}, "inside": "loop"}
    assert ids(made(api_client.post(url, json=body))["steps"]) == ["first", "loop", "second", "transform_1"]
    assert execute(api_client, workflow_id, {"n": 0})["final_output"] == 11
    gate = {"step": {"id": "gate", "type": "conditional", "condition": "true"}, "after": "loop"}
    made(api_client.post(url, json=gate))
    inner = {"step": {"id": "yes", "type": "delay", "config": {"ms": 0}}, "inside": "gate", "branch": "then"}
    assert made(api_client.post(url, json=inner))["steps"][2]["then"][0]["id"] == "yes"
    for bad in ({"after": "none"}, {"inside": "none"}):
        problem(api_client.post(url, json={"step": third, **bad}), 404)
    problem(api_client.post(url, json={"step": {"id": "first", "type": "delay"}}), 422)
    problem(api_client.post(url, json={"step": third, "inside": "second"}), 422)


def test_a_step_added_to_a_hand_made_workflow_stands_before_its_end(api_client, machines):
    workflow_id = created(api_client, adder())
    more = {"step": {"id": "more", "type": "transform", "config": {"expression": "inputs.input * 2"}}}
    assert ids(made(api_client.post(f"/workflows/{workflow_id}/steps", json=more))["steps"])[-2:] == ["more", "out"]
    assert execute(api_client, workflow_id, {"a": 1})["final_output"] == 4


def test_a_step_is_replaced_and_what_hangs_on_it_stays(api_client):
    steps = [{"id": "l", "type": "loop", "over": [1], "steps": [{"id": "in", "type": "delay"}]}]
    url = f"/workflows/{created(api_client, {'name': 'L', 'steps': steps})}/steps/l"
    changed = made(api_client.put(url, json={"type": "loop", "over": [1, 2]}))
    assert changed["steps"] == [{**steps[0], "over": [1, 2]}]
    errors = problem(api_client.put(url, json={"type": "delay"}), 422)["errors"]
    assert errors[0]["path"] == "steps.l.steps", "the body would be lost"
    problem(api_client.put(url, json={"id": "other", "type": "loop"}), 422)
    problem(api_client.put(url.removesuffix("l") + "none", json={"type": "loop"}), 404)


def test_references_follow_a_step_whose_output_becomes_another(api_client):
    steps = [
        {"id": "p", "type": "prompt", "prompt": "x", "model": "m"},
        {"type": "log", "inputs": {"message": "${steps.p.output}"}},
    ]
    workflow_id = created(api_client, {"name": "P", "steps": steps})
    made(api_client.put(f"/workflows/{workflow_id}/steps/p", json={**steps[0], "output_schema": {"type": "object"}}))
    nodes = made(api_client.get(f"/workflows/{workflow_id}"))["nodes"]
    assert nodes[1]["inputs"] == {"message": "{{ nodes.p.json }}"}


def test_a_removed_step_closes_the_gap_and_says_who_reads_it(api_client, machines):
    workflow_id = created(api_client, chain())
    url = f"/workflows/{workflow_id}/steps"
    refused = problem(api_client.delete(f"{url}/first"), 409, "step_in_use")
    assert [(e["node_id"], e["path"]) for e in refused["errors"]] == [("second", "steps.second.config.expression")]
    behind = "$split('a', /'/) ~> $append(nodes.first.output)"  # the quotation mark begins no text
    made(api_client.put(f"{url}/second", json={"type": "transform", "config": {"expression": behind}}))
    problem(api_client.delete(f"{url}/first"), 409, "step_in_use")
    made(api_client.put(f"{url}/second", json={"type": "transform", "config": {"expression": "7"}}))
    assert ids(made(api_client.delete(f"{url}/first"))["steps"]) == ["second"]
    assert execute(api_client, workflow_id)["final_output"] == 7
    problem(api_client.delete(f"{url}/first"), 404)


def test_what_is_in_a_step_is_not_removed_unasked(api_client):
    steps = [
        {"id": "l", "type": "loop", "over": [1], "steps": [{"id": "in", "type": "delay"}]},
        {"id": "z", "type": "delay"},
    ]
    url = f"/workflows/{created(api_client, {'name': 'L', 'steps': steps})}/steps/l"
    refused = problem(api_client.delete(url), 409, "step_not_empty")
    assert [e["node_id"] for e in refused["errors"]] == ["in"]
    assert ids(made(api_client.delete(url, params={"nested": "true"}))["steps"]) == ["z"]


def hand_made() -> Json:
    """Something that no list of steps can say: an index goes to a node's other port."""
    return workflow(
        [
            node("start", "manual_trigger"),
            node("a", "http_request", inputs={"url": "https://example.com"}),
            node("each", "loop", inputs={"items": [1]}),
            node("in", "http_request", parent="each", inputs={"url": "https://example.com"}),
            node("out", "output"),
        ],
        "start.trigger -> a.body; a.response -> each.items; each.index -> in.body; each.results -> out.value",
    )


def test_a_removed_step_is_bridged_where_connections_are_written_out(api_client):
    workflow_id = created(api_client, hand_made())
    found = made(api_client.get(f"/workflows/{workflow_id}/steps"))
    assert found["connections"] is not None
    left = made(api_client.delete(f"/workflows/{workflow_id}/steps/a"))
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    wires = [(c["source_node"], c["target_node"], c["target_port"]) for c in document["connections"]]
    assert ("start", "each", "items") in wires
    assert ("each", "in", "body") in wires
    assert ids(left["steps"]) == ["start", "each", "in", "out"]
    made(api_client.post(f"/workflows/{workflow_id}/steps", json={"step": {"type": "delay"}, "after": "in"}))
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    assert next(n for n in document["nodes"] if n["id"] == "delay_1")["parent"] == "each"


def test_steps_are_put_into_another_order(api_client, machines):
    workflow_id = created(api_client, chain())
    url = f"/workflows/{workflow_id}/steps"
    made(api_client.put(f"{url}/second", json={"type": "transform", "config": {"expression": "7"}}))
    assert ids(made(api_client.post(f"{url}/reorder", json={"order": ["second", "first"]}))["steps"]) == [
        "second",
        "first",
    ]
    assert execute(api_client, workflow_id, {"n": 1})["final_output"] == 2
    for order in (["second"], ["second", "second"], ["second", "first", "x"]):
        problem(api_client.post(f"{url}/reorder", json={"order": order}), 422)
    problem(api_client.post(f"{url}/reorder", json={"order": ["x"]}), 404)


def test_steps_are_connected(api_client, machines):
    steps = [
        {"id": "a", "type": "transform", "config": {"expression": "1"}, "next": []},
        {"id": "b", "type": "transform", "config": {"expression": "inputs.input + 1"}},
        {"id": "l", "type": "loop", "over": [1], "steps": [{"id": "in", "type": "delay"}]},
    ]
    workflow_id = created(api_client, {"name": "C", "steps": steps})
    url = f"/workflows/{workflow_id}/steps"
    assert made(api_client.post(f"{url}/a/connect", json={"to": "b"}))["steps"][0]["next"] == "b"
    once = made(api_client.post(f"{url}/a/connect", json={"to": "b"}))
    assert once["revision"] == 2, "what is connected stays so"
    made(api_client.post(f"{url}/b/connect", json={"to": "l", "port": "error", "to_port": "after"}))
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    wires = {(c["source_node"], c["source_port"], c["target_node"], c["target_port"]) for c in document["connections"]}
    assert {("a", "output", "b", "input"), ("b", "error", "l", "after")} <= wires
    for step, body in (
        ("b", {"to": "a"}),
        ("a", {"to": "a"}),
        ("a", {"to": "in"}),
        ("a", {"to": "b", "port": "none"}),
        ("a", {"to": "b", "to_port": "none"}),
    ):
        problem(api_client.post(f"{url}/{step}/connect", json=body), 422)
    problem(api_client.post(f"{url}/a/connect", json={"to": "none"}), 404)


def test_a_connection_within_a_body_leaves_the_others(api_client):
    inner = [{"id": name, "type": "delay"} for name in ("x", "y", "z")]
    workflow_id = created(
        api_client, {"name": "B", "steps": [{"id": "l", "type": "loop", "over": [1], "steps": inner}]}
    )
    made(api_client.post(f"/workflows/{workflow_id}/steps/x/connect", json={"to": "z"}))
    document = made(api_client.get(f"/workflows/{workflow_id}"))
    wires = {(c["source_node"], c["target_node"]) for c in document["connections"]}
    assert {("x", "y"), ("y", "z"), ("x", "z")} <= wires


def test_a_stale_change_of_a_step_is_refused(api_client):
    url = f"/workflows/{created(api_client, chain())}/steps"
    body = {"step": {"type": "delay"}}
    assert api_client.post(url, json=body, headers={"If-Match": '"1"'}).status_code == 201
    problem(api_client.post(url, json=body, headers={"If-Match": '"1"'}), 412)
    problem(api_client.delete(f"{url}/delay_1", headers={"If-Match": '"1"'}), 412)
    once = {"Idempotency-Key": "k1"}
    assert api_client.post(url, json=body, headers=once).json() == api_client.post(url, json=body, headers=once).json()


def test_changes_at_the_same_time_are_all_there(api_client):
    url = f"/workflows/{created(api_client, chain())}/steps"
    keys = api_client.headers["X-API-Key"]
    answers: list[int] = []

    def add(number: int) -> None:
        with http_api.connect(keys) as client:
            body = {"step": {"id": f"d{number}", "type": "delay"}}
            answer = client.post(url, json=body)
            while answer.status_code == 503:  # it lost too often, and says so: nothing was done
                answer = client.post(url, json=body)
            answers.append(answer.status_code)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 6
    assert set(ids(made(api_client.get(url))["steps"])) == {"first", "second", *(f"d{n}" for n in range(6))}


def test_a_patch_takes_steps_as_put_does(api_client):
    made_of = {"name": "W", "category": "c", "steps": [{"id": "a", "type": "set", "config": {"fields": {}}}]}
    steps = [{"id": "first", "type": "transform", "config": {"expression": "1"}}]
    url = f"/workflows/{made(api_client.post('/workflows', json=made_of))['id']}"
    patched = made(api_client.patch(url, json={"steps": steps, "description": "D"}, headers={"If-Match": '"1"'}))
    assert (patched["category"], patched["description"], patched["revision"]) == ("c", "D", 2)
    put = made(api_client.put(url, json={"name": "W", "category": "c", "description": "D", "steps": steps}))
    assert put == patched  # nothing has changed: the revision is the same
    read = made(api_client.get(url, params={"notation": "steps"}))
    assert made(api_client.patch(url, json=read))["nodes"] == patched["nodes"]
    refused = (
        ({"steps": steps, "nodes": []}, "two_notations"),
        ({"entry_step": "first"}, "no_steps"),
        ({"steps": [{"id": "x", "type": "prompt", "over": "y"}]}, "unknown_field"),
    )
    for changes, code in refused:
        assert problem(api_client.patch(url, json=changes), 422)["errors"][0]["code"] == code
    assert made(api_client.patch(url, json={"steps": None, "name": "X"}))["nodes"] == patched["nodes"]
