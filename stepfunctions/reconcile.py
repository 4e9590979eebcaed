"""What is true of a run that its own calls could not say: its execution ended, never began, or goes on too long.

`ended` is told by an event of Step Functions, which may come late, twice, out of order or never. `sweep` looks by
itself, every minute, at what is due. Both come to the same few decisions, and making one twice changes nothing.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from shared.audit import service as audit
from shared.aws import states
from shared.clock import iso, now_ms
from shared.errors import NotFound
from shared.log import logger
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.side_by_side import in_turn, side_by_side
from shared.store.keys import CHILD, QUOTA, SWEEP_SHARDS, execution_of, is_guided, sweep_shards
from shared.store.table import Directory, TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Tenant, from_envelope, from_record_key
from stepfunctions import metering, plans
from stepfunctions.ending import look_at_child, wind_up
from stepfunctions.engine.boundary import described
from stepfunctions.start import launch

_AT_ONCE: Final = 100  # things of one shard that a sweep hears of at once
_LOOKS: Final = 6  # at the same time; with the audit log's no more than a client has connections
_RESERVE_SECONDS: Final = 10.0
_MAILS_SECONDS: Final = 15.0  # a sweep writes mails for so long: a slow mail server must not hold up what else is due
_MINUTE: Final = 60_000
_GRACE_MS: Final = _MINUTE  # after a run's deadline: its state machine has the same one
_SOONEST, _LATEST = 2 * _MINUTE, 60 * _MINUTE
_AFTER_TROUBLE: Final = 10 * _MINUTE
_ERROR_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,79}")


def ended(detail: Mapping[str, Any]) -> str:
    """Deal with a "Step Functions Execution Status Change" event's detail; gives what was done, in a word."""
    try:
        tenant = from_envelope(json.loads(detail["input"]))
        name, status = str(detail["name"]), str(detail["status"])
    except (KeyError, ValueError, TypeError):
        return "not_ours"
    execution_id, _, attempt = name.rpartition("-")
    try:
        run = RunStore(TenantTable(tenant)).get(execution_id)
    except NotFound:
        return "no_run"
    if attempt != str(run.attempt):
        # A call of it has handed the run over. It could not start the next execution itself: the runner, which does
        # what tenants ask for, may call nothing of Step Functions. Starting one that is there changes nothing.
        told = detail.get("error") in ("Continued", "Stopped")  # by that call, or by one that came after it
        handed_over = told and attempt == str(run.attempt - 1) and not run.ended
        return _launch_again(tenant, run) if handed_over else "other_attempt"
    return _conclude(tenant, run, status, detail.get("error"))


def _conclude(tenant: Tenant, run: Run, status: str, error: Any = None) -> str:
    """The execution of the run's current attempt has ended with this status: so has the run, and what belongs to it."""
    done = "closed_already"
    if status not in _ENDS:
        return "goes_on"
    if not run.ended:
        closed, what = _ENDS[status]
        told = f"{what} ({error})" if isinstance(error, str) and _ERROR_NAME.fullmatch(error) else what
        failure = None if closed != "failed" else _failure("Timeout" if status == "TIMED_OUT" else "Internal", told)
        won = RunStore(TenantTable(tenant)).close(run.id, closed, error=failure, attempt=run.attempt)
        done = closed if won is not None else "closed_already"
    wind_up(tenant, run)
    return done


_ENDS: Final[Mapping[str, tuple[Any, str]]] = {
    "SUCCEEDED": ("failed", "the state machine ended before the run had"),
    "FAILED": ("failed", "the state machine failed"),
    "TIMED_OUT": ("failed", "the run took longer than its workflow allows"),
    "ABORTED": ("cancelled", ""),
}


def _failure(error: str, message: str) -> dict[str, Any]:
    return {"node_id": None, "error": error, "message": message}


def sweep(remaining: Callable[[], float]) -> dict[str, int]:
    """Look at what is due, as long as time remains (seconds); gives how often what was done."""
    done: Counter[str] = Counter()
    counting = threading.Lock()
    mails_until = time.monotonic() + _MAILS_SECONDS

    def time_remains() -> bool:
        return remaining() >= _RESERVE_SECONDS

    def look(entry: Mapping[str, Any]) -> None:
        what = _look_at(entry, mails_until) if time_remains() else "left"
        with counting:
            done[what] += 1

    with ThreadPoolExecutor(1) as beside:  # many runs must not hold up the audit log, nor its entries the runs
        chained = beside.submit(audit.chain_due, remaining)
        side_by_side(_due(time_remains), look, _LOOKS)
        chained.result()
    return dict(done)


