"""What arrives from the bus: events of a tenant, and S3's notices of its files. Each may start runs.

An arrival may come more than once and late. Each trigger it fits starts one run for it, however often it comes; if one
trigger's run cannot be started, the others' are, and the call fails in the end, so that the arrival comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

from shared.clock import now_ms
from shared.errors import Invalid, NotFound
from shared.files.rules import checked_path
from shared.files.store import FileStore, KnownFiles
from shared.ids import digest
from shared.log import logger
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.subscriptions.model import Subscription
from shared.subscriptions.store import SubscriptionStore
from shared.tenancy import Tenant, from_envelope, from_object_key
from shared.triggers import globs, patterns
from stepfunctions import fire
from stepfunctions.engine.boundary import described
from stepfunctions.engine.payloads import Value
from stepfunctions.published import Published
from stepfunctions.start import payload_objects, refuse

MAX_CHAIN: Final = 5  # runs, each started by an event or a file of the one before it
_TOO_LONG: Final[Mapping[str, Any]] = {
    "node_id": None,
    "error": "ChainTooLong",
    "message": f"not started: at most {MAX_CHAIN} runs may start each other by events or files. Does this workflow "
    "listen for what it causes itself?",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a trigger is to be started with. `id` tells it apart; `chain` counts the runs that led to it."""

    id: str
    data: Mapping[str, Any]
    triggered_by: Mapping[str, Any]
    chain: int


def event_arrived(detail: Mapping[str, Any]) -> list[str]:
    """An event of the bus (see `stepfunctions.announce`): the ids of the runs that it starts, or has started."""
    tenant = from_envelope(dict(detail))
    event = Value(encoded=detail["event"], objects=payload_objects(tenant)).get()
    by = {"kind": "event", "id": event["id"], "user": None}
    # Both as they are: joined, "a b" and "c" would be "a" and "b c".
    arrival = Arrival(digest(event["source"], event["id"]), {"event": event}, by, int(detail["chain"]))
    fitting = [
        s
        for s in SubscriptionStore(TenantTable(tenant)).of("event_listener")
        if patterns.matches(s.config["pattern"], event)
    ]
    return _start_all(tenant, fitting, lambda: arrival)


def file_arrived(kind: str, detail: Mapping[str, Any]) -> list[str]:
    """S3's notice `Object Created` or `Object Deleted`: the ids of the runs that it starts, or has started."""
    told = detail["object"]
    whose = from_object_key(told["key"])
    if whose is None or not _is_path(whose[1]):
        return []
    tenant, path = whose
    is_there = kind == "Object Created"
    table = TenantTable(tenant)
    # Also where nobody watches: who watches tomorrow has to be told of a change that it is one.
    event = KnownFiles(table).tell(path, str(told["sequencer"]), is_there=is_there)
    fitting = [s for s in SubscriptionStore(table).of("file_watch") if watches(s.config, path, event)]

    def arrival() -> Arrival:
        data = {"filepath": path, "event": event, "size": int(told.get("size") or 0) if is_there else 0}
        by = {"kind": "file", "id": path, "user": None}
        chain = _writers_chain(table, path) if is_there else 0
        return Arrival(f"{path} {told['sequencer']} {kind}", data, by, chain)

    return _start_all(tenant, fitting, arrival)


def _is_path(name: str) -> bool:
    """Whether this is the name of a file, and not that of a folder which a console has made, say."""
    try:
        return checked_path(name) == name
    except Invalid:
        return False


def watches(config: Mapping[str, Any], path: str, event: str) -> bool:
    """Whether a `file_watch` node with this config (defaults may be missing) is for this event of this file."""
    # As paths are: a Mac's keyboard, say, may have written another form of the same letters.
    prefix, glob = (normalize("NFC", text) for text in (config.get("prefix", ""), config.get("glob", "**")))
    if event not in config.get("events", ("created", "changed")) or not path.startswith(prefix):
        return False
    return globs.fits(glob, path.removeprefix(prefix))


def _writers_chain(table: TenantTable, path: str) -> int:
    """The runs that led to a file: none, or those of the run that wrote it, and that one."""
    try:
        writer = FileStore(table).find(path).run
    except NotFound:
        return 0
    if writer is None:
        return 0
    try:
        return RunStore(table).get(writer).chain + 1
    except NotFound:
        return 1


def _start_all(tenant: Tenant, fitting: Iterable[Subscription], make: Callable[[], Arrival]) -> list[str]:
    started: list[str] = []
    failures: list[Exception] = []
    arrival: Arrival | None = None
    for subscription in fitting:
        try:
            arrival = arrival or make()
            run = _start(tenant, subscription, arrival)
        except Exception as error:  # whatever it is: the other triggers are not to wait for it
            failures.append(error)
            logger("dispatcher").error("not_started", workflow_id=subscription.workflow_id, **described(error))
            continue
        if run is not None:
            started.append(run.id)
    if failures:
        raise failures[0]
    return started


def _start(tenant: Tenant, subscription: Subscription, arrival: Arrival) -> Run | None:
    version = fire.published(tenant, subscription.workflow_id)
    if version is None or (subscription.node_id, subscription.kind) not in version.triggers:
        return None
    occasion = digest(subscription.kind, subscription.workflow_id, subscription.node_id, arrival.id)
    if arrival.chain > MAX_CHAIN:
        return _refused(tenant, version, subscription, arrival, occasion)
    return fire.fire(
        tenant,
        version,
        subscription.node_id,
        arrival.data,
        arrival.triggered_by,
        occasion=occasion,
        chain=arrival.chain,
    )


def _refused(
    tenant: Tenant, version: Published, subscription: Subscription, arrival: Arrival, occasion: str
) -> Run | None:
    """A run that has failed before it began, so that people see why nothing goes on. What *it* leads to is dropped."""
    logger("dispatcher").warning(
        "chain_too_long", tenant_id=tenant.id, workflow_id=version.workflow_id, chain=arrival.chain, at=now_ms()
    )
    if arrival.chain > MAX_CHAIN + 1:
        return None
    return refuse(
        tenant,
        version,
        trigger_node=subscription.node_id,
        trigger_data=arrival.data,
        triggered_by=arrival.triggered_by,
        execution_id=fire.id_for(tenant, occasion),
        chain=arrival.chain,
        error=_TOO_LONG,
    )
