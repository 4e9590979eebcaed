"""A chat: each message is a run of the published workflow, and its final output is the answer.

A thread is one run's at a time. The answer is appended when the run has ended: by the stream, which hears of every end;
by the caller, if they still wait; and by the next message, should both have failed. Each does it under the same key, so
it stands there once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.answers import size_of
from shared.chats.store import Turn, TurnStore
from shared.clock import now_ms
from shared.errors import Conflict, NotFound
from shared.ids import new_id
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.subscriptions.store import SubscriptionStore
from shared.tenancy import Principal, Tenant
from shared.threads.in_run import message_key
from shared.threads.model import MAX_MESSAGE
from shared.threads.store import ThreadStore
from stepfunctions import fire
from stepfunctions.engine.payloads import Value
from stepfunctions.published import Published
from stepfunctions.start import payload_objects, start

KIND: Final = "chat"
_HISTORY: Final = 50
_MAX_ANSWER: Final = 1_000_000
_ROOM: Final = MAX_MESSAGE - 100  # bytes of an answer as JSON; the rest is for the mark that it was cut
_BEING_MADE_MS: Final = 120_000  # longer than a call may take between its turn and its run
_FIRST_LOOK_S: Final = 0.05
_LAST_LOOK_S: Final = 0.5


class ThreadBusy(Conflict):
    """409: a run is at work on the message before this one."""

    code = "thread_busy"
    retry_after = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a message. `answer` is there when the run has completed."""

    thread_id: str
    run: Run
    answer: Any = None


def chat(
    who: Principal, workflow_id: str, message: str, thread_id: str | None, wait_seconds: float, mark: str | None
) -> Reply:
    """Say something in a thread (None: a new one) to a workflow, and wait for the answer. One `mark`: one run.

    Raises NotFound; Conflict: not published with a chat trigger (`no_chat`), or ThreadBusy; Invalid, TooLarge.
    """
    until = time.monotonic() + wait_seconds
    table = TenantTable(who.tenant)
    version, node_id, config = _target(who.tenant, workflow_id)
    run_id = new_id("ex") if mark is None else fire.id_for(who.tenant, mark)
    thread = thread_id or f"th_{run_id.removeprefix('ex_')}"
    run = RunStore(table).find(run_id)
    if run is None:
        _take(who.tenant, thread, run_id)
        try:
            data = {"message": message, "thread_id": thread, "history": _said(who, thread, run_id, message, config)}
            left = max(0.0, until - time.monotonic())
            by = {"kind": KIND, "id": thread, "user": who.person}
            run = start(
                who.tenant,
                version,
                trigger_node=node_id,
                trigger_data=data,
                triggered_by=by,
                execution_id=run_id,
                wait_seconds=left,
            )
        except Exception:  # whatever it is: a thread whose run is not there is not to stay taken
            if RunStore(table).find(run_id) is None:
                TurnStore(table).give_back(thread, run_id)
            raise
    run = _awaited(RunStore(table), run.id, until)
    settle(who.tenant, run)
    answer = _value(who.tenant, run) if run.status == "completed" else None
    return Reply(thread, run, answer)


def settle(tenant: Tenant, run: Run) -> None:
    """A chat's run may have ended: then its answer goes into the thread, and the thread is free for the next message.

    Doing it again changes nothing.
    """
    if run.triggered_by.get("kind") != KIND or not run.ended:
        return
    table, thread = TenantTable(tenant), run.triggered_by["id"]
    text = _text(_value(tenant, run)) if run.status == "completed" else ""
    if text:
        threads = ThreadStore(table, run.id)
        try:
            threads.get(thread)
        except NotFound:  # it was removed meanwhile
            text = ""
        else:
            threads.append(thread, [{"role": "assistant", "content": text}], key=f"{run.id} answer")
    TurnStore(table).give_back(thread, run.id)


def ended(tenant: Tenant, execution_id: str) -> None:
    """The stream says that a run has ended, perhaps a chat's."""
    run = RunStore(TenantTable(tenant)).find(execution_id)
    if run is not None:
        settle(tenant, run)


def _target(tenant: Tenant, workflow_id: str) -> tuple[Published, str, Mapping[str, Any]]:
    version = fire.published(tenant, workflow_id)
    if version is None:
        # Whether it is unknown or not published: only its own tenant gets to know.
        from shared.workflows.store import WorkflowStore

        WorkflowStore(TenantTable(tenant)).get(workflow_id)
    found = SubscriptionStore(TenantTable(tenant)).of("chat_trigger", workflow_id)
    for subscription in found:
        if version is not None and (subscription.node_id, "chat_trigger") in version.triggers:
            return version, subscription.node_id, subscription.config
    raise Conflict("the workflow is not published with a chat trigger", code="no_chat")


def _take(tenant: Tenant, thread: str, run_id: str) -> None:
    table = TenantTable(tenant)
    turns = TurnStore(table)
    other = turns.take(thread, run_id)
    if other is not None and _is_over(tenant, other):
        other = turns.take(thread, run_id, instead_of=other)
    if other is not None:
        raise ThreadBusy(f"execution {other.execution_id} is at work on the message before; wait for its answer")


def _is_over(tenant: Tenant, turn: Turn) -> bool:
    """Whether the run of a turn has ended, which makes its answer stand in the thread."""
    run = RunStore(TenantTable(tenant)).find(turn.execution_id)
    if run is None:  # deleted, or its caller has died before it was there
        return now_ms() - turn.at > _BEING_MADE_MS
    settle(tenant, run)
    return run.ended


def _said(who: Principal, thread: str, run_id: str, message: str, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Append the message; gives what was said before it."""
    threads = ThreadStore(TenantTable(who.tenant), who.id)
    number = threads.append(thread, [{"role": "user", "content": message}], key=message_key(run_id))
    return threads.history(thread, int(config.get("history_limit", _HISTORY)), before=number)


def _awaited(runs: RunStore, execution_id: str, until: float) -> Run:
    pause = _FIRST_LOOK_S
    while True:
        run = runs.get(execution_id)
        left = until - time.monotonic()
        if run.ended or run.status == "paused" or left <= 0:
            return run
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LAST_LOOK_S)


def _value(tenant: Tenant, run: Run) -> Any:
    if run.final_output is None:
        return None
    return Value(encoded=run.final_output, objects=payload_objects(tenant)).get()


def _text(answer: Any) -> str:
    """An answer as it stands in a thread: text as it is, anything else as JSON; the beginning of one that is long."""
    text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer, ensure_ascii=False)
    if _size(text) > _ROOM:
        text = text.encode()[: _ROOM // 2].decode(errors="ignore")
        if _size(text) > _ROOM:  # JSON writes a control character in six
            text = text[: _ROOM // 6]
        text += " …"
    return text


def _size(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode())


def shown(answer: Any) -> Any:
    """An answer as the API gives it: one that is very long only as the text that stands in the thread."""
    size = size_of(json.dumps(answer, ensure_ascii=False).encode())
    return answer if size <= _MAX_ANSWER else _text(answer)
