"""Making links: for a task's own mails, and for whoever sends them in a way of their own."""

from __future__ import annotations

import hashlib
from typing import Final

from shared.clock import now_ms
from shared.ids import digest, new_id
from shared.links import tokens
from shared.members.model import Member
from shared.store.table import TenantTable
from shared.task_links.model import TaskLink
from shared.task_links.store import TaskLinkStore
from shared.tasks.model import Task

NOUN: Final = "task-links"
BY_TASK: Final = "task"  # who makes the links of a task's own mails
_ID: Final = 26


def person_of(address: str) -> str:
    """Who somebody without an account is: a digest of their address."""
    return "link:" + hashlib.sha256(address.strip().casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def issue(
    table: TenantTable, task: Task, to: Member | str, *, created_by: str, expires_at: int, once: bool = False
) -> tuple[TaskLink, str]:
    """A link for a user or for an address, and where it leads, which is to be shown once.

    With `once` there is one link for each task and person, whatever how often; one that was used or revoked stays so.
    """
    person, sent_to = (person_of(to), to) if isinstance(to, str) else (to.id, to.email)
    link_id = f"lk_{digest('task link', task.id, person)[:_ID].upper()}" if once else new_id("lk")
    token, mark = tokens.minted(table.tenant, link_id)
    link = TaskLink(
        id=link_id,
        task_id=task.id,
        person=person,
        sent_to=sent_to,
        created_by=created_by,
        created_at=now_ms(),
        expires_at=min(expires_at, task.expires_at),
        hashes=(mark,),
    )
    return TaskLinkStore(table).add(link), tokens.url(NOUN, token)
