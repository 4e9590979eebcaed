from __future__ import annotations

import time

import pytest

from shared.tasks.service import TaskService
from shared.tenancy import Principal
from tests.echo_server import EchoServer
from tests.stepfunctions.conftest import Machines
from tests.stepfunctions.scenario import Scenario
from tests.stepfunctions.scenarios import SCENARIOS


@pytest.mark.parametrize("granularity", ["segment", "node"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_scenario(scenario: Scenario, granularity: str, machines: Machines, http: EchoServer, answering):
    run = machines.start(scenario.at(http.base, granularity), scenario.trigger)
    for node_id, answer in scenario.answers.items():
        answering(run, node_id, answer)
    ended = machines.until(run)
    assert (ended.status, ended.error and ended.error["error"]) == (scenario.status, scenario.error)
    if scenario.output is not None:
        assert machines.value(ended.final_output) == scenario.output
    found = machines.statuses(run)
    assert {n: found[n] for n in scenario.statuses} == dict(scenario.statuses)
    assert "running" not in found.values()


@pytest.fixture
def answering(machines: Machines, owner):
    """Answers a question as the tenant's owner, once it is asked."""
    somebody = Principal(machines.tenant, "user", owner.user.id, "owner", user_id=owner.user.id)

    def answer(run, node_id, given):
        deadline = time.monotonic() + 20
        while node_id not in (tasks := machines.open_tasks(run)):
            assert time.monotonic() < deadline, machines.statuses(run)
            time.sleep(0.02)
        TaskService(machines.tenant).complete(somebody, tasks[node_id].id, **given)

    return answer
