"""Whoever dies wherever: the person's message is there once, its answer too, and the end action is done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from shared.aws.dynamo import Dynamo
from shared.clock import told_by
from shared.errors import Conflict, Unavailable
from shared.guided import service
from shared.guided.documents import Template
from shared.guided.model import Instance
from shared.guided.store import InstanceStore
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Principal, Tenant
from shared.usage import service as usage
from shared.usage.model import Quotas, Terms
from shared.usage.store import UsageStore
from stepfunctions import fire, guided, guided_progress
from stepfunctions import start as starting
from tests import triggered
from tests.stepfunctions.engine.faults import Killed, Moment, Strike, Wire, throttled
from tests.stepfunctions.guided_talk import says, template

MANUAL = {"id": "start", "type": "manual_trigger"}
STATE = {"name": "Ada", "amount": 120, "damaged": False, "email": "ada@example.org"}


@dataclass
class Stage:
    """A conversation whose runs are ended by the test, and an AWS that can be made to fail."""

    who: Principal
    workflow: str
    wire: Wire

    @property
    def tenant(self) -> Tenant:
        return self.who.tenant

    @property
    def store(self) -> InstanceStore:
        return InstanceStore(TenantTable(self.tenant))

    def begin(self) -> Instance:
        return guided.begin(self.who, "claim", None, STATE, None)

    def finish(self, execution_id: str, output: Any) -> None:
        stored = starting.Value(output).store(starting.payload_objects(self.tenant))
        assert RunStore(TenantTable(self.tenant)).close(execution_id, "completed", final_output=stored)

    def answer_question(self, instance: Instance) -> None:
        """The model's run ends; there is one, whoever was killed."""
        pending = self.store.get(instance.id).pending
        assert pending is not None
        occasion = guided_progress.digest("guided", instance.id, str(pending.number), str(pending.tries))
        self.finish(fire.id_for(self.tenant, occasion), says("Done.", agrees="yes"))

    def end_action(self, instance: Instance) -> None:
        action = self.store.get(instance.id).action
        assert action is not None
        self.finish(action.execution_id, {"refund": 7})

    def actions(self) -> list[str]:
        """The workflow's runs."""
        page = RunStore(TenantTable(self.tenant)).page(self.workflow, start=None, limit=100)
        return [item["id"] for item in page.items]

    def counted(self) -> dict[str, int]:
        counts = self.store.counts("claim", *service.ALWAYS)
        return {name: counts[name] for name in ("started", "active", "completed", "failed")}

    def survive(self, act: Callable[[], Any], strike: Strike | None) -> bool:
        """Do it, and be struck; then a new process does it again. Whether there was anything left to strike."""
        self.wire.reset(strike)
        try:
            act()
        except (Killed, Unavailable):
            pass
        except Exception:
            if strike is None or strike.error is None:
                raise
        struck = strike is not None and len(self.wire.made) > strike.at
        self.wire.reset()
        act()
        return struck


@pytest.fixture
def stage(api_client, tenant, owner, wire):
    workflow = triggered.create(api_client, triggered.document(MANUAL, name="Refund"))
    triggered.publish(api_client, workflow)
    who = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    document = template(end_action_type="workflow", end_action_target=workflow)
    service.create_template(who, Template.model_validate(document))
    return Stage(who, workflow, wire)


def say(stage: Stage, instance: Instance) -> None:
    guided.say(stage.who, instance.id, "yes", (), 0, "key")


def walk(stage: Stage, phase: int, strike: Strike) -> bool:
    """From the summary to the end, struck in one of the phases; whether there was anything left to strike."""
    before = len(stage.actions())
    done_before = stage.counted()["completed"]
    instance = stage.begin()
    assert instance.phase == "confirming"
    acts: list[Callable[[], Any]] = [
        lambda: say(stage, instance),
        lambda: guided.read(stage.who, instance.id, 0),
        lambda: guided.read(stage.who, instance.id, 0),
    ]
    after: list[Callable[[Instance], None]] = [stage.answer_question, stage.end_action, lambda _instance: None]
    struck = False
    for number, (act, ends) in enumerate(zip(acts, after, strict=True)):
        struck |= stage.survive(act, strike if number == phase else None)
        ends(instance)
    found = stage.store.get(instance.id)
    assert (found.status, found.result) == ("completed", {"refund": 7})
    assert len(stage.actions()) == before + 1
    talk = stage.store.messages(instance.id, None, 100, newest_first=False).items
    assert [(s.role, s.content) for s in talk] == [("user", "yes"), ("assistant", "Done.")]
    counted = stage.counted()
    assert (counted["completed"], counted["active"], counted["failed"]) == (done_before + 1, 0, 0)
    assert stage.store.active_in(instance.conversation_id) is None
    return struck


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("phase", [0, 1, 2])
def test_killed_at_every_call(stage: Stage, phase: int, moment: Moment) -> None:
    at = 0
    while walk(stage, phase, Strike(at, moment)):
        at += 1
    assert at >= 3


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_throttled_at_every_third_call(stage: Stage, phase: int) -> None:
    at = 0
    while walk(stage, phase, Strike(at, "before", throttled)):
        at += 3
    assert at >= 3


