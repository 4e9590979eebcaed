"""Who may answer a task: its assignees, and the tenant's admins."""

from __future__ import annotations

from shared.errors import Forbidden, NotFound
from shared.members.store import MemberStore
from shared.store.table import TenantTable
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


def check(task: Task, who: Principal) -> None:
    """Pass, or raise Forbidden."""
    if not task.assignees or is_admin(who) or meant(task, names_of(who)):
        return
    raise Forbidden(f"task {task.id} is assigned to others", code="not_assignee")