def _due(time_remains: Callable[[], bool]) -> Iterator[Mapping[str, Any]]:
    """What is due by now, of all shards in turn, in an order that changes: none is left over each time."""
    now = iso(now_ms())

    def of(shard: str) -> Iterator[Mapping[str, Any]]:
        for entries in Directory().due(shard, now, _AT_ONCE):
            yield from entries
            if not time_remains():
                return

    return in_turn(of(shard) for shard in random.sample(sweep_shards(), SWEEP_SHARDS))


def _look_at(entry: Mapping[str, Any], mails_until: float = 0.0) -> str:
    tenant = from_record_key(entry["PK"])
    execution_id = execution_of(entry["PK"])
    places = entry["PK"].endswith(f"#{QUOTA}")
    guided = is_guided(entry["PK"])
    if tenant is None or (execution_id is None and not (places or guided) and not entry["PK"].endswith("#TASKS")):
        return "unknown"
    try:
        if guided:
            from stepfunctions.guided_progress import look_at  # there are few, and it loads a lot

            return look_at(tenant, entry["SK"])
        if places:
            return metering.tidy(tenant, entry["SK"])
        if execution_id is None:
            TaskService(tenant).tidy(entry["SK"], mails_until)
            return "task"
        if entry["SK"] == "META":
            return _look_at_run(tenant, execution_id)
        return look_at_child(tenant, execution_id, entry["SK"].removeprefix(CHILD))
    except Exception as error:
        # Whatever it is, it must not stand in the way of what else is due: it is looked at again, later.
        logger("run-events").error("not_swept", tenant_id=tenant.id, thing=entry["SK"], **described(error))
        if not (places or guided):  # of those the next look is set already
            _postpone(tenant, execution_id, entry["SK"])
        return "trouble"


def _postpone(tenant: Tenant, execution_id: str | None, sk: str) -> None:
    again, runs = now_ms() + _AFTER_TROUBLE, RunStore(TenantTable(tenant))
    try:
        if execution_id is None:
            TaskService(tenant).look_again(sk, again)
        elif sk == "META":
            runs.look_again(execution_id, again)
        else:
            runs.look_at_child(execution_id, sk.removeprefix(CHILD), again)
    except Exception as error:
        logger("run-events").error("not_postponed", tenant_id=tenant.id, **described(error))


def _look_at_run(tenant: Tenant, execution_id: str) -> str:
    runs = RunStore(TenantTable(tenant))
    try:
        run = runs.get(execution_id)
    except NotFound:
        return "gone"
    if run.ended:
        return "closed_already"
    found = states.describe_execution(run.machine, run.execution_name)
    if found is not None and found["status"] in _ENDS:
        return _conclude(tenant, run, found["status"], found.get("error"))
    late = now_ms() - run.deadline
    # Without a Standard execution there is nothing to wait for: an Express one is over by now, or there was none.
    if late > (_GRACE_MS if found is not None else 0):
        done = _conclude(tenant, run, "TIMED_OUT")
        states.stop_execution(run.machine, run.execution_name)  # second, or the run would be taken for cancelled
        return done
    # First the next look, so that a launch that fails is tried again soon.
    age = now_ms() - run.created_at
    wait = min(max(age // 2, _SOONEST), _LATEST, -late + 2 * _GRACE_MS) if found is not None else _SOONEST
    runs.look_again(run.id, now_ms() + wait)
    if found is not None:
        return "goes_on"
    return _launch_again(tenant, run)


def _launch_again(tenant: Tenant, run: Run) -> str:
    """Start the execution of a run's current attempt, which whoever wrote it down has not."""
    try:
        plan = plans.load(tenant, run.plan)
    except LookupError:
        gone = _failure("Internal", "the run's plan is gone")
        RunStore(TenantTable(tenant)).close(run.id, "failed", error=gone, attempt=run.attempt)
        return "failed"
    launch(tenant, run, tuple(q.timeout_seconds for q in plan.questions))
    return "launched"
