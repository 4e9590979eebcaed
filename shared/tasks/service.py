"""The inbox: questions that runs ask people, and what becomes of the answers.

An answer is kept first; only then is the waiting state machine told to go on, and should that fail, the sweeper tells
it again. Task tokens are sealed, belong to one task, leave this module only towards Step Functions, and are forgotten
once used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.aws import kms, states
from shared.clock import now_ms
from shared.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unavailable
from shared.log import logger
from shared.nodes.base import Asked
from shared.runs.store import RunStore
from shared.store.pages import Listing
from shared.store.table import TenantTable
from shared.tasks import access, follow
from shared.tasks.answering import Answering, for_run
from shared.tasks.model import Answer, Notice, Shown, Task, shown_hash
from shared.tasks.store import Kept, TaskStore
from shared.tenancy import Principal, Tenant
from shared.workflows.store import WorkflowStore

_DELIVER_AGAIN_MS: Final = 60_000
_MAILS_IN_CALL_S: Final = 10.0  # a call that asks or reassigns writes mails for so long; the rest is the sweeper's
_TRIES: Final = 5


class TaskService:
    """One tenant's inbox."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._table = TenantTable(tenant)
        self._tasks = TaskStore(self._table)
        self._runs = RunStore(self._table)
        self._answering = Answering(tenant)

    # --- for the engine --------------------------------------------------------------------------------------------

    def desk(self, execution_id: str, attempt: int = 0) -> Desk:
        """The inbox as the engine sees it in this attempt of a run."""
        return Desk(self, execution_id, attempt)

    def open(self, execution_id: str, attempt: int, task_id: str, node_id: str, asked: Asked, token: str) -> bool:
        """See `stepfunctions.engine.waits.TaskDesk.open`."""
        now = now_ms()
        expires_at = now + asked.timeout_seconds * 1000
        sealed = kms.encrypt(self._tenant, token.encode(), execution=execution_id, task=task_id)
        there = self._tasks.find(task_id)
        if there is not None:
            return self._renew(there, sealed, expires_at, attempt)
        run = self._runs.get(execution_id)
        workflow_name, node_name = self._labels(run.workflow_id, node_id)
        shown = Shown(asked.instructions, None if asked.form is None else dict(asked.form), asked.data)
        task = Task(
            id=task_id,
            execution_id=execution_id,
            workflow_id=run.workflow_id,
            workflow_name=workflow_name,
            node_id=node_id,
            node_name=node_name,
            title=asked.title,
            assignees=asked.assignees,
            status="open",
            created_at=now,
            expires_at=expires_at,
            due_at=asked.due_ms,
            quorum=asked.quorum,
            no_self_approval=asked.no_self_approval,
            starter=run.triggered_by.get("user") if asked.no_self_approval else None,
            shown_sha256=shown_hash(asked.title, shown),
        )
        follows = follow.of(asked, now)
        notices = follow.first_notices(task, follows)
        look_at = follow.first_look(task, follows, bool(notices))
        if not self._tasks.create(task, shown, sealed, follows, notices, look_at, attempt):
            return self._renew(self._tasks.get(task_id), sealed, expires_at, attempt)
        # Looked at after the task is there: whoever ends a run ends it first and withdraws its tasks second.
        if self._runs.get(execution_id).ended:
            self._tasks.close(task, "cancelled")
            return False
        if notices:
            self.follow_up(task_id, _MAILS_IN_CALL_S)
        return True

    def _renew(self, kept: Kept, sealed: bytes, expires_at: int, attempt: int) -> bool:
        task = replace(kept.task, expires_at=expires_at)
        soon = now_ms() + follow.TELL_AGAIN_MS
        look_at = soon if kept.notices else follow.next_look(task, kept.follow, reminded=kept.reminded)
        return self._tasks.renew(task.id, sealed, expires_at, look_at, attempt)

    def settle(self, task_id: str) -> Mapping[str, Any] | None:
        """See `stepfunctions.engine.waits.TaskDesk.settle`."""
        kept = self._tasks.find(task_id)
        if kept is not None and kept.task.status == "open":
            if self._tasks.close(kept.task, "lapsed"):
                return None
            kept = self._tasks.find(task_id)  # answered just now
        answer = self._tasks.answer(kept) if kept is not None else None
        return None if answer is None else for_run(answer)

    def answerable(self, execution_id: str) -> frozenset[str]:
        """The ids of a run's tasks that are answered, or may still be."""
        return frozenset(i for i, status in self._tasks.of_run(execution_id) if status in ("open", "completed"))

    def withdraw(self, execution_id: str, up_to: int) -> None:
        """Close the open tasks of a run that ended at this time (ms): later ones are of its next attempt."""
        for task in self.open_tasks(execution_id):
            if task.created_at <= up_to:
                self._tasks.close(task, "cancelled")

    # --- for people ------------------------------------------------------------------------------------------------

    def page(
        self,
        who: Principal,
        cursor: str | None,
        limit: int,
        *,
        status: str | None = None,
        assignee: str | None = None,
        workflow_id: str | None = None,
        execution_id: str | None = None,
    ) -> Listing[Task]:
        """Tasks, newest first. `assignee` is an entry of a task's assignees, or `me`: what the caller may take on."""
        names = access.names_of(who) if assignee == "me" else frozenset({(assignee or "").casefold()})

        def wanted(task: Task) -> bool:
            if assignee == "me":
                mine = task.claimed_by == who.id or (task.claimed_by is None and access.meant(task, names))
            else:
                mine = assignee is None or any(a.casefold() in names for a in task.assignees)
            return mine and workflow_id in (None, task.workflow_id) and execution_id in (None, task.execution_id)

        listing = "\n".join(["tasks", *(f or "" for f in (status, assignee, workflow_id, execution_id))])
        # A run that is gone has left its tasks, but nothing that leads to them.
        there = execution_id is not None and self._runs.find(execution_id, consistent=False) is not None
        return self._tasks.page(status, listing, cursor, limit, wanted, execution_id if there else None)

    def open_tasks(self, execution_id: str) -> list[Task]:
        """The tasks that a run is waiting for, in the order in which it asked."""
        ids = [task_id for task_id, status in self._tasks.of_run(execution_id) if status == "open"]
        return [kept.task for kept in map(self._tasks.find, ids) if kept is not None and kept.task.status == "open"]

    def get(self, task_id: str) -> tuple[Task, Shown, Answer | None]:
        """A task with what it shows and what was answered. Raises NotFound."""
        kept = self._tasks.get(task_id)
        return kept.task, self._tasks.shown(kept), self._tasks.answer(kept)

    def claim(self, who: Principal, task_id: str) -> Task:
        """Take a task, so that nobody else answers it. Raises NotFound, Forbidden, Conflict."""
        task = self._tasks.get(task_id).task
        access.check(task, who)
        access.check_not_starter(task, access.responder(who).person)
        if task.quorum is not None:
            raise Conflict("a task with a quorum is for several people: nobody claims it", code="quorum")
        return self._tasks.claim(task_id, who.id) or self._answering.refuse(task_id)

    def unclaim(self, who: Principal, task_id: str) -> Task:
        """Give a task back; admins may do so for others. Raises NotFound, Forbidden, Conflict."""
        task = self._tasks.get(task_id).task
        if task.status == "open" and task.claimed_by is None:
            return task
        if task.claimed_by not in (None, who.id) and not access.is_admin(who):
            raise Forbidden(f"task {task_id} is claimed by somebody else", code="not_claimant")
        return self._tasks.unclaim(task_id, task.claimed_by or "") or self._answering.refuse(task_id)

    def reassign(self, who: Principal, task_id: str, assignees: tuple[str, ...], known: int | None = None) -> Task:
        """Put a task before others, and end a claim. They are told.

        Raises NotFound, Forbidden, Conflict, PreconditionFailed (`known` is not its revision), Unavailable.
        """
        named = tuple(dict.fromkeys(assignees))
        for _ in range(_TRIES):
            kept = self._tasks.get(task_id)
            access.check(kept.task, who)
            if known is not None and known != kept.task.revision:
                raise PreconditionFailed(f"the task is at revision {kept.task.revision} by now; read it again")
            notice = Notice("task_reassigned", named, f"reassigned {kept.noted}")
            look_at = now_ms() + follow.TELL_AGAIN_MS
            done = self._tasks.note(kept, notice, look_at, unchanged=known is not None, assignees=list(named))
            if done is not None:
                self.follow_up(task_id, _MAILS_IN_CALL_S)
                return done
            if self._tasks.get(task_id).task.status != "open":
                self._answering.refuse(task_id)
        raise Unavailable("the task is being changed by others at this moment; try again")

    def complete(
        self,
        who: Principal,
        task_id: str,
        decision: str,
        data: Mapping[str, Any] | None = None,
        comment: str | None = None,
    ) -> Task:
        """Answer a task; its run goes on. `decision` is one of `DECISIONS`. Of a task with a quorum this is a vote.

        Raises NotFound, Forbidden, Invalid (naming the field), and Conflict when it is closed or somebody else's, or
        when they have voted.
        """
        kept = self._tasks.get(task_id)
        access.check(kept.task, who)
        self._answering.answer(kept, access.responder(who), decision, data, comment)
        self.deliver(task_id)
        return self._tasks.get(task_id).task

    # --- delivering ------------------------------------------------------------------------------------------------

    def deliver(self, task_id: str) -> bool:
        """Let the run of an answered task go on, if it has not been told yet. False: the sweeper has to try again."""
        kept = self._tasks.get(task_id)
        if kept.task.status != "completed" or kept.token is None:
            return True
        try:
            token = kms.decrypt(self._tenant, kept.token, execution=kept.task.execution_id, task=task_id)
            states.send_success(token.decode())
            self._tasks.sent(task_id)
        except Exception as error:  # whatever it is: the answer is kept, and is not to be reported as lost
            logger("tasks").warning("not_delivered", task_id=task_id, error=type(error).__name__)
            return False
        return True

    def tidy(self, task_id: str, mails_until: float = math.inf) -> None:
        """What the sweeper does with a task that is due: deliver its answer, close it if its run is over, or do what
        follows if nobody answers. Mails are sent until then (`time.monotonic()`).
        """
        kept = self._tasks.find(task_id)
        if kept is None:
            return
        if kept.task.status == "completed":
            if not self.deliver(task_id):
                self._tasks.look_again(task_id, now_ms() + _DELIVER_AGAIN_MS)
        elif not (self._answering.run_over(kept.task) and self._tasks.close(kept.task, "cancelled")):
            follow.follow_up(self._table, task_id, mails_until)

    def follow_up(self, task_id: str, mails_for_s: float) -> None:
        """Do what is due for an open task, and tell people. Whatever fails is the sweeper's to do again."""
        try:
            follow.follow_up(self._table, task_id, time.monotonic() + mails_for_s)
        except Exception as error:  # the sweeper looks again; the task itself is as it should be
            logger("tasks").warning("not_followed_up", task_id=task_id, error=type(error).__name__)

    def look_again(self, task_id: str, at_ms: int) -> None:
        """When the sweeper should look at the task next."""
        self._tasks.look_again(task_id, at_ms)

    # ---------------------------------------------------------------------------------------------------------------

    def _labels(self, workflow_id: str, node_id: str) -> tuple[str, str]:
        """What people call the workflow and the node, as its draft has it now."""
        try:
            workflow, document = WorkflowStore(self._table).get_with_document(workflow_id)
        except NotFound:
            return workflow_id, node_id
        own = node_id.partition(".")[0]  # of a composite's part
        names = (n.get("name") for n in document.get("nodes", []) if n["id"] == own)
        return workflow.name, next(names, None) or node_id


class Desk:
    """One run's view of the inbox: `stepfunctions.engine.waits.TaskDesk`."""

    def __init__(self, service: TaskService, execution_id: str, attempt: int) -> None:
        self._service = service
        self._execution = execution_id
        self._attempt = attempt

    def open(self, task_id: str, node_id: str, asked: Asked, token: str) -> bool:
        """Put a task into the inbox, or give an open one its new token; False if it is closed already."""
        return self._service.open(self._execution, self._attempt, task_id, node_id, asked, token)

    def settle(self, task_id: str) -> Mapping[str, Any] | None:
        """The answer to a task; None, and the task closed, if nobody answered in time."""
        return self._service.settle(task_id)
