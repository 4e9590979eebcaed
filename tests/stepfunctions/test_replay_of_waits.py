"""Replay, pins and another version where a run waits: for a moment, a person, another run, or inside a loop."""

from __future__ import annotations

import pytest

from shared.errors import Conflict, NotFound
from shared.runs.model import Run
from shared.workflows.model import Document
from stepfunctions import control, newer
from stepfunctions.ending import wind_up
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.test_kill import post
from tests.stepfunctions.engine.watch import answer, comes_to, wait_for
from tests.stepfunctions.people import Person


@pytest.fixture
def person(machines: Machines) -> Person:
    return Person(machines)


def resting(base: str, path: str = "item/{{ item }}"):
    """A loop whose passes rest, and a node beside it."""
    return document(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {"result": "nodes.plus.output"}, inputs={"items": [1, 2]}),
            post("first", base, "first/{{ item }}", parent="each"),
            node("rest", "delay", {"ms": 1_100}, parent="each"),
            post("item", base, path, parent="each"),
            node("plus", "transform", {"expression": "nodes.item.status + 1"}, parent="each"),
            post("beside", base),
            node("out", "output"),
        ],
        """first.status -> rest.input; rest.output -> item.body; item.status -> plus.input; start.trigger -> beside.body
        each.results -> out.value""",
    )


def test_such_a_loop_that_is_over_counts_as_a_whole(person: Person, remote: Service):
    machines = person.machines
    first = machines.until(person.execute(person.create(resting(remote.base))))
    run = machines.until(person.replay(first, "beside"))
    assert machines.value(run.final_output) == [201, 201]
    assert (remote.count()["/first/1"], remote.count()["/item/2"], remote.count()["/beside"]) == (1, 1, 2)
    seen = person.nodes(run)
    assert (seen["each"]["origin"], seen["item"]["status"], seen["item"]["origin"]) == (
        "replayed",
        "completed",
        "replayed",
    )


def test_such_a_loop_that_is_not_over_is_run_anew(person: Person, remote: Service):
    """How far its passes have come belongs to the state machine's execution, and a replay has one of its own."""
    machines = person.machines
    remote.fail("/item/2")
    first = machines.until(person.execute(person.create(resting(remote.base))))
    assert first.status == "failed"
    run = machines.until(person.replay(first, "beside"))
    assert machines.value(run.final_output) == [201, 201]
    assert [remote.count()[f"/{p}/{n}"] for p in ("first", "item") for n in (1, 2)] == [2, 2, 2, 2]


def test_such_a_loop_is_pinned(person: Person, remote: Service):
    machines = person.machines
    run = person.execute(person.create(resting(remote.base)), pinned={"each": {"results": [7]}})
    assert machines.value(machines.until(run).final_output) == [7]
    assert remote.count() == {"/beside": 1}


def test_such_a_loop_goes_on_under_another_version(person: Person, remote: Service):
    machines = person.machines
    remote.fail("/item/1")
    workflow_id = person.create(resting(remote.base))
    run = machines.until(person.execute(workflow_id))
    assert (run.status, remote.count()["/first/1"]) == ("failed", 1)
    version = person.change(workflow_id, resting(remote.base, "mended/{{ item }}"))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.status, machines.value(ended.final_output)) == ("completed", [201, 201])
    assert [remote.count()[f"/{p}/{n}"] for p in ("first", "item", "mended") for n in (1, 2)] == [1, 1, 1, 0, 1, 1]


def whole(machines: Machines, run: Run) -> Run:
    """The run when it has ended, and its child before it: that is told as by the event of the child's execution."""

    def child() -> Run | None:
        record = machines.records(run).get(("", "call"))
        if record is None or record.child is None:
            return None
        try:
            found = machines.store.get(record.child)
        except NotFound:
            return None
        return found if found.ended else None

    wind_up(machines.tenant, wait_for(child, "the child has ended"))
    return machines.until(run)


def test_passes_that_are_over_are_computed_again_from_what_they_recorded(person: Person, remote: Service):
    machines = person.machines
    remote.fail("/item/2")
    workflow_id = person.create(resting(remote.base))
    run = machines.until(person.execute(workflow_id))
    assert (run.status, remote.count()["/item/1"]) == ("failed", 1)
    changed = resting(remote.base).model_dump()
    next(n for n in changed["nodes"] if n["id"] == "plus")["config"]["expression"] = "nodes.item.status + 7"
    version = person.change(workflow_id, Document.model_validate(changed))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.status, machines.value(ended.final_output)) == ("completed", [207, 207])
    assert [remote.count()[f"/item/{n}"] for n in (1, 2)] == [1, 2]


def distributed(base: str, expression: str, **config: object):
    return document(
        [
            node("start", "manual_trigger"),
            node(
                "each",
                "loop",
                {"mode": "distributed", "max_concurrency": 2, "result": "nodes.plus.output", **config},
                inputs={"items": list(range(8))},
            ),
            post("item", base, "item/{{ item }}", parent="each"),
            node("plus", "transform", {"expression": expression}, parent="each"),
            node("out", "output"),
        ],
        "item.status -> plus.input; each.results -> out.value",
    )


def test_of_a_distributed_loop_nothing_may_change_once_a_lot_is_begun(person: Person, remote: Service):
    """A lot keeps the results of its items together, as the version computed them that worked through it."""
    machines = person.machines
    remote.fail("/item/7")
    workflow_id = person.create(distributed(remote.base, "item"))
    run = machines.until(person.execute(workflow_id))
    assert run.status == "failed"
    for changed in (distributed(remote.base, "item + 1"), distributed(remote.base, "item", max_concurrency=3)):
        version = person.change(workflow_id, changed)
        with pytest.raises(Conflict) as caught:
            newer.retry(machines.tenant, run.id, version)
        assert {p.node_id for p in caught.value.errors} == {"each"}
    same = distributed(remote.base, "item").model_copy(update={"description": "the same, and another version"})
    version = person.change(workflow_id, same)
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.version, machines.value(ended.final_output)) == (version, list(range(8)))
    assert remote.count()["/item/7"] == 2


