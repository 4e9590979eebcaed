"""A new run from the middle of an old one."""

from __future__ import annotations

from itertools import count

import boto3
import pytest

from shared.errors import Conflict, Invalid, NotFound
from shared.ids import new_id
from shared.settings import settings
from shared.tenancy import new_tenant
from stepfunctions import control, history, reconcile
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Killed, Service, Strike, Wire
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.test_pause import asking, row
from tests.stepfunctions.engine.watch import answer, comes_to
from tests.stepfunctions.people import Person


@pytest.fixture
def person(machines: Machines) -> Person:
    return Person(machines)


def objects() -> int:
    """How many payloads there are in S3."""
    found = boto3.client("s3").list_objects_v2(Bucket=settings().data_bucket, Prefix="payloads/")
    return int(found["KeyCount"])


@pytest.mark.parametrize("granularity", ["segment", "node"])
def test_what_does_not_come_after_the_node_is_taken_over(person: Person, remote: Service, granularity: str):
    machines = person.machines
    remote.fail("/b")
    first = machines.until(person.execute(person.create(row(remote.base, granularity)), {"n": 1}))
    assert first.status == "failed"
    before = machines.records(first)
    made = person.replay(first, "b")
    run = machines.until(made)
    assert (run.status, machines.value(run.final_output)) == ("completed", 200)
    assert run.id != first.id
    assert (run.plan, run.version, run.machine, run.attempt) == (first.plan, 1, first.machine, 0)
    assert run.triggered_by == {"kind": "replay", "id": first.id, "user": None}
    assert (run.trigger, run.trigger_node) == (first.trigger, "start")
    assert remote.count() == {"/a": 1, "/b": 2, "/c": 1}
    assert [remote.done(run.id, "", n) for n in ("a", "b", "c")] == [0, 1, 1]  # keys of its own
    assert person.origins(run) == {"start": "replayed", "a": "replayed"}
    taken, original = machines.records(run)["", "a"], before["", "a"]
    assert (taken.outputs, taken.started_at, taken.usage) == (original.outputs, original.started_at, {})
    assert machines.records(first) == before
    assert machines.store.get(first.id) == first


def test_edited_outputs_replace_the_recorded_ones(person: Person, remote: Service):
    """`b` is edited, so `c` behind it runs anew as well, although the replay begins at `d`."""
    made = document(
        [node("start", "manual_trigger"), *(post(n, remote.base) for n in "abcd"), node("out", "output")],
        """start.trigger -> a.body; a.status -> b.body; b.status -> c.body; start.trigger -> d.body
        c.status -> out.value""",
    )
    first = person.machines.until(person.execute(person.create(made)))
    run = person.machines.until(person.replay(first, "d", {"b": {"status": 777, "response": {"big": "x" * 20_000}}}))
    assert run.status == "completed"
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 2, "/d": 2}
    seen = person.nodes(run)
    assert (seen["b"]["outputs"]["status"], seen["b"]["origin"], seen["b"]["attempts"]) == (777, "edited", 0)
    assert seen["c"]["inputs"]["body"] == 777
    again = person.machines.until(person.replay(run, "d"))  # a replay of a replay still says what somebody edited
    assert person.origins(again) == {
        "start": "replayed",
        "a": "replayed",
        "b": "edited",
        "c": "replayed",
        "out": "replayed",
    }


def test_the_node_itself_and_those_behind_it_may_be_edited(person: Person, remote: Service):
    first = person.machines.until(person.execute(person.create(row(remote.base))))
    run = person.machines.until(person.replay(first, "b", {"b": {"status": 1}, "c": {"status": 2}}))
    assert (run.status, person.machines.value(run.final_output)) == ("completed", 2)
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 1}
    assert person.origins(run) == {"start": "replayed", "a": "replayed", "b": "edited", "c": "edited"}


def test_the_original_may_be_deleted(person: Person, remote: Service):
    """Large values lie under their hash, for all runs of the tenant; a replay copies none of them."""
    made = document(
        [
            node("start", "manual_trigger"),
            post("a", remote.base),
            node("size", "transform", {"expression": "$length(nodes.a.response.text) + $length(trigger.text)"}),
            node("out", "output"),
        ],
        "start.trigger -> a.body; a.status -> size.input; size.output -> out.value",
    )
    remote.bodies["/a"] = b'{"text": "' + b"x" * 50_000 + b'"}'
    machines = person.machines
    first = machines.until(person.execute(person.create(made), {"text": "y" * 30_000}))
    stored = objects()
    run = person.replay(first, "size")
    history.forget(machines.tenant, first.id)
    assert machines.value(machines.until(run).final_output) == 80_000
    assert objects() == stored
    again = machines.until(person.replay(machines.store.get(run.id), "size"))
    assert (machines.value(again.final_output), remote.count()) == (80_000, {"/a": 1})


