"""What happens to a task while nobody answers it: steps of its escalation, a reminder, and telling people."""

from __future__ import annotations

from typing import Any, Final

from shared.clock import now_ms
from shared.nodes.base import Asked
from shared.store.table import TenantTable
from shared.tasks import notices
from shared.tasks.model import Follow, Notice, Step, Task
from shared.tasks.store import Kept, TaskStore

_GRACE_MS: Final = 300_000  # after a task's time: its state machine should have noticed
_LOOK_AGAIN_MS: Final = 3_600_000
TELL_AGAIN_MS: Final = 60_000  # whoever is about to tell people may die
_AT_ONCE: Final = 12  # more than a task has steps


def of(asked: Asked, asked_at: int) -> Follow:
    """What follows of a question that was asked then."""
    steps = (Step(asked_at + s.after_seconds * 1000, s.assignees, s.replace) for s in asked.escalation)
    return Follow(tuple(steps), asked.notify, asked.credential)


def first_notices(task: Task, follow: Follow) -> tuple[Notice, ...]:
    """What people are told of a new task: nobody is, of one that is for everybody."""
    told = bool(task.assignees) and follow.notify != "none"
    return (Notice("task_assigned", task.assignees, "assigned"),) if told else ()


def next_look(task: Task, follow: Follow, *, reminded: bool) -> int:
    """When there is something to be done for an open task of which everybody has been told."""
    now = now_ms()
    late = task.expires_at + _GRACE_MS
    moments = [min(late, now + _LOOK_AGAIN_MS) if late > now else now + _LOOK_AGAIN_MS]
    if task.escalated < len(follow.steps):
        moments.append(follow.steps[task.escalated].at)
    if task.due_at is not None and not reminded:
        moments.append(task.due_at)
    return max(min(moments), now)


def first_look(task: Task, follow: Follow, told: bool) -> int:
    """When the sweeper looks at a new task for the first time."""
    if told:
        return now_ms() + TELL_AGAIN_MS
    moments = [task.expires_at + _GRACE_MS, *(s.at for s in follow.steps[:1])]
    return min(moments if task.due_at is None else [*moments, task.due_at])


def follow_up(table: TenantTable, task_id: str, until: float) -> None:
    """Do what is due for a task, if it is open, and tell people; mails are sent until `until` (`time.monotonic()`).

    Each step is taken once: it is written down, with what people have to be told, on the condition that it was not.
    """
    store = TaskStore(table)
    kept = store.find(task_id)
    for _ in range(_AT_ONCE):
        if kept is None or not _step(store, kept):
            break
        kept = store.find(task_id)
    if kept is None or kept.task.status != "open":
        return
    look = next_look(kept.task, kept.follow, reminded=kept.reminded)
    if kept.notices:
        notices.tell(table, kept, until, look)
    else:
        store.rest(kept, look)


def _step(store: TaskStore, kept: Kept) -> bool:
    """Take one step that is due; False if there is none."""
    task, steps, now = kept.task, kept.follow.steps, now_ms()
    if task.status != "open" or now >= task.expires_at:
        return False
    if task.escalated < len(steps) and steps[task.escalated].at <= now:
        step, number = steps[task.escalated], task.escalated
        notice = Notice("task_escalated", step.assignees, f"escalated {number}")
        values: dict[str, Any] = {"escalated": number + 1, "assignees": list(_assignees(task, step))}
        store.note(kept, notice, now + TELL_AGAIN_MS, **values)
        return True
    if task.due_at is not None and task.due_at <= now and not kept.reminded:
        notice = Notice("task_overdue", task.assignees, "overdue")
        store.note(kept, notice, now + TELL_AGAIN_MS, reminded=True)
        return True
    return False


def _assignees(task: Task, step: Step) -> tuple[str, ...]:
    """Whom it is for after a step. A task that is for everybody stays so, unless the step says whom it is for."""
    if step.replace:
        return step.assignees
    return tuple(dict.fromkeys((*task.assignees, *step.assignees))) if task.assignees else ()
