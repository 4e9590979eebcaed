"""Quorum, self-approval, due dates, escalation, and people being told; twenty at once, and those who die in between."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from shared.aws import states
from shared.clock import now_ms
from shared.errors import AppError, Conflict, Forbidden, Invalid
from shared.members import service as members
from shared.members.model import Member
from shared.members.store import MemberStore
from shared.notifications import service as notifications
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal, Tenant
from tests.shared.tasks.asking import FORM, TOKEN, a_run, a_task


def a_member(user_id: str) -> Member:
    return Member(user_id, f"{user_id}@first.example", "operator", f"sub-{user_id}", 1)


@dataclass
class People:
    """Operators of a tenant, made when they are asked for."""

    tenant: Tenant
    boss: Principal
    known: dict[str, Principal] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Principal:
        if name not in self.known:
            made = a_member(f"us_{name}")
            MemberStore(TenantTable(self.tenant)).add_member(made)
            self.known[name] = Principal(self.tenant, "user", made.id, "operator", user_id=made.id)
        return self.known[name]

    def ids(self, *names: str) -> tuple[str, ...]:
        return tuple(self[name].id for name in names)

    def told(self, name: str) -> list[str]:
        """The kinds of what somebody was told, oldest first."""
        return [n.kind for n in reversed(notifications.listing(self[name], None, 50, unread=False).items)]


@pytest.fixture
def people(tenant, owner) -> People:
    boss = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)
    return People(tenant, boss, {"boss": boss})


@pytest.fixture
def service(tenant) -> TaskService:
    return TaskService(tenant)


@pytest.fixture
def sent(monkeypatch) -> list[str]:
    """The tokens that Step Functions was given: the world's edge here."""
    tokens: list[str] = []
    monkeypatch.setattr(states, "send_success", lambda token: bool(tokens.append(token)) or True)
    return tokens


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = now_ms()
        for module in ("follow", "store", "answering", "service", "notices"):
            patch.setattr(f"shared.tasks.{module}.now_ms", lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def code(refused) -> str:
    return refused.value.code


# --- quorum ----------------------------------------------------------------------------------------------------------


def test_the_run_goes_on_when_enough_have_approved(service, tenant, people, sent):
    three = people.ids("ada", "bob", "eve")
    task_id = a_task(tenant, form=FORM, quorum=2, assignees=three)
    first = service.complete(people["ada"], task_id, "approve", {"reason": "it is broken"}, "yes")
    assert (first.status, first.approvals, first.rejections, sent) == ("open", 1, 0, [])
    with pytest.raises(Conflict) as refused:
        service.complete(people["ada"], task_id, "reject", {"reason": "changed my mind"})
    assert code(refused) == "already_voted"
    done = service.complete(people["bob"], task_id, "approve", {"reason": "I saw it too"})
    assert (done.status, done.decision, done.completed_by, sent) == ("completed", "approved", three[1], [TOKEN])
    given = service.desk(done.execution_id).settle(task_id)
    assert given["data"] == {"reason": "I saw it too"}
    told = [(v["by"], v["decision"], v["comment"], v["data"]["reason"]) for v in given["votes"]]
    assert told == [(three[0], "approved", "yes", "it is broken"), (three[1], "approved", None, "I saw it too")]
    assert given["votes"][1]["at"] == given["completed_at"]
    with pytest.raises(Conflict) as refused:
        service.complete(people["eve"], task_id, "approve", {"reason": "me too"})
    assert code(refused) == "already_answered"


def test_it_is_rejected_when_approval_can_no_longer_be_reached(service, tenant, people, sent):
    task_id = a_task(tenant, quorum=2, assignees=people.ids("ada", "bob", "eve"))
    assert service.complete(people["ada"], task_id, "reject").status == "open"
    done = service.complete(people["eve"], task_id, "reject", None, "no")
    assert (done.status, done.decision, done.approvals, done.rejections) == ("completed", "rejected", 0, 2)
    assert sent == [TOKEN]


def test_people_who_get_the_type_later_count(service, tenant, people, sent):
    kind = members.create_user_type(people.boss, "Board", "")
    ada, bob = people["ada"], people["bob"]
    members.change_user(people.boss, ada.id, None, (kind.id,), None)
    task_id = a_task(tenant, quorum=2, assignees=("board",))
    ada = Principal(tenant, "user", ada.id, "operator", user_id=ada.id, user_types=(kind.id,))
    assert service.complete(ada, task_id, "approve").status == "open"  # one person: nobody is against it
    with pytest.raises(Forbidden):
        service.complete(bob, task_id, "approve")
    members.change_user(people.boss, bob.id, None, (kind.id,), None)
    bob = Principal(tenant, "user", bob.id, "operator", user_id=bob.id, user_types=(kind.id,))
    assert service.complete(bob, task_id, "approve").decision == "approved"


def test_without_assignees_everybody_who_answers_tasks_is_asked(service, tenant, people, sent):
    people["ada"], people["bob"]  # with the owner three
    task_id = a_task(tenant, quorum=3)
    assert service.complete(people["ada"], task_id, "reject").decision == "rejected"


def test_a_key_is_the_vote_of_whoever_made_it(service, tenant, people, sent):
    ada = people["ada"]
    key = Principal(tenant, "api_key", "key_of_ada", "operator", made_by=ada.id)
    task_id = a_task(tenant, quorum=2)
    service.complete(key, task_id, "approve")
    with pytest.raises(Conflict) as refused:
        service.complete(ada, task_id, "approve")
    assert code(refused) == "already_voted"


def test_a_vote_is_for_or_against_and_nobody_claims_it(service, tenant, people, sent):
    task_id = a_task(tenant, quorum=2)
    with pytest.raises(Invalid) as refused:
        service.complete(people["ada"], task_id, "submit")
    assert [p.path for p in refused.value.errors] == ["decision"]
    with pytest.raises(Conflict) as refused:
        service.claim(people["ada"], task_id)
    assert code(refused) == "quorum"
    assert service.get(task_id)[0].approvals == 0


def _at_once(acts) -> Counter[str]:
    """How often what came of acts at the same moment."""

    def one(act) -> str:
        try:
            return act().status
        except AppError as error:
            return error.code

    with ThreadPoolExecutor(20) as pool:
        return Counter(pool.map(one, acts))


def test_of_twenty_who_answer_at_once_one_does(service, tenant, sent):
    task_id = a_task(tenant)
    crowd = [Principal(tenant, "api_key", f"key_{n}", "operator") for n in range(20)]
    came = _at_once([lambda w=w: TaskService(tenant).complete(w, task_id, "approve", None, w.id) for w in crowd])
    assert came == {"completed": 1, "already_answered": 19}
    task, _, answer = service.get(task_id)
    assert (answer.comment, sent) == (task.completed_by, [TOKEN])


@pytest.mark.parametrize("against", [0, 8, 20])
def test_of_twenty_who_vote_at_once_as_many_count_as_it_takes(service, tenant, sent, against):
    """Seven of twenty have to approve; with fourteen against it they no longer can."""
    crowd = [Principal(tenant, "api_key", f"key_{n}", "operator", made_by=f"us_{n}") for n in range(20)]
    store = MemberStore(TenantTable(tenant))
    for who in crowd:  # twenty users: the owner is the twenty-first
        store.add_member(a_member(who.made_by))
    task_id = a_task(tenant, quorum=7, assignees=tuple(w.made_by for w in crowd))
    names = {w.made_by: w for w in crowd}
    users = [Principal(tenant, "user", u, "operator", user_id=u) for u in names]
    ways = ["reject"] * against + ["approve"] * (20 - against)
    random.Random(against).shuffle(ways)
    votes = list(zip(users, ways, strict=True))
    came = _at_once([lambda w=w, d=d: TaskService(tenant).complete(w, task_id, d) for w, d in votes])
    task, _, answer = service.get(task_id)
    wanted = ("rejected", 14) if against == 20 else ("approved", 7)
    assert (task.status, task.decision) == ("completed", wanted[0])
    assert set(sent) == {TOKEN}  # whoever sees it decided sends it; the second time changes nothing
    counted = {"approved": task.approvals, "rejected": task.rejections}
    assert counted[wanted[0]] == wanted[1]
    assert len(answer.votes) == sum(counted.values()) == len({v["by"] for v in answer.votes})
    given = {w.id: d for w, d in votes}
    assert all(v["decision"].startswith(given[v["by"]]) for v in answer.votes)
    assert came["open"] + came["completed"] >= len(answer.votes)  # whoever was told so, counts
    assert came["already_answered"] == 20 - len(answer.votes)


def test_what_voters_say_may_be_large(service, tenant, people, sent):
    large = {"text": "x" * 100_000}
    task_id = a_task(tenant, quorum=2)
    service.complete(people["ada"], task_id, "approve", large)
    service.complete(people["bob"], task_id, "approve", large)
    assert [v["data"] for v in service.get(task_id)[2].votes] == [large, large]


# --- no self-approval ------------------------------------------------------------------------------------------------


def test_whoever_started_the_run_cannot_answer_in_any_way(service, tenant, people, sent):
    ada = people["ada"]
    run = a_run(tenant, triggered_by={"kind": "manual", "id": ada.id, "user": ada.id})
    key = Principal(tenant, "api_key", "key_1", "admin", made_by=ada.id)
    boss = Principal(tenant, "user", ada.id, "owner", user_id=ada.id)  # not even as an admin
    for quorum in (None, 1):
        task_id = a_task(tenant, run, no_self_approval=True, quorum=quorum)
        for who in (ada, key, boss):
            for act in (service.claim, lambda w, t: service.complete(w, t, "approve")):
                with pytest.raises(Forbidden) as refused:
                    act(who, task_id)
                assert code(refused) == "self_approval"
        assert service.complete(people["bob"], task_id, "approve").decision == "approved"
    assert service.complete(ada, a_task(tenant, run), "approve").status == "completed"  # where nobody minds


def test_the_starter_is_no_voter(service, tenant, people, sent):
    ada = people["ada"]
    run = a_run(tenant, triggered_by={"kind": "manual", "id": ada.id, "user": ada.id})
    task_id = a_task(tenant, run, no_self_approval=True, quorum=2, assignees=people.ids("ada", "bob", "eve"))
    assert service.complete(people["bob"], task_id, "reject").decision == "rejected"  # one is left, two are wanted
