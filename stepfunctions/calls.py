"""What the state machine's functions do with an event: mint the tenant, load the plan, let the engine work.

The event of a segment is `{run, segment}`, of a container's turn `{run, turn}`, of a question `{run, question, token}`,
of a parking state `{run, park, token}`; `run` is what `start` gave the execution: `{tenant, execution, attempt, plan,
timeouts}`, with the passes that the state is in: `at`, such as `3/0`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.aws import states
from shared.aws.clients import client
from shared.clock import now_ms, parse
from shared.expressions import jsonata
from shared.nodes.base import Asked, Ended, Wanted
from shared.runs.model import NodeRecord
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tenancy import Tenant, from_envelope
from stepfunctions import plans
from stepfunctions.engine.boundary import answer
from stepfunctions.engine.segment import Engine
from stepfunctions.outside import Outside
from stepfunctions.start import payload_objects

if TYPE_CHECKING:
    from shared.tasks.service import Desk
    from shared.usage.service import Account
    from shared.usage.tokens import Used
    from stepfunctions.children import Children

T = TypeVar("T")

_THREADS: Final = 64  # are made when they are needed; asyncio's own default is four more than there are CPUs

_thread = threading.local()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on this thread's one event loop, so that warm connections of the nodes' clients live on between calls."""
    if not hasattr(_thread, "loop"):
        _thread.loop = asyncio.new_event_loop()
        # A few nodes that block for minutes must not hold all threads: leases are renewed in them, too.
        _thread.loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="call"))
    loop: asyncio.AbstractEventLoop = _thread.loop
    return loop.run_until_complete(work)


def close() -> None:
    """Close what belongs to this thread: its event loop and compiled expressions. For threads that end early."""
    loop: asyncio.AbstractEventLoop | None = _thread.__dict__.pop("loop", None)
    if loop is not None:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    jsonata.forget()


def runner(name: str) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The handler of a function that runs segments; there are two, which differ in the libraries they bring.

    It gives `{until: […]}` for the timers behind the segment. What it raises, the state's Retry and Catch know by name.
    """

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        owner: str = context.aws_request_id

        def remaining() -> float:
            left = float(context.get_remaining_time_in_millis()) / 1000
            return min(left, _left(event["within"])) if "within" in event else left

        return answer(name, event, owner, lambda: segment_call(event, owner=owner, remaining=remaining))

    if settings().table:
        client("dynamodb")  # every call needs it: made while the process starts, when Lambda gives the most CPU
    return handler


def _left(within: Mapping[str, Any]) -> float:
    """The seconds that an Express execution leaves its calls: so many after its start, for it does not wait longer."""
    return float((parse(within["since"]) - now_ms()) / 1000 + within["seconds"])


def segment_call(event: Mapping[str, Any], *, owner: str, remaining: Callable[[], float]) -> dict[str, Any]:
    """Run a segment or a turn; gives `{until: […]}`, and for a turn `turn`. Raises what the engine's errors list."""
    tenant, run = from_envelope(event["run"]), event["run"]
    engine, plan = _engine(tenant, run, owner, remaining), plans.load(tenant, run["plan"])
    if "turn" in event:
        broken = bool(run.get("broken"))
        return _run(engine.turn(plan, run["execution"], event["turn"], _at(run), broken=broken))
    return _run(engine.segment(plan, run["execution"], event["segment"], _at(run)))


def _at(run: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(number) for number in run["at"].split("/")) if run.get("at") else ()


def token_call(event: Mapping[str, Any], *, owner: str, remaining: Callable[[], float]) -> None:
    """Keep a task token: for a question that somebody has to answer, or for a paused run that somebody resumes."""
    tenant, run, token = from_envelope(event["run"]), event["run"], event["token"]
    if "park" in event:
        from stepfunctions.control import park

        state = f"{event['park']} {run['at']}" if run.get("at") else event["park"]
        park(tenant, run["execution"], run.get("attempt", 0), state, token)
        return
    engine, plan = _engine(tenant, run, owner, remaining), plans.load(tenant, run["plan"])
    if not _run(engine.question(plan, run["execution"], event["question"], token, _at(run))):
        states.send_success(token)


def _engine(tenant: Tenant, run: Mapping[str, Any], owner: str, remaining: Callable[[], float]) -> Engine:
    return Engine(
        runs=RunStore(TenantTable(tenant)),
        desk=_Waiting(tenant, run["execution"], run.get("attempt", 0)),
        objects=payload_objects(tenant),
        new_world=lambda: Outside(tenant, run["execution"]),
        remaining=remaining,
        owner=owner,
        attempt=run.get("attempt"),
        account=_Account(tenant),
    )


class _Account:
    """What a tenant's models may use and cost, imported when a node asks one."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def refusal(self) -> str | None:
        return self._account().refusal()

    def cost(self, used: Used) -> int:
        return self._account().cost(used)

    def _account(self) -> Account:
        from shared.usage.service import Account

        return Account(self._tenant)


class _Waiting:
    """A run's view of what its waits need, imported when it waits: most segments do not, and start sooner so."""

    def __init__(self, tenant: Tenant, execution_id: str, attempt: int) -> None:
        self._tenant = tenant
        self._execution = execution_id
        self._attempt = attempt

    def open(self, task_id: str, node_id: str, asked: Asked, token: str) -> bool:
        return self._desk().open(task_id, node_id, asked, token)

    def settle(self, task_id: str) -> Mapping[str, Any] | None:
        return self._desk().settle(task_id)

    def begin(self, record: NodeRecord, wanted: Wanted, token: str) -> bool:
        return self._children().begin(record, wanted, token)

    def ended(self, child_id: str) -> Ended | None:
        return self._children().ended(child_id)

    def _desk(self) -> Desk:
        from shared.tasks.service import TaskService

        return TaskService(self._tenant).desk(self._execution, self._attempt)

    def _children(self) -> Children:
        from stepfunctions.children import Children

        return Children(self._tenant, self._execution, self._attempt)