def test_beginning_is_once_for_one_request(stage: Stage) -> None:
    at = 0
    for moment in ("before", "after"):
        at, struck = 0, True
        while struck:
            mark = f"{at}{moment}".rjust(32, "0")
            made: list[Instance] = []

            def act(mark: str = mark, made: list[Instance] = made) -> None:
                made.append(guided.begin(stage.who, "claim", None, STATE, mark))

            struck = stage.survive(act, Strike(at, moment))
            assert len({i.id for i in made}) == 1
            assert stage.store.active_in(f"cv_{mark}") == made[0].id
            at += 1
    listed = guided.listing(
        stage.who, None, 200, status="active", conversation_id=None, user_id=None, template=None
    ).items
    assert len({i.conversation_id for i in listed}) == len(listed) == stage.counted()["active"]


def test_the_sweeper_starts_what_was_to_begin(stage: Stage) -> None:
    """The process dies between the decision and the run: the sweeper starts it, and starts it once."""
    instance = stage.begin()
    say(stage, instance)
    stage.answer_question(instance)
    guided_progress.brought_on(stage.tenant, instance.id, 0, asks=False, starts=False)
    found = stage.store.get(instance.id)
    assert (found.phase, stage.actions()) == ("ending", [])
    with pytest.raises(Conflict, match="begun"):
        guided.cancel(stage.who, instance.id, None)
    for _ in range(3):
        assert guided_progress.look_at(stage.tenant, instance.id) == "goes_on"
    assert found.action is not None
    assert stage.actions() == [found.action.execution_id]
    stage.end_action(instance)
    guided_progress.ended(stage.tenant, found.action.execution_id)
    guided_progress.ended(stage.tenant, found.action.execution_id)
    assert stage.store.get(instance.id).status == "completed"
    assert stage.counted() == {"started": 1, "active": 0, "completed": 1, "failed": 0}
    assert guided_progress.look_at(stage.tenant, instance.id) == "closed_already"
    assert guided_progress.look_at(stage.tenant, "gi_nothing") == "gone"


def test_an_action_that_outlasts_the_conversation_is_not_failed_by_a_busy_table(stage: Stage, monkeypatch) -> None:
    """It would be tried again, and done twice."""
    instance = stage.begin()
    say(stage, instance)
    stage.answer_question(instance)
    guided.read(stage.who, instance.id, 0)
    (execution_id,) = stage.actions()
    late, get = stage.store.get(instance.id).expires_at + 1, Dynamo.get

    def busy(self, pk, sk, **arguments):
        if pk.endswith(execution_id):
            raise Unavailable("busy")
        return get(self, pk, sk, **arguments)

    with told_by(lambda: late):
        with monkeypatch.context() as patch:
            patch.setattr(Dynamo, "get", busy)
            assert guided_progress.look_at(stage.tenant, instance.id) == "goes_on"
        assert stage.store.get(instance.id).status == "active"
        stage.end_action(instance)
        guided_progress.look_at(stage.tenant, instance.id)
    assert (stage.store.get(instance.id).status, stage.actions()) == ("completed", [execution_id])


def test_a_message_that_no_run_may_answer_is_told_so_and_the_conversation_can_be_read(stage: Stage) -> None:
    instance = stage.begin()
    UsageStore(TenantTable(stage.tenant)).set_terms(Terms(Quotas(runs_per_day=0)))
    usage.forget()
    _, turn = guided.say(stage.who, instance.id, "yes", (), 0, "key")
    assert turn.answer is not None
    assert turn.answer.error is not None
    assert turn.answer.error["error"] == "quota_exceeded"
    assert guided.read(stage.who, instance.id, 0).pending is None
