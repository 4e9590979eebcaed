"""Every scenario that runs on moto's interpreter, on the local AWS: the same result in both granularities."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.e2e.caller import Caller, Json, statuses_of
from tests.echo_server import EchoServer
from tests.stepfunctions.scenario import Scenario
from tests.stepfunctions.scenarios import SCENARIOS

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("local-aws")]
GRANULARITIES = ("segment", "node")
Runs = dict[tuple[str, str], Future[Json]]


@pytest.fixture(scope="module")
def runs(mine: Caller, echo: EchoServer) -> Iterator[Runs]:
    """All of them, several at a time."""

    def to_its_end(scenario: Scenario, granularity: str) -> Json:
        run_id = mine.start(scenario.at(echo.base, granularity), scenario.trigger)
        for node_id, answer in scenario.answers.items():
            mine.answer(run_id, node_id, answer)
        return mine.until(run_id)

    with ThreadPoolExecutor(6) as pool:
        yield {(s.name, g): pool.submit(to_its_end, s, g) for s in SCENARIOS for g in GRANULARITIES}


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_scenario(runs: Runs, scenario: Scenario, granularity: str) -> None:
    ended = runs[scenario.name, granularity].result()
    assert (ended["status"], ended["error"] and ended["error"]["error"]) == (scenario.status, scenario.error)
    if scenario.output is not None:
        assert ended["final_output"] == scenario.output
    found = statuses_of(ended)
    assert {n: found[n] for n in scenario.statuses} == dict(scenario.statuses)
    assert "running" not in found.values()
