"""One run of one document in this process: moto's AWS with the product's table, and the real functions.

`python -m stepfunctions run` comes here. Nothing outlives it, and nothing of it reaches a real account; only what
`http_request` and `llm_chat` call is real.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TextIO
from unittest.mock import patch

import boto3

from infrastructure.local import cloud, questions
from infrastructure.local.interpreter import Context, real_function, running
from infrastructure.local.timeline import show
from shared.aws import states
from shared.errors import AppError, Conflict
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tasks.model import Task
from shared.tasks.service import TaskService
from shared.tenancy import Principal, new_tenant
from shared.workflows import service as workflows
from shared.workflows.model import Document
from stepfunctions.manual import execute
from stepfunctions.plan import Plan

_LOOK_SECONDS: Final = 0.02
_ENDING_SECONDS: Final = 10.0  # from the end of the run to that of its execution
_OPEN: Final = ("RUNNING", None)

Answers = Mapping[str, Mapping[str, Any] | None]


def run(
    document: Document,
    plan: Plan,
    trigger: Any,
    *,
    trigger_node: str | None,
    answers: Answers,
    allow: Sequence[str],
    logs: bool,
) -> bool:
    """Run the document (whose plan it is) and print what happened; whether the run completed.

    `answers` are those to questions, by node; None: nobody answers. `allow`: what nodes may reach although it
    is private. `logs`: the functions' own lines go to standard error.
    """
    shown = sys.stdout  # where the functions, too, write their logs
    with contextlib.redirect_stdout(sys.stderr if logs else io.StringIO()), _aws(allow):
        try:
            return _Single(document, plan, answers, shown).run(trigger, trigger_node)
        except (AppError, questions.Unanswered) as error:
            print(f"error: {error}", file=sys.stderr)
            for problem in getattr(error, "errors", ()):
                print(f"  {problem.path or '-'}: {problem.message}", file=sys.stderr)
            return False


@contextlib.contextmanager
def _aws(allow: Sequence[str]) -> Iterator[None]:
    """An empty AWS with the template's resources, on which state machines run."""
    logging.getLogger("moto").setLevel(logging.CRITICAL)  # it dumps its syntax tree for every state that fails
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SW_", "AWS_"))}
    with (
        patch.dict(os.environ, {**kept, **cloud.ENVIRONMENT}, clear=True),
        cloud.account() as made,
        running() as functions,
    ):
        os.environ.update(made, SW_ALLOWED_HOSTS=",".join(allow))
        settings.cache_clear()
        try:
            yield
        finally:
            functions.settle(_ENDING_SECONDS)  # or what they log would come when nobody catches it any more


class _Single:
    def __init__(self, document: Document, plan: Plan, answers: Answers, shown: TextIO) -> None:
        tenant = new_tenant()
        self._who = Principal(tenant, "user", "console", "owner", user_id="console")
        self._document = document
        self._plan = plan
        self._answers = answers
        self._shown = shown
        self._runs = RunStore(TenantTable(tenant))
        self._tasks = TaskService(tenant)
        self._dealt_with: set[str] = set()  # tasks

    def run(self, trigger: Any, trigger_node: str | None) -> bool:
        workflow, _ = workflows.create(self._who, self._document)
        run = execute(
            self._who,
            workflow.id,
            trigger_data=trigger,
            trigger_node=trigger_node,
            version="draft",
            wait_seconds=0,
            mark=None,
        )
        try:
            run = self._to_its_end(run)
        finally:  # whatever happened: moto's threads would keep the process
            states.stop_execution(run.machine, run.execution_name)
        show(self._who.tenant, run, self._plan, self._entered(run), self._shown)
        return run.status == "completed"

    def _to_its_end(self, run: Run) -> Run:
        while not run.ended:
            for task in self._tasks.open_tasks(run.id):
                if task.id not in self._dealt_with:
                    self._dealt_with.add(task.id)
                    self._answer(task)
            self._execution_over(run)
            time.sleep(_LOOK_SECONDS)
            run = self._runs.get(run.id)
        deadline = time.monotonic() + _ENDING_SECONDS
        while self._execution(run).get("status") in _OPEN and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return run

    def _answer(self, task: Task) -> None:
        """Answer a question, unless nobody is to. Raises Unanswered; Invalid if the form refuses the answer."""
        if task.node_id in self._answers:
            answer = self._answers[task.node_id]
        else:
            answer = questions.ask(task, self._tasks.get(task.id)[1])
        if answer is None:
            return
        try:
            self._tasks.complete(self._who, task.id, **answer)
        except Conflict as error:  # too late: the run has gone on without an answer, or has ended
            print(f"{task.node_id}: {error.detail}", file=sys.stderr)

    def _execution(self, run: Run) -> Mapping[str, Any]:
        return states.describe_execution(run.machine, run.execution_name) or {}

    def _execution_over(self, run: Run) -> None:
        """Tell run_events when the execution has ended, as EventBridge does on AWS: it closes a run that has not."""
        # There may be none yet: then the one before has handed the run over.
        before = replace(run, attempt=max(run.attempt - 1, 0))
        found = self._execution(run) or self._execution(before)
        if found.get("status") not in _OPEN:
            detail = {k: found.get(k) for k in ("name", "status", "input", "error")}
            event = {"detail-type": "Step Functions Execution Status Change", "detail": detail}
            real_function("run_events")(event, Context())

    def _entered(self, run: Run) -> int:
        """How many states the run's execution entered."""
        client = boto3.client("stepfunctions", region_name=cloud.REGION)
        arn = states.execution_arn(run.machine, run.execution_name)
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        return sum(event["type"].endswith("StateEntered") for page in pages for event in page["events"])
