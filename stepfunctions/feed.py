"""From the table's stream to events: what the journal, a run and its tasks tell when they change. What guided
conversations tell is `stepfunctions.guided_events`.

All of a run's changes are in one partition, so the stream has them in order; the events take their order from it.
Events are written into that partition too. Such writes tell nothing, so the stream does not feed itself. It may be
behind when a run is deleted, and write events of what came before beside nothing: so it removes them where, in its
order, it comes to the deletion. To ask before each write would cost every event a read, and leave a gap all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, Final, TypeAlias, TypeVar

from shared.aws.dynamo import Item
from shared.aws.streams import Change, Undecodable, read
from shared.errors import NotFound
from shared.events.model import TYPES, Event, EventType
from shared.events.service import publish
from shared.log import logger
from shared.runs.model import ENDED, NodeRecord
from shared.runs.store import RunStore
from shared.store.keys import execution_of, is_guided
from shared.store.table import TenantTable
from shared.tenancy import Tenant, from_record_key
from shared.webhooks_out.outbox import tell as webhooks_out
from stepfunctions.announce import announce, tell_failures
from stepfunctions.engine.boundary import described
from stepfunctions.engine.journal import records_of
from stepfunctions.metering import heard

_TOGETHER: Final = 8  # runs whose events are written at the same time
_ITERATIONS: Final = 20  # of each loop of the workflow's own level; the rest, and loops in loops, tell nothing

_E = TypeVar("_E")
_Listener: TypeAlias = tuple[str, Callable[[], object]]  # for the log, what is told; and the telling
_Told: TypeAlias = Iterator[tuple[str, int | None, Mapping[str, Any]]]  # type, moment (None: the write's), facts


def feed(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Publish what the stream's records tell; gives the sequence numbers that are to be handed over again."""
    runs: dict[tuple[Tenant, str], list[tuple[str, Change]]] = {}
    guided: dict[tuple[Tenant, str], list[tuple[str, Change]]] = {}
    for record in records:
        try:
            change = read(record)
        except Undecodable as error:
            logger("stream").error("skipped", **described(error))
            continue
        tenant, subject_id = _whose(change)
        if tenant is not None and subject_id is not None:
            number = record["dynamodb"]["SequenceNumber"]
            into = guided if is_guided(change.pk) else runs
            into.setdefault((tenant, subject_id), []).append((number, change))
    with ThreadPoolExecutor(_TOGETHER) as pool:
        fed = list(pool.map(lambda run: _feed_run(run[0][0], run[0][1], [c for _, c in run[1]]), runs.items()))
    there = {run: [c for _, c in told if c.new is not None] for run, told in runs.items()}
    uncounted = heard({run: changes for run, changes in there.items() if changes})
    again = [told[0][0] for done, (run, told) in zip(fed, runs.items(), strict=True) if not done or run in uncounted]
    return again + [told[0][0] for whose, told in guided.items() if not _feed_guided(*whose, [c for _, c in told])]


def _whose(change: Change) -> tuple[Tenant | None, str | None]:
    """The tenant, and the run or guided conversation, that a change is about, if it is one that may tell something."""
    telling = change.sk == "META" or (change.new is not None and change.sk.startswith(("J#", "TASK#")))
    subject_id = execution_of(change.pk) if telling else None
    if change.new is not None and is_guided(change.pk):
        subject_id = change.sk
    try:
        return (from_record_key(change.pk) if subject_id else None), subject_id
    except ValueError:
        return None, None


def _feed_guided(tenant: Tenant, instance_id: str, changes: Sequence[Change]) -> bool:
    """As `_feed_run`, for one guided conversation."""
    from stepfunctions import guided_events  # few changes are a guided conversation's

    about = {"instance_id": instance_id}
    events = [e for c in changes for e in _decoded(about, partial(guided_events.events_of, instance_id, c))]
    return _tell(tenant, about, guided_events.listeners(tenant, instance_id, events))


def _feed_run(tenant: Tenant, execution_id: str, changes: Sequence[Change]) -> bool:
    """Publish one run's events; False if they have to be handed over again.

    Whoever cannot be told does not keep the others from being told: Lambda hands a batch over some times, not for ever.
    """
    about = {"execution_id": execution_id}
    try:
        listeners: list[_Listener] = []
        workflow_id = _workflow_of(tenant, execution_id)
        if workflow_id is not None:
            events = [e for c in changes for e in _decoded(about, partial(events_of, execution_id, workflow_id, c))]
            listeners = list(_listeners(tenant, execution_id, changes, events))
        if deleted := [_place(c) for c in changes if c.new is None]:
            remove = RunStore(TenantTable(tenant)).delete_events
            listeners.append(("deletion", partial(remove, execution_id, deleted[-1])))
    except Exception as error:  # whatever it is: other runs' changes go on; this one's are handed over again
        return _not_fed(tenant, about, "read", error)
    return _tell(tenant, about, listeners)


def _tell(tenant: Tenant, about: Mapping[str, str], listeners: Iterable[_Listener]) -> bool:
    done = True
    for what, tell in listeners:
        try:
            tell()
        except Exception as error:  # the others are told all the same
            done = _not_fed(tenant, about, what, error)
    return done


def _not_fed(tenant: Tenant, about: Mapping[str, str], what: str, error: Exception) -> bool:
    facts: dict[str, Any] = {**about, **described(error)}
    logger("stream").error("not_fed", tenant_id=tenant.id, what=what, **facts)
    return False


