"""One node run by itself, and runs in which nodes have their outputs pinned."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import Invalid, NotFound
from shared.runs.model import Run
from shared.tenancy import new_tenant
from shared.workflows import service
from stepfunctions import plans
from stepfunctions.plan import canonical
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.people import Person


@pytest.fixture
def person(machines: Machines) -> Person:
    return Person(machines)


def drafted(person: Person, nodes: list[dict[str, Any]], wires: str = "", **fields: Any) -> str:
    """The id of a workflow that is a draft and nothing more."""
    made = document(nodes, wires, **fields).model_copy(update={"id": None})
    return service.create(person.who, made)[0].id


def output(person: Person, run: Run) -> Any:
    assert run.status == "completed", run.error
    return person.machines.value(run.final_output)


def test_an_effect_with_what_is_typed_into_it_and_what_is_given(person: Person, remote: Service):
    workflow_id = drafted(
        person,
        [node("start", "manual_trigger"), post("a", remote.base), post("b", remote.base), node("broken", "merge_")],
        "start.trigger -> a.body; a.response -> b.body",
    )
    run = person.alone(workflow_id, "b", {"body": {"n": 1}})
    found = output(person, run)
    assert (found["status"], found["response"]) == (200, {"path": "/b"})
    assert remote.count() == {"/b": 1}
    assert remote.done(run.id, "", "b") == 1
    assert (run.version, run.workflow_id, run.trigger_node) == (0, workflow_id, None)
    assert run.triggered_by == {"kind": "node", "id": "b", "user": None}
    seen = person.nodes(run)
    assert seen["b"]["inputs"] == {"url": f"{remote.base}/b", "body": {"n": 1}}
    assert person.origins(run) == {"input_body": "pinned"}
    other = person.alone(workflow_id, "b", {"url": f"{remote.base}/other"})
    assert output(person, other)["response"] == {"path": "/other"}


def test_what_is_given_is_a_value_whatever_it_looks_like(person: Person):
    workflow_id = drafted(person, [node("t", "transform", {"expression": "inputs.input"})])
    for value in ("{{ trigger }}", "\\{{ x", None, False, 0, "", [], {"a": [None]}, "x" * 50_000):
        run = person.alone(workflow_id, "t", {"input": value}, trigger_data="secret")
        assert output(person, run) == {"output": value}
        assert b"secret" not in canonical(plans.load(person.machines.tenant, run.plan).as_dict())
    assert output(person, person.alone(workflow_id, "t")) == {"output": None}


def test_a_port_that_takes_several_gets_them_in_order(person: Person):
    workflow_id = drafted(person, [node("all", "merge")])
    assert output(person, person.alone(workflow_id, "all", {"inputs": [3, None, "a"]})) == {"output": [3, None, "a"]}


def test_what_its_expressions_read_is_given_too(person: Person):
    read = "nodes.`a-b`.status & '/' & nodes.which.large & '/' & nodes.`a-b`.error.message & '/' & trigger.x"
    workflow_id = drafted(
        person,
        [
            node("a-b", "http_request"),  # is not run, so what it lacks does not matter
            node("which", "switch", {"cases": {"large": "true"}}),
            node("t", "transform", {"expression": read + " & '/' & variables.v & '/' & execution.workflow_id"}),
        ],
        variables={"v": "V"},
    )
    given = {"a-b": {"status": 200, "error": {"message": "no"}}, "which": {"large": "L", "default": 1}}
    run = person.alone(workflow_id, "t", outputs_of=given, trigger_data={"x": "X"})
    assert output(person, run) == {"output": f"200/L/no/X/V/{workflow_id}"}
    run = person.alone(workflow_id, "t", outputs_of={"which": {}})  # undefined where nothing is given
    assert output(person, run) == {"output": f"////V/{workflow_id}"}


def test_a_container_runs_with_its_body(person: Person, remote: Service):
    workflow_id = drafted(
        person,
        [
            post("before", remote.base),
            node("each", "loop", {"result": "nodes.two.output"}),
            post("one", remote.base, "one/{{ item }}", parent="each"),
            node("inner", "loop", inputs={"items": [1, 2]}, parent="each"),
            node("twice", "transform", {"expression": "item * 2"}, parent="inner"),
            node("two", "transform", {"expression": "nodes.one.status + $sum(nodes.inner.results)"}, parent="each"),
            post("after", remote.base),
        ],
        "before.response -> each.items; inner.results -> two.input; each.results -> after.body",
    )
    run = person.alone(workflow_id, "each", {"items": [7, 8]})
    assert output(person, run) == {"results": [206, 206], "count": 2}
    assert remote.count() == {"/one/7": 1, "/one/8": 1}


def test_a_node_of_a_loop_is_run_outside_of_it(person: Person):
    workflow_id = drafted(
        person,
        [
            node("each", "loop", inputs={"items": [1]}),
            node("plus", "transform", {"expression": "inputs.input + 1"}, parent="each"),
            node("read", "transform", {"expression": "item"}, parent="each"),
        ],
        "each.item -> plus.input",
    )
    assert output(person, person.alone(workflow_id, "plus", {"input": 4})) == {"output": 5}
    with pytest.raises(Invalid) as caught:
        person.alone(workflow_id, "read")
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("unknown_name", "read")]


def test_triggers_deliver(person: Person):
    schema = {"type": "object", "required": ["a"]}
    workflow_id = drafted(
        person, [node("hand", "manual_trigger", {"input_schema": schema}), node("hook", "http_webhook")]
    )
    assert output(person, person.alone(workflow_id, "hand", trigger_data={"a": 1})) == {"trigger": {"a": 1}}
    assert output(person, person.alone(workflow_id, "hook", trigger_data={"body": 7}))["body"] == 7
    with pytest.raises(Invalid) as caught:
        person.alone(workflow_id, "hand", trigger_data={})
    assert caught.value.errors[0].path == "trigger_data"


def test_outputs_deliver_and_nodes_without_outputs_give_nothing(person: Person):
    workflow_id = drafted(
        person, [node("out", "output"), node("log", "log"), node("yes", "condition", {"condition": "true"})]
    )
    assert output(person, person.alone(workflow_id, "out", {"value": 7})) == 7
    assert output(person, person.alone(workflow_id, "log", {"message": "m"})) is None
    assert output(person, person.alone(workflow_id, "yes", {"input": 1})) == {"true": 1}


def test_a_failure_is_the_runs(person: Person, remote: Service):
    """Whatever the node does about it in the workflow: who runs it alone wants to see it."""
    remote.fail("/a", times=2)
    made = [post("a", remote.base, on_error="continue", retry={"max_attempts": 1, "interval_seconds": 0})]
    run = person.alone(drafted(person, made), "a")
    assert (run.status, (run.error or {})["error"]) == ("failed", "HttpError")
    assert remote.count() == {"/a": 2}


@pytest.mark.parametrize("version", [None, 1, "draft"])
def test_of_a_version_or_the_draft(person: Person, version: Any):
    def made(value: str):
        return document([node("t", "transform", {"expression": value})])

    workflow_id = person.create(made("1"))
    person.save(workflow_id, made("2"))
    run = person.alone(workflow_id, "t", version=version)
    assert output(person, run) == {"output": 2 if version == "draft" else 1}
    assert run.version == (0 if version == "draft" else 1)


@pytest.mark.parametrize("name", ["ask", "rest", "each"])
def test_what_waits_is_refused(person: Person, name: str):
    workflow_id = drafted(
        person,
        [
            node("ask", "human_in_the_loop"),
            node("rest", "delay", {"ms": 60_000}),
            node("each", "loop", inputs={"items": [1]}),
            node("within", "delay", {"ms": 60_000}, parent="each"),
            node("short", "delay", {"ms": 1}),
        ],
    )
    with pytest.raises(Invalid) as caught:
        person.alone(workflow_id, name)
    assert caught.value.code == "node_waits"
    assert caught.value.errors[0].node_id == ("within" if name == "each" else name)
    assert person.alone(workflow_id, "short", {"input": 1}).status == "completed"


@pytest.mark.parametrize(
    ("node_id", "inputs", "outputs_of", "code", "path"),
    [
        ("t", {"nothing": 1}, {}, "unknown_port", "inputs.nothing"),
        ("t", {"": 1}, {}, "unknown_port", "inputs."),
        ("hand", {"trigger": 1}, {}, "unknown_port", "inputs.trigger"),
        ("all", {"inputs": 1}, {}, "bad_value", "inputs.inputs"),
        ("all", {"inputs": [0] * 101}, {}, "bad_value", "inputs.inputs"),
        ("t", {"input": float("inf")}, {}, "bad_value", "inputs.input_input.output"),
        ("t", {}, {"nobody": {}}, "unknown_node", "outputs_of.nobody"),
        ("t", {}, {"t": {}}, "is_run", "outputs_of.t"),
        ("t", {}, {"all": {"x": 1}}, "unknown_port", "outputs_of.all.x"),
        ("strange", {}, {}, "unknown_type", "nodes.strange.type"),
        ("strange", {"x": 1}, {}, "unknown_port", "inputs.x"),
        ("get", {}, {}, "missing_input", "nodes.get.inputs.url"),
    ],
)
def test_what_cannot_be_run(person: Person, node_id, inputs, outputs_of, code, path):
    workflow_id = drafted(
        person,
        [
            node("hand", "manual_trigger"),
            node("t", "transform", {"expression": "nodes.all.output"}),
            node("all", "merge"),
            node("get", "http_request"),
            node("strange", "strange"),
        ],
    )
    with pytest.raises(Invalid) as caught:
        person.alone(workflow_id, node_id, inputs, outputs_of=outputs_of)
    assert [(p.code, p.path) for p in caught.value.errors] == [(code, path)]


def test_nodes_and_workflows_that_are_not_there(person: Person):
    workflow_id = drafted(person, [node("t", "transform", {"expression": "1"})])
    stranger = Person(Machines(new_tenant(), person.machines.functions))
    for who, workflow, node_id in ((person, workflow_id, "u"), (person, "wf_none", "t"), (stranger, workflow_id, "t")):
        with pytest.raises(NotFound):
            who.alone(workflow, node_id)
    with pytest.raises(NotFound):
        person.alone(workflow_id, "t", version=1)


# --- pinned -------------------------------------------------------------------------------------------------------


def flow(base: str):
    return document(
        [
            node("start", "manual_trigger"),
            post("a", base),
            node("ask", "human_in_the_loop", {"title": "{{ nodes.a.status }}?"}),
            node("each", "loop"),
            post("in", base, parent="each"),
            post("b", base),
            node("out", "output"),
        ],
        """start.trigger -> a.body; a.status -> ask.input; ask.response -> b.body; a.response -> each.items
        each.count -> b.body; b.status -> out.value""",
    )


def test_pinned_nodes_are_not_run(person: Person, remote: Service):
    machines, workflow_id = person.machines, person.create(flow(remote.base))
    pinned = {"a": {"status": 201, "response": "x" * 20_000}, "ask": {"response": {"ok": True}}, "each": {"count": 3}}
    run = machines.until(person.execute(workflow_id, {"t": 1}, pinned=pinned))
    assert (run.status, machines.value(run.final_output)) == ("completed", 200)
    assert remote.count() == {"/b": 1}
    assert person.origins(run) == {"a": "pinned", "ask": "pinned", "each": "pinned", "in": "pinned"}
    seen = person.nodes(run)
    assert (seen["b"]["inputs"]["body"], seen["b"]["origin"]) == ({"ok": True}, None)
    assert (seen["a"]["outputs"]["status"], seen["in"]["status"]) == (201, "completed")


def test_a_port_that_is_not_pinned_is_dead(person: Person, remote: Service):
    machines, workflow_id = person.machines, person.create(flow(remote.base))
    run = machines.until(person.execute(workflow_id, pinned={"a": {}}))
    assert (run.status, remote.count()) == ("completed", {})
    assert {n: e["status"] for n, e in person.nodes(run).items()}["b"] == "skipped"


@pytest.mark.parametrize(
    ("pinned", "code", "path"),
    [
        ({"nobody": {"x": 1}}, "unknown_node", "pinned.nobody"),
        ({"a": {"nothing": 1}}, "unknown_port", "pinned.a.nothing"),
        ({"in": {"status": 1}}, "inside_container", "pinned.in"),
        ({"a": {"status": float("nan")}}, "bad_value", "pinned.a.status"),
    ],
)
def test_what_cannot_be_pinned(person: Person, remote: Service, pinned, code, path):
    workflow_id = person.create(flow(remote.base))
    with pytest.raises(Invalid) as caught:
        person.execute(workflow_id, pinned=pinned)
    assert [(p.code, p.path) for p in caught.value.errors] == [(code, path)]


def test_one_record_holds_so_much_and_no_more(person: Person):
    ports = {f"case{n}": "true" for n in range(60)}
    workflow_id = person.create(document([node("which", "switch", {"cases": ports})]))
    with pytest.raises(Invalid) as caught:
        person.execute(workflow_id, pinned={"which": dict.fromkeys(ports, "x" * 8_000)})
    assert caught.value.errors[0].code == "too_large"
    run = person.execute(workflow_id, pinned={"which": dict.fromkeys(ports, "x" * 9_000)})  # in S3, then
    assert person.machines.until(run).status == "completed"
