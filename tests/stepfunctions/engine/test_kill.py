"""A call is killed at every boundary there is: between any two calls of AWS that it makes, and before it returns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from shared.runs.model import Run
from stepfunctions.engine.errors import NodeFailed
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Killed, Moment, Service, Strike, Time, Wire

FINAL = ("completed", "failed", "skipped")


def post(node_id: str, base: str, path: str | None = None, **fields):
    return node(node_id, "http_request", {"method": "POST"}, inputs={"url": f"{base}/{path or node_id}"}, **fields)


def chain(base: str, **fields):
    """Two side effects in a row with pure nodes between and behind, a third beside them, and a loop over two more."""
    return document(
        [
            node("start", "manual_trigger"),
            post("a", base, **fields),
            node("between", "transform", {"expression": "nodes.a.status + 1"}),
            post("b", base, **fields),
            post("beside", base, **fields),
            node("each", "loop", {"result": "nodes.one.status + item"}, inputs={"items": [1, 2]}),
            post("one", base, "one/{{ item }}", parent="each", **fields),
            node("all", "merge"),
            node("out", "output"),
        ],
        """start.trigger -> a.body; a.status -> between.input; between.output -> b.body; b.status -> all.inputs
        beside.status -> all.inputs; each.results -> all.inputs; between.output -> all.inputs
        all.output -> out.value""",
    )


OUTPUT = [200, 200, [201, 202], 201]
EFFECTS = (("", "a"), ("", "b"), ("", "beside"), ("each/0", "one"), ("each/1", "one"))


def killed_everywhere(bench: Bench, wire: Wire, made, moment: Moment, trigger: object = None) -> Iterator[Run]:
    """A run for each boundary, killed there in its only segment."""
    for at in count():
        run = bench.start(made, trigger)
        wire.reset(Strike(at, moment))
        try:
            bench.call(run)
        except Killed:
            wire.reset()
            yield run
        else:
            assert at > 5
            return


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_recorded_is_done_once(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    for at, run in enumerate(killed_everywhere(bench, wire, chain(remote.base), moment)):
        recorded = {key for key, r in bench.records(run).items() if r.status in FINAL}
        if not bench.get(run).ended:  # else it was killed between its last write and its return
            bench.through(run, time_)
        assert (bench.get(run).status, bench.output(run)) == ("completed", OUTPUT), at
        for scope, name in EFFECTS:
            done = remote.done(run.id, scope, name)
            # What was in flight may have arrived, and is done again; what was recorded is not.
            assert done == 1 if (scope, name) in recorded else 1 <= done <= 2, (at, scope, name)
        assert set(bench.statuses(run).values()) == {"completed"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_not_idempotent_and_in_flight(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    made = document(
        [node("start", "manual_trigger"), post("pay", remote.base, idempotent=False), node("out", "output")],
        "start.trigger -> pay.body; pay.status -> out.value",
    )
    outcomes = set()
    for run in killed_everywhere(bench, wire, made, moment):
        before = bench.records(run).get(("", "pay"))
        if before is not None and before.status == "running":
            with pytest.raises(NodeFailed):
                bench.through(run, time_)
            error = bench.get(run).error
            assert error is not None
            assert (error["node_id"], error["error"], error["attempts"]) == ("pay", "Interrupted", 1)
            assert remote.done(run.id, "", "pay") <= 1
        else:
            if not bench.get(run).ended:
                bench.through(run, time_)
            assert remote.done(run.id, "", "pay") == 1
        outcomes.add(bench.get(run).status)
    assert outcomes == {"failed", "completed"}
