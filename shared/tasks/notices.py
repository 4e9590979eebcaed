"""Telling people of a task: in the application, and by mail with a link to answer.

What is to be told is kept with the task until it was; whoever dies in between is followed by the sweeper. In the
application nobody is told twice; mails of one notice have one Message-ID.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from shared.clock import iso, now_ms
from shared.errors import Invalid, Unavailable
from shared.ids import new_id
from shared.log import logger
from shared.members.meant import Meant, resolve
from shared.members.model import Member
from shared.members.store import MemberStore
from shared.notifications import mails, service
from shared.notifications.model import Notification
from shared.store.table import TenantTable
from shared.task_links.issue import BY_TASK, issue, person_of
from shared.task_links.store import TaskLinkStore
from shared.tasks.model import Notice
from shared.tasks.store import Kept, TaskStore

_TITLES: Final = {
    "task_assigned": "A task for you",
    "task_reassigned": "A task was given to you",
    "task_escalated": "A task has come to you",
    "task_overdue": "A task is overdue",
}
_MOST_MAILS: Final = 100
_TRIES: Final = 8
_FIRST_PAUSE_MS: Final = 60_000
_SOON_MS: Final = 5_000
_SHOWN: Final = 4_000  # characters of the instructions in a mail


def tell(table: TenantTable, kept: Kept, until: float, next_look: int) -> None:
    """Tell people what they have yet to be told of an open task. Mails are sent until `until` (`time.monotonic()`).

    What is left is the sweeper's. It raises nothing: a task must not fail because somebody could not be told of it.
    """
    store = TaskStore(table)
    try:
        done = sum(not _tell(table, kept, notice, until) for notice in kept.notices) == 0
        if done:
            store.told(kept, next_look)
        else:
            store.tell_again(kept, now_ms() + _SOON_MS, failed=False)
    except Exception as error:  # whatever it is
        logger("tasks").warning("not_told", task_id=kept.task.id, error=type(error).__name__, tries=kept.tries + 1)
        _give_up_or_wait(store, kept, next_look)


def _give_up_or_wait(store: TaskStore, kept: Kept, next_look: int) -> None:
    try:
        if kept.tries + 1 >= _TRIES:
            store.told(kept, next_look)
        else:
            store.tell_again(kept, now_ms() + _FIRST_PAUSE_MS * 2**kept.tries, failed=True)
    except Exception as error:  # the task stands among what the sweeper looks at, and is looked at again
        logger("tasks").warning("not_postponed", task_id=kept.task.id, error=type(error).__name__)


def _tell(table: TenantTable, kept: Kept, notice: Notice, until: float) -> bool:
    """Whether everybody knows. Raises Unavailable."""
    task = kept.task
    meant = resolve(MemberStore(table), notice.to)
    barred = {task.starter} if task.no_self_approval else set()
    note = Notification(
        id=new_id("nt"),
        title=_TITLES[notice.kind],
        message=f"{task.workflow_name}: {task.title}",
        execution_id=task.execution_id,
        created_at=now_ms(),
        kind=notice.kind,
        task_id=task.id,
    )
    owners = sorted(meant.ids - barred)[: service.MOST]
    service.hand_out(table, owners, note, key=f"{task.id} {notice.key}")
    if kept.follow.notify != "email" or kept.follow.credential is None:
        return True
    people = [to for to in _addressed(meant) if isinstance(to, str) or to.id not in barred]
    return _mail_all(table, kept, notice, people[:_MOST_MAILS], until)


def _addressed(meant: Meant) -> list[Member | str]:
    return [*meant.users, *(name for name in meant.others if "@" in name)]


def _mail_all(table: TenantTable, kept: Kept, notice: Notice, people: Sequence[Member | str], until: float) -> bool:
    """Whether everybody has their mail. Raises Unavailable, once all have been tried."""
    done, failed = True, None
    for to in people:
        try:
            done = _mail(table, kept, notice, to, until) and done
        except Unavailable as error:  # one address that cannot be written to now does not keep the others waiting
            failed = error
    if failed is not None:
        raise failed
    return done


def _mail(table: TenantTable, kept: Kept, notice: Notice, to: Member | str, until: float) -> bool:
    """Whether this person has the mail, or will never have it. Raises Unavailable."""
    if time.monotonic() >= until:
        return False
    task, now = kept.task, now_ms()
    person = person_of(to) if isinstance(to, str) else to.id
    if any(v.person == person for v in kept.votes):
        return True
    link, url = issue(table, task, to, created_by=BY_TASK, expires_at=task.expires_at, once=True)
    if notice.key in link.sent or link.status(now) != "open":
        return True
    text = (
        f"{_TITLES[notice.kind]}: {task.title}\n\n{TaskStore(table).shown(kept).instructions[:_SHOWN]}\n\n"
        f"Look at it and answer: {url}\n\n"
        f"The link is for you alone and works once, until {iso(link.expires_at)}."
    )
    try:
        key = f"{task.id} {notice.key} {person}"
        mails.post(table, kept.follow.credential or "", link.sent_to, task.title, text, key=key)
    except Invalid as error:  # trying again would change nothing
        logger("tasks").warning("not_mailed", task_id=task.id, error=error.code)
    TaskLinkStore(table).sent(link, notice.key)
    return True