def test_what_is_answered_is_not_asked_again(person: Person, remote: Service):
    machines = person.machines
    remote.fail("/after")
    first = person.execute(person.create(asking(remote.base)))
    comes_to(machines, first, "paused", "human_input")
    with pytest.raises(Conflict) as caught:
        person.replay(first, "ask")
    assert caught.value.code == "run_not_ended"
    answer(machines, first, "us_1", "ask")
    assert machines.until(first).status == "failed"
    run = machines.until(person.replay(first, "after"))
    assert (run.status, remote.count()) == ("completed", {"/before": 1, "/after": 2})
    asked = person.replay(first, "ask")
    comes_to(machines, asked, "paused", "human_input")
    assert machines.open_tasks(asked).keys() == {"ask"}
    answer(machines, asked, "us_1", "ask")
    assert machines.until(asked).status == "completed"
    assert remote.count() == {"/before": 1, "/after": 3}


def test_time_that_has_passed_is_not_waited_for_again(person: Person, remote: Service):
    made = document(
        [
            node("start", "manual_trigger"),
            node("rest", "delay", {"ms": 1_500}),
            post("after", remote.base),
            node("out", "output"),
        ],
        "start.trigger -> rest.input; rest.output -> after.body; rest.elapsed -> out.value",
    )
    machines = person.machines
    first = machines.until(person.execute(person.create(made)))
    run = machines.until(person.replay(first, "after"))
    assert machines.value(run.final_output) == machines.value(first.final_output)
    assert run.completed_at - run.created_at < 1_500
    assert person.nodes(run)["rest"]["origin"] == "replayed"


def loops(base: str, **config):
    return document(
        [
            node("start", "manual_trigger"),
            node("done", "loop", inputs={"items": [1, 2]}),
            post("one", base, "one/{{ item }}", parent="done"),
            node("each", "loop", config),
            post("two", base, "two/{{ index }}", parent="each"),
            post("beside", base),
            node("out", "output"),
        ],
        "done.results -> each.items; start.trigger -> beside.body; beside.status -> out.value; each.count -> out.value",
    )


def test_a_loop_that_is_over_counts_as_a_whole(person: Person, remote: Service):
    first = person.machines.until(person.execute(person.create(loops(remote.base))))
    run = person.machines.until(person.replay(first, "beside"))
    assert run.status == "completed"
    assert remote.count() == {"/one/1": 1, "/one/2": 1, "/two/0": 1, "/two/1": 1, "/beside": 2}
    records = person.machines.records(run)
    assert not [scope for scope, _ in records if scope]  # its passes are not copied
    seen = person.nodes(run)
    assert (seen["done"]["origin"], seen["one"]["origin"], seen["one"]["status"]) == (
        "replayed",
        "replayed",
        "completed",
    )


def test_a_loop_that_is_not_over_goes_on(person: Person, remote: Service):
    """The loop failed at its second item; replaying from a node beside it does that item again, and not the first."""
    remote.fail("/items/2", times=2)
    made = document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"result": "nodes.item.status"}, inputs={"items": [1, 2, 3]}),
            post("item", remote.base, "items/{{ item }}", parent="each"),
            node("note", "transform", {"expression": "item"}, parent="each"),
            post("beside", remote.base),
            node("out", "output"),
        ],
        "item.status -> note.input; start.trigger -> beside.body; each.results -> out.value",
    )
    machines = person.machines
    first = machines.until(person.execute(person.create(made)))
    assert (first.status, remote.count()["/items/1"]) == ("failed", 1)
    failing = machines.until(person.replay(first, "beside"))
    assert (failing.status, remote.count()["/items/1"], remote.count()["/items/2"]) == ("failed", 1, 2)
    run = control.retry(machines.tenant, failing.id)  # and a replay is retried like any run
    assert machines.value(machines.until(run).final_output) == [200, 200, 200]
    assert [remote.count()[f"/items/{n}"] for n in (1, 2, 3)] == [1, 3, 1]


def test_failures_that_were_handled_are_taken_over(person: Person, remote: Service):
    remote.fail("/a")
    made = document(
        [
            node("start", "manual_trigger"),
            post("a", remote.base),
            node("why", "transform", {"expression": "inputs.input.error"}),
            post("b", remote.base),
            node("out", "output"),
        ],
        "start.trigger -> a.body; a.error -> why.input; why.output -> b.body; why.output -> out.value",
    )
    machines = person.machines
    first = machines.until(person.execute(person.create(made)))
    run = machines.until(person.replay(first, "b"))
    assert (machines.value(run.final_output), remote.count()) == ("HttpError", {"/a": 1, "/b": 2})
    assert person.nodes(run)["a"]["status"] == "failed"
    edited = machines.until(person.replay(first, "b", {"a": {"error": {"error": "Mine"}}}))
    assert machines.value(edited.final_output) == "Mine"


