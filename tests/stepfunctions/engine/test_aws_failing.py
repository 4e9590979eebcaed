"""Every call of AWS that the runner makes fails once, before or after it had its effect; the state calls again."""

from __future__ import annotations

from itertools import count

import pytest

from functions.runner.handler import handler
from infrastructure.local.interpreter import Context
from stepfunctions import plans
from stepfunctions.engine.boundary import EngineFault
from stepfunctions.engine.errors import Busy, Stopped
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Moment, Service, Strike, Time, Wire, throttled, unavailable
from tests.stepfunctions.engine.test_kill import EFFECTS, FINAL, OUTPUT, chain, post


def as_its_state_does(bench: Bench, run, time_: Time) -> int:
    """Call, and again, as the state's Retry says; how often there was a fault."""
    faults = 0
    while faults <= 6:
        try:
            handler({"run": bench.envelope(run), "segment": 0}, Context())
            return faults
        except Stopped:
            assert bench.get(run).ended  # the run was closed, and only the answer to that was lost
            return faults
        except Busy:
            time_.pass_lease()
        except EngineFault:
            faults += 1
    raise AssertionError("given up")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("error", [throttled, unavailable])
def test_the_result_is_right(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment, error):
    made = chain(remote.base)
    operations = set()
    for at in count():
        run = bench.start(made, {"text": "x" * 20_000})
        plans._cache.clear()  # so that reading the plan from S3 fails, too
        wire.reset(Strike(at, moment, error))
        as_its_state_does(bench, run, time_)
        if len(wire.made) <= at:
            break
        operations.add(wire.made[at])
        assert (bench.get(run).status, bench.output(run)) == ("completed", OUTPUT), (at, wire.made[at])
        for scope, name in EFFECTS:
            assert 1 <= remote.done(run.id, scope, name) <= 2, (at, wire.made[at])
        assert all(r.status in FINAL for r in bench.records(run).values())
    assert operations == {"GetObject", "PutObject", "PutItem", "UpdateItem", "Query", "BatchWriteItem"}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_large_values_survive_s3_failing(bench: Bench, remote: Service, wire: Wire, time_: Time, moment: Moment):
    remote.bodies["/big"] = b'"' + b"x" * 50_000 + b'"'
    made = document(
        [
            node("start", "manual_trigger"),
            post("big", remote.base),
            node("more", "transform", {"expression": "nodes.big.response & trigger"}),
            node("out", "output"),
        ],
        "start.trigger -> big.body; more.output -> out.value",
    )
    seen = set()
    for at in count():
        run = bench.start(made, "y" * 50_000)
        wire.reset(Strike(at, moment, unavailable))
        as_its_state_does(bench, run, time_)
        if len(wire.made) <= at:
            break
        seen.add(wire.made[at])
        assert bench.output(run) == "x" * 50_000 + "y" * 50_000, (at, wire.made[at])
        assert remote.done(run.id, "", "big") <= 2
    assert {"GetObject", "PutObject"} <= seen


def test_a_write_that_botocore_repeats_is_one_claim(bench: Bench, remote: Service, wire: Wire, time_: Time):
    """The table took the claim, the answer was lost, botocore asks again and is told that an item is there."""
    made = document([node("start", "manual_trigger"), post("pay", remote.base, idempotent=False)])
    run = bench.start(made)
    wire.reset()
    wire.repeat = "PutItem"
    bench.call(run)
    assert (bench.get(run).status, remote.done(run.id, "", "pay")) == ("completed", 1)
    assert bench.records(run)["", "pay"].attempts == 1
