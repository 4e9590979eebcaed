"""The friendly face of the generated client."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import ModuleType, TracebackType
from typing import Any, Self

import httpx

from statewright.api.executions import executions_execute, executions_get
from statewright.api.tasks import tasks_complete, tasks_list_all
from statewright.client import AuthenticatedClient
from statewright.models.execute_in import ExecuteIn
from statewright.models.execution_out import ExecutionOut
from statewright.models.task_answer_in import TaskAnswerIn
from statewright.models.task_summary import TaskSummary
from statewright.types import Unset

_ENDED = ("completed", "failed", "cancelled")
_FIRST_LOOK_S, _LAST_LOOK_S = 0.1, 2.0
_WAIT_S = 20.0  # how long the API itself is asked to wait for a run
_RETRIES = 3


class Problem(Exception):
    """The API refused a call. `code` is for programs; `errors` name what was wrong, one by one (RFC 9457)."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("code", ""))
        self.errors: list[dict[str, Any]] = list(body.get("errors") or [])
        self.request_id = body.get("request_id")
        super().__init__(f"{status} {self.code}: {body.get('detail', '')}")


class TimedOut(Exception):
    """A run has not ended in the time that was given; `run` is how far it had come."""

    def __init__(self, run: ExecutionOut, seconds: float) -> None:
        self.run = run
        super().__init__(f"run {run.id} is {run.status} after {seconds:g} s")


class Statewright:
    """The API, as one tenant's key or user sees it. Give `api_key`, or `token` of the user pool."""

    def __init__(
        self, url: str, *, api_key: str | None = None, token: str | None = None, timeout: float = 60, **httpx_args: Any
    ) -> None:
        if (api_key is None) == (token is None):
            raise ValueError("give either api_key or token")
        name, prefix = ("X-API-Key", "") if api_key is not None else ("Authorization", "Bearer")
        self.client = AuthenticatedClient(
            base_url=url.rstrip("/"),
            token=api_key or token or "",
            prefix=prefix,
            auth_header_name=name,
            timeout=httpx.Timeout(timeout),
            httpx_args={"transport": httpx.HTTPTransport(retries=_RETRIES), **httpx_args},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.client.get_httpx_client().close()

    def call(self, operation: ModuleType, *path: str, **arguments: Any) -> Any:
        """Call an operation, a module of `statewright.api`; gives its parsed answer. Raises Problem, httpx.HTTPError.

        `path` are the path's parameters in order, `arguments` the rest: `body`, filters, `if_match` … A POST that makes
        or starts something gets an `idempotency_key`, so that it may be sent again.
        """
        if _may_have_a_body(operation):
            arguments.setdefault("body", None)  # the generated code would send its own mark for "not given"
        response = self.client.get_httpx_client().request(**operation._get_kwargs(*path, **arguments))
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            # Not parsed by the generated code: what stands before the API says 429 or 503 in words of its own.
            raise _problem(response.status_code, response.content)
        return operation._parse_response(client=self.client, response=response)

    def pages(self, operation: ModuleType, *path: str, **arguments: Any) -> Iterator[Any]:
        """Everything in a list, read page by page."""
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            page = self.call(operation, *path, **arguments, **more)
            yield from page.items
            cursor = page.next_cursor
            if not cursor:
                return

    def execute(
        self, workflow_id: str, trigger_data: Any = None, *, seconds: float = 300, key: str | None = None, **more: Any
    ) -> ExecutionOut:
        """Start a run and wait for its end. The same `key` starts one run, however often this is called.

        Raises Problem, and TimedOut if it has not ended within `seconds`; the run itself goes on then.
        """
        deadline = time.monotonic() + seconds
        body = ExecuteIn(trigger_data=trigger_data, wait_seconds=min(_WAIT_S, seconds), **more)
        run = self.call(executions_execute, workflow_id, body=body, idempotency_key=key or uuid.uuid4().hex)
        return self._ended(run.id, deadline, seconds)

    def wait(self, execution_id: str, seconds: float = 300) -> ExecutionOut:
        """A run, once it has ended. Raises TimedOut."""
        return self._ended(execution_id, time.monotonic() + seconds, seconds)

    def _ended(self, execution_id: str, deadline: float, seconds: float) -> ExecutionOut:
        """Looks at least once, and for the last time when the time is over."""
        pause = _FIRST_LOOK_S
        while True:
            last = time.monotonic() >= deadline
            run: ExecutionOut = self.call(executions_get, execution_id)
            if run.status in _ENDED:
                return run
            if last:
                raise TimedOut(run, seconds)
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(pause * 1.5, _LAST_LOOK_S)

    def open_tasks(self, execution_id: str | None = None) -> list[TaskSummary]:
        """Human tasks that wait for an answer: a run's, or all."""
        mine = {} if execution_id is None else {"execution_id": execution_id}
        return list(self.pages(tasks_list_all, status="open", **mine))

    def answer(self, task_id: str, decision: str, data: Any = None, comment: str | None = None) -> Any:
        """Answer a human task: `approve`, `reject` or `submit`."""
        return self.call(
            tasks_complete,
            task_id,
            body=TaskAnswerIn.from_dict({"decision": decision, "data": data, "comment": comment}),
        )


def _may_have_a_body(operation: ModuleType) -> bool:
    taken = inspect.signature(operation.sync_detailed).parameters.get("body")
    return taken is not None and isinstance(taken.default, Unset)


def _problem(status: int, content: bytes) -> Problem:
    import json

    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    return Problem(int(status), body if isinstance(body, dict) else {})