def test_on_a_newer_version(person: Person, remote: Service):
    made = row(remote.base)
    machines, workflow_id = person.machines, person.create(made)
    first = machines.until(person.execute(workflow_id))
    changed = row(remote.base)
    extra = [post("extra", remote.base), *(n for n in changed.nodes if n.id not in ("b", "c"))]
    better = document(
        [n if isinstance(n, dict) else n.model_dump() for n in extra] + [post("b", remote.base, "better")],
        "start.trigger -> a.body; a.status -> b.body; b.status -> extra.body; extra.status -> out.value",
    )
    assert person.change(workflow_id, better) == 2
    run = machines.until(person.replay(first, "b", version=2))
    assert (run.status, run.version, run.plan == first.plan) == ("completed", 2, False)
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 1, "/better": 1, "/extra": 1}
    assert person.origins(run) == {"a": "replayed"}  # what is pure is computed by the newer version
    with pytest.raises(Invalid) as unknown:
        person.replay(first, "extra")  # is not in the original's version
    assert unknown.value.errors[0].path == "from_node"
    with pytest.raises(Conflict) as misfit:
        person.replay(first, "extra", version=2)
    assert [(p.code, p.node_id) for p in misfit.value.errors] == [("inputs_changed", "b")]


@pytest.mark.parametrize(
    ("from_node", "edits", "code", "path"),
    [
        ("nobody", {}, "unknown_node", "from_node"),
        ("one", {}, "inside_container", "from_node"),
        ("beside", {"nobody": {}}, "unknown_node", "edits.nobody"),
        ("beside", {"beside": {"nothing": 1}}, "unknown_port", "edits.beside.nothing"),
        ("beside", {"beside": {"error": 1}}, "unknown_port", "edits.beside.error"),
        ("beside", {"one": {"status": 1}}, "inside_container", "edits.one"),
        ("beside", {"out": {"value": 1}}, "unknown_port", "edits.out.value"),
        ("beside", {"beside": {"status": float("nan")}}, "bad_value", "edits.beside.status"),
        ("beside", {"": {"": 1}}, "unknown_node", "edits."),
    ],
)
def test_nodes_and_ports_that_are_not_there(person: Person, remote: Service, from_node, edits, code, path):
    machines = person.machines
    first = machines.until(machines.start(loops(remote.base)))
    with pytest.raises(Invalid) as caught:
        person.replay(first, from_node, edits)
    assert [(p.code, p.path) for p in caught.value.errors] == [(code, path)]


def test_another_tenants_run_is_not_found(person: Person, remote: Service):
    first = person.machines.until(person.machines.start(row(remote.base)))
    stranger = Person(Machines(new_tenant(), person.machines.functions))
    with pytest.raises(NotFound):
        stranger.replay(first, "b")


def test_killed_at_any_moment_one_mark_leads_to_one_whole_run(person: Person, remote: Service, wire: Wire):
    """The journal is whole before the run is there: whoever finds the run may launch it."""
    machines = person.machines
    first = machines.until(machines.start(row(remote.base)))
    done = 0
    for at in count():
        mark = new_id("mark")
        wire.reset(Strike(at, "after"))
        try:
            run = person.replay(first, "c", mark=mark)
        except Killed:
            wire.reset()
            run = machines.until(person.replay(first, "c", mark=mark))
            assert (run.status, remote.done(run.id, "", "c")) == ("completed", 1)
            assert [remote.done(run.id, "", n) for n in ("a", "b")] == [0, 0]
        else:
            wire.reset()
            assert machines.until(run).status == "completed"
            break
        done += 1
    assert done > 4
    assert remote.count()["/a"] == 1


def test_what_was_not_launched_is_launched_by_the_sweeper(person: Person, remote: Service, monkeypatch):
    from shared.aws import states
    from shared.errors import Unavailable

    machines = person.machines
    first = machines.until(machines.start(row(remote.base)))
    with monkeypatch.context() as down:

        def refuse(*_):
            raise Unavailable("Step Functions is down")

        down.setattr(states, "start_execution", refuse)
        run = person.replay(first, "c")
    assert run.status == "pending"
    machines.store.look_again(run.id, 0)
    assert reconcile.sweep(lambda: 60.0)["launched"] == 1
    assert machines.until(run).status == "completed"
    assert remote.count() == {"/a": 1, "/b": 1, "/c": 2}
