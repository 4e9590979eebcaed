"""Where a call of the state machine meets Lambda: one log line a call, and nothing of a tenant's in what is raised.

What a function raises ends up in the execution's history and in the function's log. The exceptions of
`stepfunctions.engine.errors` are made for that and pass. Any other is logged by its type and by where it was raised,
and becomes an `EngineFault`, which says nothing more: its message or its frames may hold a tenant's data.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import PurePath
from time import perf_counter_ns
from typing import Any, Final, TypeVar

from shared.log import logger
from stepfunctions.engine.errors import BodyFailed, Busy, Continued, NodeFailed, Paused, Stopped, TimeSlice

T = TypeVar("T")

_ON_PURPOSE: Final = (TimeSlice, Busy, Paused, Stopped, NodeFailed, BodyFailed, Continued)
_MAX_PLACES: Final = 12


class EngineFault(Exception):
    """A call failed in a way that nobody foresaw; the state calls again. The function's log says where."""


def answer(service: str, event: Mapping[str, Any], request_id: str, work: Callable[[], T]) -> T:
    """What `work` gives, with one line in the log of `service`. Raises as the module says."""
    started = perf_counter_ns()
    outcome, fault = "done", None
    try:
        return work()
    except _ON_PURPOSE as error:
        outcome = type(error).__name__
        raise
    except Exception as error:
        outcome, fault = "fault", error
    finally:
        log = logger(service)
        (log.error if fault else log.info)(
            "call",
            request_id=request_id,
            outcome=outcome,
            **_which(event),
            **(described(fault) if fault else {}),
            ms=round((perf_counter_ns() - started) / 1e6, 1),
        )
    raise EngineFault("the call failed; the function's log says where")


def described(error: BaseException) -> dict[str, Any]:
    """An exception for the log: its type and where it came from, without its message."""
    places = traceback.extract_tb(error.__traceback__)[-_MAX_PLACES:]
    return {"error": type(error).__name__, "at": [f"{PurePath(p.filename).name}:{p.lineno} {p.name}" for p in places]}


def _which(event: Mapping[str, Any]) -> dict[str, Any]:
    """Which run and which part of it; an event that is none of ours gives nothing, and then fails in `work`."""
    run = event.get("run")
    known = {"tenant_id": "tenant", "execution_id": "execution"}
    ids = {name: run.get(key) for name, key in known.items()} if isinstance(run, Mapping) else {}
    return ids | {part: event[part] for part in ("segment", "turn", "question", "park") if part in event}
