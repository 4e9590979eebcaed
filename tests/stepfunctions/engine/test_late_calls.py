"""What belongs to an execution that is over comes late: the run's next attempt is not its to end, or to be told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from shared.aws import states
from shared.clock import now_ms
from shared.errors import RateLimited
from shared.ids import ulid
from shared.runs.model import ChildLink, Run
from shared.tasks.service import TaskService
from shared.tenancy import Principal
from shared.usage import service as usage
from stepfunctions import calls, control, start
from stepfunctions import publish as publishing
from stepfunctions.engine.errors import NodeFailed, Stopped
from stepfunctions.reconcile import sweep
from tests.shared.tasks.asking import a_run, a_task, asked
from tests.stepfunctions.compiler.documents import document, node
from tests.stepfunctions.engine.conftest import Bench
from tests.stepfunctions.engine.faults import Service
from tests.stepfunctions.engine.sub_workflows import DOUBLE
from tests.stepfunctions.engine.test_kill import post

EVENT = {"kind": "event", "id": None, "user": None}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that Step Functions was given."""
    tokens: list[str] = []
    monkeypatch.setattr(states, "send_success", tokens.append)
    return tokens


def test_the_sweeper_that_looked_before_a_hand_over(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    run = bench.start(DOUBLE, 4)
    bench.store.look_again(run.id, now_ms() - 1)

    def described(machine: str, name: str) -> dict[str, Any]:
        bench.store.hand_over(bench.get(run))
        return {"status": "FAILED", "error": "Continued"}

    monkeypatch.setattr(states, "describe_execution", described)
    assert sweep(lambda: 60.0) == {"closed_already": 1}
    assert (bench.get(run).status, bench.get(run).attempt) == ("pending", 1)


def test_a_node_that_fails_after_its_run_was_retried(bench: Bench, remote: Service):
    gate = remote.hold("/a")
    remote.fail("/a")
    run = bench.start(
        document([node("start", "manual_trigger"), post("a", remote.base)], "start.trigger -> a.body"),
    )
    raised: list[BaseException] = []

    def late() -> None:
        try:
            bench.call(run)
        except NodeFailed as failed:
            raised.append(failed)
        finally:
            calls.close()

    call = threading.Thread(target=late)
    call.start()
    assert gate.arrived.wait(20)
    bench.store.close(run.id, "failed")
    control.retry(bench.tenant, run.id)
    gate.open.set()
    call.join(20)
    assert len(raised) == 1
    assert (bench.get(run).status, bench.get(run).attempt) == ("pending", 1)


def test_a_call_of_an_execution_that_has_handed_over(bench: Bench):
    asking = document([node("start", "manual_trigger"), node("ask", "human_in_the_loop")], "start.trigger -> ask.input")
    run = bench.start(asking)
    bench.store.hand_over(run)
    bench.store.rest(run.id, "human_input")
    before = bench.get(run)
    event = {"run": {**bench.envelope(run), "attempt": 0}, "segment": 0}
    with pytest.raises(Stopped):
        calls.segment_call(event, owner=ulid(), remaining=lambda: 300.0)
    assert bench.get(run) == before


def test_a_call_that_leaves_after_the_run_has_gone_on_in_another_execution(bench: Bench):
    run = bench.start(DOUBLE, 4)
    bench.store.begin(run.id, "segment 0", 0)
    bench.store.hand_over(bench.get(run))
    bench.store.begin(run.id, "segment 0", 1)
    assert bench.store.leave(run.id, "segment 0", 0) is None
    assert bench.get(run).working == {"segment 0"}


def test_a_run_that_is_refused_while_another_delivery_starts_it(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    published = publishing.publish(bench.tenant, DOUBLE, 1)

    def deliver() -> Run:
        return start.start(
            bench.tenant, published, trigger_node=None, trigger_data=4, triggered_by=EVENT, execution_id="ex_1"
        )

    reserve: Callable[..., None] = usage.reserve

    def full(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(usage, "reserve", reserve)
        assert deliver().status == "pending"
        raise RateLimited("over the quota", retry_after=1, code="quota_exceeded")

    monkeypatch.setattr(usage, "reserve", full)
    assert deliver().status == "pending"
    assert bench.store.get("ex_1").status == "pending"


def test_a_refused_run_is_looked_at_by_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    published = publishing.publish(bench.tenant, DOUBLE, 1)
    refusal = {"node_id": None, "error": "QuotaExceeded", "message": "over"}
    run = start.refuse(
        bench.tenant,
        published,
        trigger_node=None,
        trigger_data=4,
        triggered_by=EVENT,
        execution_id="ex_1",
        chain=0,
        error=refusal,
    )
    assert (run.status, run.error, bench.get(run)) == ("failed", refusal, run)
    monkeypatch.setattr("stepfunctions.reconcile.now_ms", lambda: now_ms() + 86_400_000)
    assert sweep(lambda: 60.0) == {}


def test_a_tokens_late_call_does_not_replace_the_next_attempts_token(bench: Bench, sent: list[str]):
    tasks, run = TaskService(bench.tenant), a_run(bench.tenant)
    task_id = a_task(bench.tenant, run, token="first")
    assert tasks.desk(run.id, 1).open(task_id, "ask", asked(), "new")
    assert not tasks.desk(run.id, 0).open(task_id, "ask", asked(), "late")
    assert tasks.desk(run.id, 1).open(task_id, "ask", asked(), "newer")
    tasks.complete(Principal(bench.tenant, "api_key", "k", "admin"), task_id, "approve")
    assert sent == ["newer"]


def test_a_late_call_that_parks(bench: Bench, sent: list[str]):
    run = bench.start(DOUBLE, 4)
    control.pause(bench.tenant, run.id)
    control.park(bench.tenant, run.id, 1, "segment 0", "new")
    control.park(bench.tenant, run.id, 0, "segment 0", "late")
    control.resume(bench.tenant, run.id)
    assert sent == ["new"]


def test_a_late_call_that_waits_for_a_child(bench: Bench):
    run = bench.start(DOUBLE, 4)
    bench.store.link(run.id, ChildLink("ex_child", 1, b"new", 1, asked_in=1))
    bench.store.link(run.id, ChildLink("ex_child", 1, b"late", 2, asked_in=0))
    bench.store.link(run.id, ChildLink("ex_child", 0, b"later", 3, asked_in=2))
    assert [link.token for link in bench.store.waited_for(run.id)] == [b"new"]
