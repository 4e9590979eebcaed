"""Links with which one person answers one task without an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, NotFound, Problem
from shared.links import tokens
from shared.members.meant import resolve
from shared.members.model import Member
from shared.members.store import MemberStore
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.task_links import issue
from shared.task_links.model import TaskLink
from shared.task_links.store import TaskLinkStore, link_of
from shared.tasks import access
from shared.tasks.answering import Answering
from shared.tasks.model import Answer, Shown, Task
from shared.tasks.service import TaskService
from shared.tasks.store import TaskStore
from shared.tenancy import Principal, Tenant

_REFUSED: Final = {
    "used": "this link was used already",
    "revoked": "this link was withdrawn",
    "expired": "this link has expired",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A link, whose tenant it is, and its task."""

    tenant: Tenant
    link: TaskLink
    task: Task
    shown: Shown
    answer: Answer | None


def create(who: Principal, task_id: str, assignee: str, expires_in: int) -> tuple[TaskLink, str]:
    """A link to a task for a user (id or e-mail address) or for anybody's address, and where it leads.

    It is shown this once, and whoever makes it hands it over. They must be able to answer the task themselves.
    Raises NotFound, Forbidden, Conflict, Invalid.
    """
    table = TenantTable(who.tenant)
    task = TaskStore(table).get(task_id).task
    access.check(task, who)
    access.check_not_starter(task, access.responder(who).person)
    if Answering(table.tenant).out_of_time(task):
        Answering(table.tenant).refuse(task_id)
    to = _to(table, assignee)
    person = issue.person_of(to) if isinstance(to, str) else to.id
    access.check_not_starter(task, person)
    if task.quorum is not None and person != access.responder(who).person:
        # Whoever makes a link sees it: with links for others, one person could vote as many.
        message = "with a quorum, links for others go out by mail only: set the node's `notify`"
        raise Invalid(f"assignee: {message}", errors=[Problem("quorum_link", message, "assignee")])
    return issue.issue(table, task, to, created_by=who.id, expires_at=now_ms() + expires_in * 1000)


def _to(table: TenantTable, assignee: str) -> Member | str:
    found = resolve(MemberStore(table), [assignee])
    if len(found.users) == 1:
        return found.users[0]
    if found.others and "@" in assignee:
        return assignee
    message = "must be a user of the tenant, or an e-mail address"
    raise Invalid(f"assignee {message}", errors=[Problem("unknown_assignee", message, "assignee")])


def of_task(who: Principal, task_id: str, cursor: str | None, limit: int) -> Listing[TaskLink]:
    """The links to a task, newest first. Raises NotFound."""
    table = TenantTable(who.tenant)
    TaskStore(table).get(task_id)
    return TaskLinkStore(table).of_task(task_id, cursor, limit)


def revoke(who: Principal, task_id: str, link_id: str) -> TaskLink:
    """Withdraw a link. Raises NotFound."""
    store = TaskLinkStore(TenantTable(who.tenant))
    if store.get(link_id).task_id != task_id:
        raise NotFound(f"there is no link {link_id}")
    return store.revoke(link_id)


def look(token: str) -> Opened:
    """What a link opens; it changes nothing. Raises NotFound, Conflict (used, withdrawn, expired, no more theirs)."""
    tenant, link = _found(token)
    table = TenantTable(tenant)
    _check(table, link)
    task, shown, answer = TaskService(tenant).get(link.task_id)
    return Opened(tenant, link, task, shown, answer)


def answer(token: str, decision: str, data: Mapping[str, Any] | None, comment: str | None) -> Opened:
    """Answer the task of a link, and use the link up; its run goes on.

    Raises as `look`, and Forbidden, Invalid, Unavailable as `TaskService.complete`.
    """
    tenant, link = _found(token)
    table = TenantTable(tenant)
    _check(table, link)
    kept = TaskStore(table).get(link.task_id)
    by = access.Responder(link.completed_by, link.person, link.person)
    use = TaskLinkStore(table).use(link)
    try:
        Answering(table.tenant).answer(kept, by, decision, data, comment, [use])
    except Conflict:
        _check(table, TaskLinkStore(table).get(link.id))  # somebody has just used the link itself
        raise
    service = TaskService(tenant)
    service.deliver(link.task_id)
    task, shown, given = service.get(link.task_id)
    return Opened(tenant, TaskLinkStore(table).get(link.id), task, shown, given)


def _found(token: str) -> tuple[Tenant, TaskLink]:
    found = tokens.found(token, "lk", "task_links")
    if found is None:
        raise NotFound("there is no such link", code="unknown_link")
    return found[0], link_of(found[1])


def _check(table: TenantTable, link: TaskLink) -> None:
    """Pass if the link may be used, or raise Conflict."""
    status = link.status(now_ms())
    if status != "open":
        raise Conflict(_REFUSED[status], code=f"link_{status}")
    if link.person.startswith("link:"):
        names = frozenset({link.sent_to.casefold()})
    else:
        try:
            member = MemberStore(table).member(link.person)
        except NotFound:
            raise Conflict(_REFUSED["revoked"], code="link_revoked") from None
        who = Principal(table.tenant, "user", member.id, member.role, member.id, member.user_types)
        names = access.names_of(who)
    # What a task has sent by itself holds as long as the task is theirs; what somebody has made, until it is withdrawn.
    if link.created_by == issue.BY_TASK and not access.meant(TaskStore(table).get(link.task_id).task, names):
        raise Conflict("the task was given to somebody else", code="link_revoked")