def test_a_child_that_has_ended_is_not_run_again(person: Person, remote: Service):
    machines = person.machines
    child = person.create(
        document(
            [node("start", "manual_trigger"), post("in_child", remote.base), node("out", "output")],
            "start.trigger -> in_child.body; in_child.status -> out.value",
        )
    )

    def calling(path: str, **config: object):
        return document(
            [
                node("start", "manual_trigger"),
                node("call", "sub_workflow", {"workflow_id": child, **config}),
                post("after", remote.base, path),
                node("out", "output"),
            ],
            "start.trigger -> call.input; call.output -> after.body; call.output -> out.value",
        )

    remote.fail("/after")
    workflow_id = person.create(calling("after"))
    first = whole(machines, person.execute(workflow_id))
    assert (first.status, remote.count()) == ("failed", {"/in_child": 1, "/after": 1})
    run = machines.until(person.replay(first, "after"))
    assert (machines.value(run.final_output), remote.count()) == (200, {"/in_child": 1, "/after": 2})
    version = person.change(workflow_id, calling("mended", version=1))
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, first.id, version)
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("config_changed", "call")]
    version = person.change(workflow_id, calling("mended"))
    assert machines.until(newer.retry(machines.tenant, first.id, version)).status == "completed"
    assert remote.count()["/in_child"] == 1


def test_a_failed_child_is_retried_unless_another_is_wanted(person: Person, remote: Service):
    machines = person.machines

    def called(path: str):
        return document(
            [node("start", "manual_trigger"), post("in_child", remote.base, path), node("out", "output")],
            "start.trigger -> in_child.body; in_child.status -> out.value",
        )

    child = person.create(called("in_child"))
    other = person.create(called("other"))

    def calling(workflow_id: str):
        return document(
            [
                node("start", "manual_trigger"),
                node("call", "sub_workflow", {"workflow_id": workflow_id}),
                node("out", "output"),
            ],
            "start.trigger -> call.input; call.output -> out.value",
        )

    remote.fail("/in_child")
    workflow_id = person.create(calling(child))
    run = whole(machines, person.execute(workflow_id))
    assert run.status == "failed"
    version = person.change(workflow_id, calling(other))
    ended = whole(machines, newer.retry(machines.tenant, run.id, version))
    assert (ended.status, remote.count()) == ("completed", {"/in_child": 1, "/other": 1})


def test_an_answer_stands_for_the_question_that_was_asked(person: Person, remote: Service):
    def asking(title: str, path: str) -> Document:
        return document(
            [
                node("start", "manual_trigger"),
                node("ask", "human_in_the_loop", {"title": title}),
                post("after", remote.base, path),
                node("out", "output"),
            ],
            "start.trigger -> ask.input; ask.approved -> after.body; after.status -> out.value",
        )

    machines = person.machines
    remote.fail("/after")
    workflow_id = person.create(asking("May I?", "after"))
    run = person.execute(workflow_id)
    answer(machines, run, "us_1", "ask")
    assert machines.until(run).status == "failed"
    version = person.change(workflow_id, asking("May I really?", "after"))
    with pytest.raises(Conflict) as caught:
        newer.retry(machines.tenant, run.id, version)
    assert [(p.code, p.node_id) for p in caught.value.errors] == [("config_changed", "ask")]
    version = person.change(workflow_id, asking("May I?", "better"))
    assert machines.until(newer.retry(machines.tenant, run.id, version)).status == "completed"
    assert remote.count() == {"/after": 1, "/better": 1}


def test_a_question_without_an_answer_is_asked_anew(person: Person, remote: Service):
    """The run was cancelled, and with it its task; whatever the question is now, it is asked."""

    def asking(title: str) -> Document:
        return document(
            [
                node("start", "manual_trigger"),
                node("ask", "human_in_the_loop", {"title": title}),
                node("out", "output"),
            ],
            "start.trigger -> ask.input; ask.response -> out.value",
        )

    machines = person.machines
    workflow_id = person.create(asking("May I?"))
    run = person.execute(workflow_id)
    comes_to(machines, run, "paused", "human_input")
    control.cancel(machines.tenant, run.id)
    version = person.change(workflow_id, asking("May I really?"))
    newer.retry(machines.tenant, run.id, version)
    comes_to(machines, run, "paused", "human_input")
    assert machines.open_tasks(run)["ask"].title == "May I really?"
    answer(machines, run, "us_1", "ask")
    assert machines.until(run).status == "completed"


def test_a_timer_is_armed_anew_if_it_has_changed(person: Person):
    def resting(ms: int) -> Document:
        return document(
            [node("start", "manual_trigger"), node("rest", "delay", {"ms": ms}), node("out", "output")],
            "start.trigger -> rest.input; rest.output -> out.value",
        )

    machines = person.machines
    workflow_id = person.create(resting(86_400_000))
    run = person.execute(workflow_id, 7)
    wait_for(lambda: machines.statuses(run).get("rest") == "paused", "the timer is armed")
    control.cancel(machines.tenant, run.id)
    version = person.change(workflow_id, resting(1_100))
    ended = machines.until(newer.retry(machines.tenant, run.id, version))
    assert (ended.status, machines.value(ended.final_output)) == ("completed", 7)
