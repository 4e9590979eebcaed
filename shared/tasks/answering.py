"""An answer to a task, or a vote: whether it may still be given, and keeping it, whoever else answers just now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from shared.clock import iso, now_ms
from shared.errors import Conflict, Contended, Invalid, NotFound, Problem, Unavailable
from shared.nodes.json_schemas import faults
from shared.runs.store import RunStore
from shared.store.table import TenantTable, Write
from shared.store.turns import step_aside
from shared.tasks.access import Responder, check_not_starter, electorate
from shared.tasks.model import DECISIONS, Answer, Task, Vote
from shared.tasks.store import Kept, TaskStore
from shared.tenancy import Tenant

_TRIES: Final = 40  # of people who answer at the same moment, each try lets one through
_MOST_VOTES: Final = 300
_CLOSED: Final = {
    "completed": ("already_answered", "has been answered already"),
    "lapsed": ("task_lapsed", "was not answered in time"),
    "cancelled": ("task_cancelled", "was withdrawn; its run is over"),
}


class Answering:
    """Answers to one tenant's tasks."""

    def __init__(self, tenant: Tenant) -> None:
        self._table = TenantTable(tenant)
        self._tasks = TaskStore(self._table)

    def answer(
        self,
        kept: Kept,
        by: Responder,
        decision: str,
        data: Mapping[str, Any] | None,
        comment: str | None,
        also: Sequence[Write] = (),
    ) -> None:
        """Keep an answer, and what is written `also` with it. Whether `by` may answer is known, but for starters.

        Raises Forbidden, Invalid (naming the field), Unavailable, and Conflict when the task is closed or claimed by
        somebody else, or they have voted already.
        """
        check_not_starter(kept.task, by.person)
        if self.out_of_time(kept.task):
            self.refuse(kept.task.id)
        form = self._tasks.shown(kept).form
        if form is not None:
            _check_form(form, {} if data is None else data)
        if kept.task.quorum is not None:
            self._vote(kept, by, DECISIONS[decision], data, comment, also)
        else:
            answer = Answer(DECISIONS[decision], data, comment, by.id, now_ms(), kept.task.shown_sha256)
            self._complete(kept.task, answer, by, also)

    def _complete(self, task: Task, answer: Answer, by: Responder, also: Sequence[Write]) -> None:
        for attempt in range(_TRIES):
            try:
                if self._tasks.complete(task, answer, by.claimant, also=also):
                    return
                self.refuse(task.id)
            except Contended:  # DynamoDB refuses one of two transactions on the same item
                step_aside(attempt)
        raise Unavailable("many people answer this task at this moment; try again")

    def _vote(
        self,
        kept: Kept,
        by: Responder,
        decision: str,
        data: Mapping[str, Any] | None,
        comment: str | None,
        also: Sequence[Write],
    ) -> None:
        if decision == "submitted":
            problem = Problem("not_a_vote", "must be approve or reject: the task takes votes", "decision")
            raise Invalid("a task with a quorum is approved or rejected", errors=[problem])
        said = self._tasks.write_said({"comment": comment, "data": data})
        for attempt in range(_TRIES):
            if kept.task.status != "open":
                self.refuse(kept.task.id)
            if any(v.person == by.person for v in kept.votes):
                raise Conflict("you have voted on this task already", code="already_voted")
            votes = (*kept.votes, Vote(by.id, by.person, decision, now_ms(), said))
            try:
                if self._kept(kept, votes, data, comment, by, also):
                    return
            except Contended:
                pass
            step_aside(attempt)
            kept = self._tasks.get(kept.task.id)
        raise Unavailable("many people vote on this task at this moment; try again")

    def _kept(
        self,
        kept: Kept,
        votes: tuple[Vote, ...],
        data: Any,
        comment: str | None,
        by: Responder,
        also: Sequence[Write],
    ) -> bool:
        """Write the last of `votes`, and with the vote that decides the answer. False if somebody else was first."""
        decided = self._outcome(kept.task, votes)
        if decided is None:
            return self._tasks.vote(kept.task, votes, also)
        told = [{"by": v.by, "decision": v.decision, "at": v.at, **self._tasks.said(v)} for v in votes]
        answer = Answer(decided, data, comment, by.id, votes[-1].at, kept.task.shown_sha256, told)
        return self._tasks.complete(kept.task, answer, by.claimant, votes, also)

    def _outcome(self, task: Task, votes: Sequence[Vote]) -> str | None:
        """What so many votes come to; None: not yet anything."""
        wanted = task.quorum or 1
        approvals = sum(v.decision == "approved" for v in votes)
        if approvals >= wanted:
            return "approved"
        if approvals == len(votes):
            return None  # nobody is against it, and people may yet join
        missing = len(electorate(self._table, task) - {v.person for v in votes})
        return "rejected" if approvals + missing < wanted or len(votes) >= _MOST_VOTES else None

    def out_of_time(self, task: Task) -> bool:
        """Whether a task takes no answer any more. One whose run is over is closed."""
        if task.status != "open":
            return True
        if self.run_over(task):
            self._tasks.close(task, "cancelled")
            return True
        return task.expires_at <= now_ms()

    def run_over(self, task: Task) -> bool:
        """Whether the run that asks has ended, or is gone."""
        try:
            return RunStore(self._table).get(task.execution_id).ended
        except NotFound:
            return True

    def refuse(self, task_id: str) -> NoReturn:
        """Say why a task cannot be changed. Raises Conflict."""
        task = self._tasks.get(task_id).task
        if task.status == "open" and task.expires_at > now_ms():
            raise Conflict(f"task {task_id} is claimed by somebody else", code="claimed")
        code, words = _CLOSED[task.status if task.status != "open" else "lapsed"]
        raise Conflict(f"task {task_id} {words}", code=code)


def for_run(answer: Answer) -> dict[str, Any]:
    """An answer as the workflow sees it. That is outside: times are RFC 3339 there."""
    given = {
        "decision": answer.decision,
        "data": answer.data,
        "comment": answer.comment,
        "completed_by": answer.completed_by,
        "completed_at": iso(answer.completed_at),
    }
    if answer.votes is not None:
        given["votes"] = [{**v, "at": iso(v["at"])} for v in answer.votes]
    return given


def _check_form(form: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    found = faults(data, form)
    if found:
        # A fault is `$.place: rule`; the body calls that place `data.place`.
        problems = [Problem("form", fault, "data" + fault.split(": ", 1)[0].removeprefix("$")) for fault in found]
        detail = "; ".join(f"{p.path}: {p.message.split(': ', 1)[1]}" for p in problems[:3])
        raise Invalid(f"the answer does not fit the form: {detail}", errors=problems)