def _listeners(
    tenant: Tenant, execution_id: str, changes: Sequence[Change], events: Sequence[Event]
) -> Iterator[_Listener]:
    """Who is told of a run's changes, in this order. To be told again changes nothing for any of them."""
    yield "events", lambda: publish(tenant, execution_id, events)
    yield "bus", lambda: announce(tenant, execution_id, events)
    yield "webhooks", lambda: webhooks_out(tenant, execution_id, events)
    yield "failures", lambda: tell_failures(tenant, events)
    of_canary = [c.new for c in changes if c.sk == "META" and c.new is not None and "canary" in c.new]
    for run in of_canary:
        from stepfunctions.canary_ends import run_ended  # few runs are a canary's

        yield "canary", partial(run_ended, tenant, execution_id, run)
    if any(_is_end_of(c, "guided") for c in changes):
        from stepfunctions.guided_progress import ended as guided_ended  # nor a guided conversation's

        yield "guided", lambda: guided_ended(tenant, execution_id)
    if any(_is_end_of(c, "chat") for c in changes):
        from stepfunctions.chat import ended  # few runs are a chat's

        yield "chat", lambda: ended(tenant, execution_id)


def _is_end_of(change: Change, kind: str) -> bool:
    """Whether a run has ended that this kind of thing has started."""
    if change.sk != "META" or change.new is None or change.new.get("status") not in ENDED:
        return False
    by = json.loads(change.new.get("triggered_by", "{}"))
    return isinstance(by, dict) and by.get("kind") == kind


def _decoded(about: Mapping[str, str], read_change: Callable[[], list[_E]]) -> list[_E]:
    """The events of a change. One that cannot be understood tells nothing: it would only hold up all that follow."""
    try:
        return read_change()
    except Exception as error:  # whatever it is: handing the change over again would not mend it
        facts: dict[str, Any] = {**about, **described(error)}
        logger("stream").error("skipped", **facts)
        return []


def events_of(execution_id: str, workflow_id: str, change: Change) -> list[Event]:
    """The events that one change of a run's partition tells of, in order."""
    if change.new is None:
        return []
    if change.sk == "META":
        told = _run(change.old, change.new)
    elif change.sk.startswith("J#"):
        told = _nodes(change.old, change.new)
    elif change.sk.startswith("TASK#"):
        told = _task(change.old, change.new)
    else:
        return []
    return [
        Event(
            sequence=f"{_place(change)}-{index:05d}",  # as wide as any count of records in a pack
            type=_known(kind),
            execution_id=execution_id,
            workflow_id=workflow_id,
            at=change.at if at is None else at,
            facts=facts,
        )
        for index, (kind, at, facts) in enumerate(told)
    ]


def _place(change: Change) -> str:
    """Where a change is in the stream, as wide as any sequence number (40 digits)."""
    return f"{int(change.sequence):040d}"


def _known(kind: str) -> EventType:
    if kind not in TYPES:
        raise ValueError("no such type of event")
    return kind  # type: ignore[return-value]  # just looked up among them


def _run(old: Item | None, new: Item) -> _Told:
    before, status = (old or {}).get("status"), new["status"]
    if status == before or status == "pending":
        return
    facts: dict[str, Any] = {"status": status, "attempt": new["attempt"]}
    if status == "running":
        resumed = before == "paused"
        yield f"execution_{'resumed' if resumed else 'started'}", None, facts
    elif status == "paused":
        yield "execution_paused", None, facts | {"pause_reason": new.get("pause_reason")}
    else:
        ended = new["completed_at"]
        facts["duration_ms"] = ended - new.get("started_at", new["created_at"])
        yield f"execution_{status}", ended, facts | _failure(new.get("error"))


def _failure(stored: str | None) -> dict[str, Any]:

    error = json.loads(stored) if stored else {}
    return {"error": error.get("error"), "node_id": error.get("node_id")}


def _nodes(old: Item | None, new: Item) -> _Told:
    before = old.get("status") if old else None
    if "pack" not in new and new["status"] == before:  # a lease renewed
        return
    for record in records_of(new):
        if record.origin is not None or not _within(record.scope):  # or it was not this run that did it
            continue
        facts: dict[str, Any] = {
            "node_id": record.node,
            "scope": record.scope or None,
            "status": record.status,
            "attempts": record.attempts,
        }
        if record.status in ("completed", "failed", "skipped"):
            facts["duration_ms"] = _duration(record)
            facts["error"] = (record.error or {}).get("error")
            yield f"node_{record.status}", record.completed_at, facts
        elif record.status == "running" or (record.status == "paused" and before is None):
            yield "node_started", record.started_at, facts


def _within(scope: str) -> bool:
    """Whether this scope's nodes tell of themselves: the workflow's own, and the first iterations of its loops."""
    container, _, iteration = scope.partition("/")
    return not container or (iteration.isdigit() and int(iteration) < _ITERATIONS)


def _duration(record: NodeRecord) -> int | None:
    if record.started_at is None or record.completed_at is None:
        return None
    return record.completed_at - record.started_at


def _task(old: Item | None, new: Item) -> _Told:
    status = new["status"]
    if old is not None and old["status"] == status:
        return
    facts = {
        "task_id": new["task_id"],
        "node_id": new["node_id"],
        "title": new["title"],
        "status": status,
        "decision": new.get("decision"),
        "completed_by": new.get("completed_by"),
    }
    yield f"task_{'created' if status == 'open' else status}", new.get("completed_at"), facts


def _workflow_of(tenant: Tenant, execution_id: str) -> str | None:
    """The workflow of a run; None when the run was deleted — nothing is to be written beside it then — or is yet to
    come: the journal of a run that begins with results is written before the run.
    """
    try:
        return _workflow_of_known(tenant, execution_id)
    except NotFound:
        return None


@lru_cache(2_000)
def _workflow_of_known(tenant: Tenant, execution_id: str) -> str:
    """The workflow of a run that is there, which never changes. Raises NotFound."""
    return RunStore(TenantTable(tenant)).get(execution_id).workflow_id
