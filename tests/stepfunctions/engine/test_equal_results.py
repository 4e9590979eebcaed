"""Any document gives what the specification says: in both granularities, with each optimisation left out, paused and
resumed on the way, with calls that are killed or run out of time, and retried when it has failed.

`STATEWRIGHT_EXAMPLES` says how many documents, `STATEWRIGHT_SEED` which.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from stepfunctions.compiler.optimise import PASSES
from tests.stepfunctions.engine.faults import Strike
from tests.stepfunctions.engine.generated import documents
from tests.stepfunctions.engine.proof import Comparison, Course, Proof
from tests.stepfunctions.engine.reference import Reference
from tests.stepfunctions.engine.virtual import World

GROUPS = 10  # tests, so that they can run side by side
EXAMPLES = int(os.environ.get("STATEWRIGHT_EXAMPLES", "3000"))
SEED = int(os.environ.get("STATEWRIGHT_SEED", "0"))
GRANULARITIES = st.sampled_from(["segment", "node"])


@pytest.fixture
def proof(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proof]:
    made = Proof(World())
    made.install(monkeypatch)
    yield made
    made.world.close()


def courses() -> dict[str, Any]:
    """What each document is put through beside the plain run, as strategies. Requests are counted in thousandths of
    those that the plain run made.
    """
    at = st.integers(0, 999)
    pause = st.tuples(at, st.sampled_from([0.001, 0.5, 900.0]))
    return {
        "node": st.just(Course("node")),
        "paused": st.builds(Course, GRANULARITIES, pauses=st.lists(pause, min_size=1, max_size=3)),
        "killed": st.builds(Course, GRANULARITIES, strike=st.builds(Strike, at, st.sampled_from(["before", "after"]))),
        "short": st.builds(Course, GRANULARITIES, life=st.sampled_from([0.02, 0.05, 0.3, 1.0])),
        "retried": st.builds(Course, GRANULARITIES, retried=st.just(True)),
        **{f"without {name}": st.just(Course(without=frozenset({name}))) for name in PASSES},
    }


COURSES = courses()


def _check(proof: Proof, made: Any, lot: int, course: Course) -> None:
    doc, node, trigger = made
    reference = Reference(doc, node, trigger)
    reference.run()
    run = proof.run(doc, node, trigger, lot, course)
    Comparison(proof, reference, run).check()
    if course.retried and run.status == "failed":
        Comparison(proof, reference, proof.again(run, lot)).check()
    proof.table.clear()


@pytest.mark.timeout(300 + EXAMPLES // GROUPS)
@pytest.mark.parametrize("group", range(GROUPS))
def test_as_the_specification_says(proof: Proof, group: int) -> None:
    @seed(SEED * GROUPS + group)
    @settings(
        max_examples=max(1, EXAMPLES // GROUPS),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(
        made=documents(waits=True), lot=st.integers(0, 2**16), which=st.integers(0, len(COURSES) - 1), data=st.data()
    )
    def holds(made: Any, lot: int, which: int, data: Any) -> None:
        note(json.dumps(made))
        _check(proof, made, lot, Course())
        requests = proof.requests
        names = list(COURSES)
        for name in (names[(which + group) % len(names)], names[(which + group + 1) % len(names)]):
            course = data.draw(COURSES[name], label=name)
            _check(proof, made, lot, course.scaled(requests))

    holds()
