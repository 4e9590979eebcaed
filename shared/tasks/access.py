"""Who may answer a task: its assignees, and the tenant's admins."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import Forbidden, NotFound
from shared.members.meant import everyone, resolve
from shared.members.store import MemberStore
from shared.store.table import TenantTable
from shared.task_links.issue import person_of
from shared.tasks.model import Task
from shared.tenancy import ROLES, Principal


def is_admin(who: Principal) -> bool:
    """Whether they are an admin or an owner."""
    return ROLES.index(who.role) >= ROLES.index("admin")


def names_of(who: Principal) -> frozenset[str]:
    """Everything an assignee may be called that means this caller, in small letters.

    A user is meant by their id, their e-mail address, and the id or name of their user types; an API key by its id.
    """
    if who.user_id is None:
        return frozenset({who.id.casefold()})
    store = MemberStore(TenantTable(who.tenant))
    names = {who.id, who.user_id, *who.user_types}
    try:
        names.add(store.member(who.user_id).email)
        names |= {store.user_type(t).name for t in who.user_types}
    except NotFound:
        pass  # removed a moment ago
    return frozenset(n.casefold() for n in names)


def meant(task: Task, names: frozenset[str]) -> bool:
    """Whether the task is for somebody of these names; one without assignees is for everybody."""
    return not task.assignees or any(a.casefold() in names for a in task.assignees)


@dataclass(frozen=True, slots=True)
class Responder:
    """Who answers: as it is recorded (`id`), who it is that counts (`person`), and who may have claimed the task."""

    id: str
    person: str
    claimant: str


def responder(who: Principal) -> Responder:
    """A caller as one who answers: what a user does by a key of theirs, they do."""
    return Responder(who.id, who.person or who.id, who.id)


def check_not_starter(task: Task, person: str) -> None:
    """Pass, or raise Forbidden for whoever started the run of a task that they must not answer."""
    if task.no_self_approval and task.starter is not None and person == task.starter:
        raise Forbidden("whoever started the run cannot answer this task", code="self_approval")


def electorate(table: TenantTable, task: Task) -> frozenset[str]:
    """The persons a task with a quorum is for, as its assignees are at this moment."""
    store = MemberStore(table)
    if task.assignees:
        found = resolve(store, task.assignees)
        outside = (person_of(name) for name in found.others if "@" in name)
        persons = {*(u.id for u in found.users), *(k.created_by for k in found.keys), *outside}
    else:
        persons = {m.id for m in everyone(store) if ROLES.index(m.role) >= ROLES.index("operator")}
    return frozenset(persons - ({task.starter} if task.no_self_approval else set()))


def check(task: Task, who: Principal) -> None:
    """Pass, or raise Forbidden."""
    if not task.assignees or is_admin(who) or meant(task, names_of(who)):
        return
    raise Forbidden(f"task {task.id} is assigned to others", code="not_assignee")
