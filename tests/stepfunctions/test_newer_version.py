"""A failed run goes on under another version of its workflow, if what it has recorded fits that."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, NotFound
from shared.runs.model import Run
from shared.workflows.model import Document
from stepfunctions import control, newer, reconcile
from tests.stepfunctions.compiler.documents import document
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Killed, Service, Strike, Wire
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import wait_for
from tests.stepfunctions.people import Person

Json = dict[str, Any]


@pytest.fixture
def person(machines: Machines) -> Person:
    return Person(machines)


def node(node_id: str, type_name: str, config: Json | None = None, **fields: Any) -> Json:
    return {"id": node_id, "type": type_name, "config": config or {}, **fields}


WIRES = """start.trigger -> shape.input; shape.output -> a.body; a.response -> last.input
    each.results -> b.body; last.output -> b.body; b.status -> out.value"""


def nodes(base: str) -> dict[str, Json]:
    """`a` and a loop are recorded when `b` fails; `last` is pure, and nothing recorded came of it."""
    found = [
        node("start", "manual_trigger"),
        node("shape", "transform", {"expression": "variables.one + variables.none"}),
        post("a", base),
        node("other", "transform", {"expression": "1"}),
        node("each", "loop", {"result": "nodes.pass.status"}, inputs={"items": [1, 2]}),
        post("pass", base, "pass/{{ item }}", parent="each"),
        node("last", "transform", {"expression": "inputs.input.path"}),
        post("b", base),
        node("out", "output"),
    ]
    return {n["id"]: n for n in found}


def made(found: dict[str, Json], wires: str = WIRES, **variables: Any) -> Document:
    return document(list(found.values()), wires, variables={"one": 1, "none": 0, "free": 0, **variables})


def failed(person: Person, remote: Service) -> tuple[str, Run]:
    """A workflow, and a run of it that failed at `b`."""
    remote.fail("/b")
    workflow_id = person.create(made(nodes(remote.base)))
    run = person.machines.until(person.execute(workflow_id))
    assert (run.status, (run.error or {})["node_id"]) == ("failed", "b")
    return workflow_id, run


def test_the_failed_node_is_mended(person: Person, remote: Service):
    machines = person.machines
    workflow_id, run = failed(person, remote)
    before = machines.records(run)
    better = nodes(remote.base)
    better["b"] = post("b", remote.base, "better")
    better["last"]["config"]["expression"] = "'computed by the newer version'"
    better["more"] = post("more", remote.base)
    longer = made(better, WIRES + "; b.status -> more.body", free=7).model_dump()
    longer["settings"]["timeout_seconds"] = 172_800
    assert person.change(workflow_id, Document.model_validate(longer)) == 2
    again = newer.retry(machines.tenant, run.id, 2)
    assert (again.id, again.version, again.attempt, again.status) == (run.id, 2, 1, "pending")
    assert again.plan != run.plan
    assert again.deadline > now_ms() + 170_000_000, "the time of the version that it goes on with"
    ended = machines.until(again)
    assert (ended.status, machines.value(ended.final_output)) == ("completed", 200)
    assert (ended.plan, ended.machine) == (again.plan, again.machine)
    assert remote.count() == {"/a": 1, "/pass/1": 1, "/pass/2": 1, "/b": 1, "/better": 1, "/more": 1}
    records = machines.records(run)
    for place in (("", "a"), ("", "each"), ("each/0", "pass"), ("each/1", "pass")):
        assert records[place] == before[place]
    assert machines.value(records["", "last"].outputs["output"]) == "computed by the newer version"
    assert {e["status"] for e in person.nodes(run).values()} == {"completed"}


def test_the_failed_node_may_be_somewhere_else_and_something_else(person: Person, remote: Service):
    machines = person.machines
    workflow_id, run = failed(person, remote)
    moved = nodes(remote.base)
    moved["again"] = node("again", "loop", {"result": "nodes.b.status"}, inputs={"items": [1, 2]})
    moved["b"] = post("b", remote.base, "moved/{{ item }}", parent="again")
    wires = "start.trigger -> shape.input; shape.output -> a.body; a.response -> last.input; again.count -> out.value"
    version = person.change(workflow_id, made(moved, wires))
    remote.fail("/moved/2")
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.status, remote.count()["/moved/1"], remote.count()["/moved/2"]) == ("failed", 1, 1)
    moved["b"] = node("b", "transform", {"expression": "'was an effect'"})
    del moved["again"]
    version = person.change(workflow_id, made(moved, wires.replace("again.count", "b.output")))
    with pytest.raises(Conflict) as caught:  # it has done its work for one item
        newer.retry(machines.tenant, run.id, version)
    assert {(p.code, p.node_id) for p in caught.value.errors} == {("type_changed", "b"), ("node_gone", "again")}
    third = person.create(made(nodes(remote.base)))
    remote.fail("/b")
    run = machines.until(person.execute(third))
    version = person.change(third, made(moved, wires.replace("again.count", "b.output")))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert machines.value(ended.final_output) == "was an effect"
    assert person.nodes(ended)["b"]["status"] == "completed"


def test_the_draft_is_a_version_too(person: Person, remote: Service):
    machines = person.machines
    workflow_id, run = failed(person, remote)
    better = nodes(remote.base)
    better["b"] = post("b", remote.base, "better")
    person.save(workflow_id, made(better))
    ended = machines.until(newer.retry(machines.tenant, run.id, "draft"))
    assert (ended.status, ended.version, remote.count()["/better"]) == ("completed", 0, 1)
    better["b"] = node("b", "http_request")
    person.save(workflow_id, made(better))
    _, other = failed(person, remote)
    with pytest.raises(NotFound):
        newer.retry(machines.tenant, other.id, 2)
    assert machines.until(newer.retry(machines.tenant, other.id, 1)).attempt == 1  # its own


def test_a_draft_with_problems_is_refused(person: Person, remote: Service):
    workflow_id, run = failed(person, remote)
    person.save(workflow_id, made({**nodes(remote.base), "b": node("b", "http_request")}))
    with pytest.raises(Invalid) as caught:
        newer.retry(person.machines.tenant, run.id, "draft")
    assert {p.node_id for p in caught.value.errors} == {"b"}
    assert person.machines.store.get(run.id) == run


Change = Callable[[dict[str, Json]], object]
MISFITS: dict[str, tuple[Change, str, set[tuple[str, str]]]] = {
    "gone": (
        lambda n: n.pop("a"),
        "shape.output -> b.body; last.output -> b.body; each.results -> b.body; b.status -> out.value",
        {("node_gone", "a")},
    ),
    "another type": (
        lambda n: n.update(a=node("a", "log", inputs={"message": "m"})),
        "shape.output -> a.level; each.results -> b.body; b.status -> out.value",
        {("type_changed", "a")},
    ),
    "its config": (lambda n: n["a"]["config"].update(method="PUT"), WIRES, {("config_changed", "a")}),
    "true is not 1": (lambda n: n["each"]["inputs"].update(items=[True, 2]), WIRES, {("inputs_changed", "each")}),
    "its inputs": (lambda n: n["a"]["inputs"].update(url="http://127.0.0.1/x"), WIRES, {("inputs_changed", "a")}),
    "what leads into it": (
        lambda n: n["last"].update(notes="nothing that counts"),
        WIRES.replace("shape.output -> a.body", "other.output -> a.body"),
        {("connections_changed", "a")},
    ),
    "it is disabled": (lambda n: n["a"].update(disabled=True), WIRES, {("config_changed", "a")}),
    "what it was given came of": (
        lambda n: n["shape"]["config"].update(expression="2"),
        WIRES,
        {("sources_changed", "a")},
    ),
    "a loop's config": (lambda n: n["each"]["config"].update(result="1"), WIRES, {("config_changed", "each")}),
    "what is in the loop": (
        lambda n: n["pass"]["config"].update(method="PUT"),
        WIRES,
        {("body_changed", "each")},
    ),
    "more in the loop": (
        lambda n: n.update(more=node("more", "transform", {"expression": "1"}, parent="each")),
        WIRES,
        {("body_changed", "each")},
    ),
    "in a loop now": (
        lambda n: n.update(
            a={**n["a"], "parent": "each"}, last=node("last", "transform", {"expression": "1"}, parent="each")
        ),
        "each.results -> b.body; b.status -> out.value",
        {("container_changed", "a"), ("body_changed", "each")},
    ),
    "several": (
        lambda n: (n["a"]["config"].update(method="PUT"), n["pass"]["config"].update(method="PUT")),
        WIRES,
        {("config_changed", "a"), ("body_changed", "each")},
    ),
    "where it started": (
        lambda n: n.update(start=node("start", "http_webhook")),
        WIRES.replace("start.trigger", "start.body"),
        {("type_changed", "start"), ("sources_changed", "a")},
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named_and_nothing_is_changed(person: Person, remote: Service, name: str):
    change, wires, expected = MISFITS[name]
    machines = person.machines
    workflow_id, run = failed(person, remote)
    before = machines.records(run)
    changed = nodes(remote.base)
    change(changed)
    version = person.change(workflow_id, made(changed, wires))
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, run.id, version)
    assert caught.value.code == "does_not_fit"
    assert {(p.code, p.node_id) for p in caught.value.errors} == expected
    assert len(caught.value.errors) == len(expected)  # one for each node
    assert machines.store.get(run.id) == run
    assert machines.records(run) == before
    assert machines.until(control.retry(machines.tenant, run.id)).status == "completed"


def test_a_variable_counts_for_those_that_read_it(person: Person, remote: Service):
    machines = person.machines
    workflow_id, run = failed(person, remote)
    version = person.change(workflow_id, made(nodes(remote.base), one=2))
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, run.id, version)
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("sources_changed", "a")]
    version = person.change(workflow_id, made(nodes(remote.base), free=2))
    assert machines.until(newer.retry(machines.tenant, run.id, version)).status == "completed"


def looping(base: str, path: str, **config: Any) -> Document:
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", config, inputs={"items": [1, 2, 3]}),
            post("pass", base, "pass/{{ item }}", parent="each"),
            node("note", "transform", {"expression": "item"}, parent="each"),
            post("then", base, path, parent="each"),
            node("out", "output"),
        ],
        "pass.status -> note.input; note.output -> then.body; each.results -> out.value",
    )


def test_a_loop_goes_on_where_it_was(person: Person, remote: Service):
    """How it goes on may change, and what its passes have yet to do; not what they have done."""
    machines = person.machines
    remote.fail("/then/2", times=9)
    workflow_id = person.create(looping(remote.base, "then/{{ item }}"))
    run = machines.until(person.execute(workflow_id))
    assert (run.status, remote.count()) == ("failed", {"/pass/1": 1, "/then/1": 1, "/pass/2": 1, "/then/2": 1})
    version = person.change(workflow_id, looping(remote.base, "new/{{ item }}", on_item_error="skip"))
    with pytest.raises(Conflict) as caught:  # `then` has done its work for the first item
        newer.retry(machines.tenant, run.id, version)
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("inputs_changed", "then")]
    version = person.change(workflow_id, looping(remote.base, "then/{{ item }}", on_item_error="null"))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    found = machines.value(ended.final_output)
    assert (ended.status, [r is None for r in found]) == ("completed", [False, True, False])
    assert [remote.count()[f"/pass/{n}"] for n in (1, 2, 3)] == [1, 1, 1]
    assert [remote.count()[f"/then/{n}"] for n in (1, 2, 3)] == [1, 2, 1]


def test_of_two_at_once_one_goes_on(person: Person, remote: Service):
    machines = person.machines
    workflow_id, run = failed(person, remote)
    version = person.change(workflow_id, made(nodes(remote.base), free=1))

    def retried(wanted: Any) -> str:
        try:
            return f"version {newer.retry(machines.tenant, run.id, wanted).version}"
        except Conflict as refused:
            return refused.code

    with ThreadPoolExecutor(4) as pool:
        came_of = list(pool.map(retried, [version, None, version, None]))
    assert sorted(came_of)[:3] == ["not_failed"] * 3
    ended = machines.until(run)
    assert (ended.status, ended.attempt, remote.count()["/a"], remote.count()["/b"]) == ("completed", 1, 1, 2)


def test_killed_at_any_moment_it_may_be_asked_again(person: Person, remote: Service, wire: Wire):
    """With that version or with its own: what counts is never lost, and never done twice."""
    machines = person.machines
    workflow_id = person.create(made(nodes(remote.base)))
    better = nodes(remote.base)
    better["b"] = post("b", remote.base, "better")
    version = person.change(workflow_id, made(better))
    done = 0
    for at in count(1):
        remote.fail("/b")
        run = machines.until(person.execute(workflow_id, version=1))
        before = remote.count()
        wire.reset(Strike(at, "after"))
        try:
            newer.retry(machines.tenant, run.id, version)
        except Killed:
            wire.reset()
            if machines.store.get(run.id).status == "failed":
                (newer.retry(machines.tenant, run.id, version) if at % 2 else control.retry(machines.tenant, run.id))
            else:
                machines.store.look_again(run.id, 0)
                reconcile.sweep(lambda: 60.0)
        else:
            wire.reset()
            break
        assert machines.until(run).status == "completed"
        assert {p: n - before[p] for p, n in remote.count().items() if n != before[p]} in ({"/better": 1}, {"/b": 1})
        done += 1
    assert machines.until(run).status == "completed"
    assert done > 4


def test_what_is_still_in_flight_is_waited_for(person: Person, remote: Service):
    """A branch of the run failed, and another branch's call has not noticed yet."""
    machines = person.machines
    made_of = [node("start", "manual_trigger"), post("slow", remote.base), node("out", "output")]
    wires = "start.trigger -> slow.body; slow.status -> out.value"
    workflow_id = person.create(document(made_of, wires))
    gate = remote.hold("/slow")
    run = person.execute(workflow_id)
    gate.arrived.wait(20)
    control.cancel(machines.tenant, run.id)
    made_of[1] = post("slow", remote.base, "other")
    version = person.change(workflow_id, document(made_of, wires))
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, run.id, version)
    assert [(caught.value.code, p.node_id) for p in caught.value.errors] == [("in_flight", "slow")]
    gate.open.set()
    wait_for(lambda: machines.records(run)["", "slow"].status == "completed", "the call has noticed")
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, run.id, version)
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("inputs_changed", "slow")]
    assert machines.until(control.retry(machines.tenant, run.id)).status == "completed"
    assert remote.count() == {"/slow": 1}


def test_given_values_stand_whatever_the_node_does_now(person: Person, remote: Service):
    machines = person.machines
    remote.fail("/b")
    workflow_id = person.create(made(nodes(remote.base)))
    pinned = {"a": {"response": {"path": "mine"}, "status": 1}, "shape": {"output": 5}}
    run = machines.until(person.execute(workflow_id, pinned=pinned))
    assert run.status == "failed"
    changed = nodes(remote.base)
    changed["a"]["config"]["method"] = "PUT"
    changed["shape"]["config"]["expression"] = "2"
    version = person.change(workflow_id, made(changed))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.status, remote.count()["/a"]) == ("completed", 0)
    assert person.origins(ended) == {"a": "pinned", "shape": "pinned"}


def test_a_single_nodes_run_has_no_versions(person: Person, remote: Service):
    workflow_id = person.create(made(nodes(remote.base)))
    remote.fail("/b")
    run = person.alone(workflow_id, "b")
    assert run.status == "failed"
    with pytest.raises(Conflict) as caught:
        newer.retry(person.machines.tenant, run.id, 1)
    assert caught.value.code == "single_node"
    assert person.machines.until(control.retry(person.machines.tenant, run.id)).status == "completed"
