"""The webhooks and schedules of a workflow follow its published version; people look at them, pause and rotate them.

Which version a call starts, and what it demands of the request, is looked up when the call comes: making a version the
published one switches all of a workflow's webhooks at once. What `sync` does after that can be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from shared.clock import iso, now_ms
from shared.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from shared.settings import settings
from shared.store.pages import MAX_LIMIT, Listing
from shared.store.table import TenantTable
from shared.subscriptions.service import follow
from shared.tenancy import Principal, Tenant
from shared.triggers import cron, placing, sealing
from shared.triggers.model import Schedule, ScheduleState, Webhook
from shared.triggers.store import TriggerStore
from shared.workflows.record import Workflow, being_deleted
from shared.workflows.store import WorkflowStore

if TYPE_CHECKING:
    from shared.workflows.model import Document, Node

WEBHOOK: Final = "http_webhook"
SCHEDULE: Final = "schedule"
MAX_GRACE_S: Final = 7 * 86_400


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook as people see it. While no published version has its node, `is_live` is false and `config` empty."""

    id: str
    workflow_id: str
    node_id: str
    url: str
    test_url: str
    is_live: bool
    config: Mapping[str, Any]
    has_secret: bool
    previous_secret_until: int | None
    created_at: int
    revision: int


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """A schedule as people see it. `next_runs` are its next instants, `last_run_at` the last one (ms)."""

    id: str
    workflow_id: str
    node_id: str
    state: ScheduleState
    config: Mapping[str, Any]
    next_runs: tuple[int, ...]
    created_at: int
    revision: int
    last_run_at: int | None
    last_execution_id: str | None


# --- following the published version ---------------------------------------------------------------------------------


def sync(tenant: Tenant, workflow_id: str, version: int, document: Document | None) -> list[dict[str, Any]]:
    """Make the workflow's webhooks, schedules and subscriptions those of this version, which is published already.

    None removes them all. Gives them as JSON; a webhook whose secret was made just now shows it, this once.
    Raises Unavailable if not all of it could be done: the version is the published one, and a repeat does the rest.
    """
    store = TriggerStore(TenantTable(tenant))
    nodes = () if document is None else document.nodes
    hooks = [n for n in nodes if n.type == WEBHOOK]
    timed = [n for n in nodes if n.type == SCHEDULE]
    try:
        made = [s for s in (_synced_schedule(store, workflow_id, version, node) for node in timed) if s]
        made += follow(TenantTable(tenant), workflow_id, version, document)
        _remove_webhooks(store, workflow_id, version, {n.id for n in hooks})
        _remove_schedules(store, workflow_id, version, {n.id for n in timed})
        # Last: a new secret is shown only if nothing fails after it was made.
        made += [_synced_webhook(store, tenant, workflow_id, version, node) for node in hooks]
    except Unavailable as error:
        detail = f"not all webhooks and schedules of version {version} are in place ({error.detail}); repeat the call"
        raise Unavailable(detail, code="triggers_incomplete") from error
    return made


def _synced_webhook(store: TriggerStore, tenant: Tenant, workflow_id: str, version: int, node: Node) -> dict[str, Any]:
    hook = store.ensure_webhook(workflow_id, node.id, version)
    secret = None
    if hook.secret is None and node.config.get("auth", "none") != "none":
        hook, secret = _with_first_secret(store, tenant, hook)
    url, test_url = _addresses(hook.id)
    shown = {"type": WEBHOOK, "id": hook.id, "node_id": node.id, "url": url, "test_url": test_url}
    return shown | {"auth": node.config.get("auth", "none")} | ({"secret": secret} if secret else {})


def _with_first_secret(store: TriggerStore, tenant: Tenant, hook: Webhook) -> tuple[Webhook, str | None]:
    secret = sealing.new_secret()
    try:
        return store.change_webhook(hook, {"secret": sealing.seal(tenant, hook.id, secret)}), secret
    except PreconditionFailed:  # somebody else has made one meanwhile, and was shown it
        return store.webhook(hook.id), None


def _synced_schedule(store: TriggerStore, workflow_id: str, version: int, node: Node) -> dict[str, Any] | None:
    kept = store.ensure_schedule(workflow_id, node.id, version, node.config, disabled=node.disabled)
    if kept is None:
        return None
    placed = placing.place(store, kept)
    if placed is None:
        return None
    following = _next_runs(placed, 1)
    return {
        "type": SCHEDULE,
        "id": placed.id,
        "node_id": node.id,
        "state": placed.state,
        "next_run_at": iso(following[0]) if following else None,
    }


def suspend(tenant: Tenant, workflow_id: str, version: int) -> None:
    """The workflow is not published any more: its schedules and subscriptions go.

    Its webhooks keep their addresses and secrets, which other systems know, and answer 404 until it is published
    again. Raises Unavailable if not all of it could be done; a repeat does the rest.
    """
    follow(TenantTable(tenant), workflow_id, version, None)
    _remove_schedules(TriggerStore(TenantTable(tenant)), workflow_id, version, set())


def _remove_webhooks(store: TriggerStore, workflow_id: str, version: int, kept: set[str]) -> None:
    for node_id, webhook_id in store.webhooks_of(workflow_id).items():
        if node_id not in kept:
            store.remove_webhook(workflow_id, node_id, webhook_id, version)


def _remove_schedules(store: TriggerStore, workflow_id: str, version: int, kept: set[str]) -> None:
    for schedule in store.schedules_of(workflow_id):
        if schedule.node_id not in kept and schedule.version <= version:
            placing.remove(store, schedule.id, version)


# --- webhooks --------------------------------------------------------------------------------------------------------


def webhooks(who: Principal, workflow_id: str | None, cursor: str | None, limit: int) -> Listing[WebhookView]:
    """Some webhooks, of one workflow or of all."""
    workflow = lru_cache(MAX_LIMIT)(lambda found: _workflow(who.tenant, found))

    def shown(hook: Webhook) -> WebhookView:
        return _webhook_view(hook, workflow(hook.workflow_id))

    return _store(who.tenant).webhooks(workflow_id, cursor, limit, shown)


def webhook(who: Principal, webhook_id: str) -> WebhookView:
    """One webhook. Raises NotFound."""
    found = _store(who.tenant).webhook(webhook_id)
    return _webhook_view(found, _workflow(who.tenant, found.workflow_id))


def create_webhook(who: Principal, workflow_id: str, node_id: str) -> tuple[WebhookView, str | None]:
    """The addresses of a draft's node, before it is published; with its secret, if it is made by this.

    Raises NotFound; Conflict if the draft has no such webhook node, or the workflow is being deleted.
    """
    workflow, document = WorkflowStore(TenantTable(who.tenant)).get_with_document(workflow_id)
    if workflow.deleting_since is not None:
        raise being_deleted(workflow_id)
    nodes: Sequence[Mapping[str, Any]] = [n for n in document["nodes"] if n["id"] == node_id and n["type"] == WEBHOOK]
    if not nodes:
        raise Conflict(f"the draft has no {WEBHOOK} node {node_id}", code="no_webhook_node")
    store, secret = _store(who.tenant), None
    hook = store.ensure_webhook(workflow_id, node_id, workflow.published_version or 0)
    if hook.secret is None and nodes[0].get("config", {}).get("auth", "none") != "none":
        hook, secret = _with_first_secret(store, who.tenant, hook)
    return _webhook_view(hook, workflow), secret


def rotate(
    who: Principal, webhook_id: str, *, grace_seconds: int, secret: str | None, known: int | None
) -> tuple[WebhookView, str]:
    """Give a webhook a new secret, or the one that its sender demands. The old one is good for `grace_seconds` more.

    Raises NotFound, PreconditionFailed (it is not at the revision `known`, or was changed at the same time).
    """
    store = _store(who.tenant)
    hook = store.webhook(webhook_id)
    _check(known, hook.revision)
    text = secret or sealing.new_secret()
    change: dict[str, Any] = {"secret": sealing.seal(who.tenant, webhook_id, text), "previous_until": 0}
    if hook.secret is not None and grace_seconds:
        change |= {"previous": hook.secret, "previous_until": now_ms() + grace_seconds * 1000}
    changed = store.change_webhook(hook, change)
    return _webhook_view(changed, _workflow(who.tenant, hook.workflow_id)), text


def _webhook_view(hook: Webhook, workflow: Workflow | None) -> WebhookView:
    published = None if workflow is None else workflow.published
    config = (published or {}).get("webhooks", {}).get(hook.node_id)
    url, test_url = _addresses(hook.id)
    return WebhookView(
        id=hook.id,
        workflow_id=hook.workflow_id,
        node_id=hook.node_id,
        url=url,
        test_url=test_url,
        is_live=config is not None,
        config=config or {},
        has_secret=hook.secret is not None,
        previous_secret_until=hook.previous_until if hook.previous_until > now_ms() else None,
        created_at=hook.created_at,
        revision=hook.revision,
    )


def _addresses(webhook_id: str) -> tuple[str, str]:
    base = settings().api_url.rstrip("/")
    return f"{base}/hooks/{webhook_id}", f"{base}/hooks-test/{webhook_id}"


# --- schedules -------------------------------------------------------------------------------------------------------


def schedules(who: Principal, workflow_id: str | None, cursor: str | None, limit: int) -> Listing[ScheduleView]:
    """Some schedules, of one workflow or of all."""
    found = _store(who.tenant).schedules(workflow_id, cursor, limit)
    return Listing([_schedule_view(s) for s in found.items], found.next_cursor)


def schedule(who: Principal, schedule_id: str) -> ScheduleView:
    """One schedule. Raises NotFound."""
    return _schedule_view(_store(who.tenant).schedule(schedule_id))


def set_state(who: Principal, schedule_id: str, state: ScheduleState, known: int | None) -> ScheduleView:
    """Pause a schedule, or let it go on. Raises NotFound, PreconditionFailed; Unavailable: a repeat does the rest."""
    store = _store(who.tenant)
    found = store.schedule(schedule_id)
    _check(known, found.revision)
    # The record first: from here on the dispatcher starts nothing, whatever becomes of the call to Scheduler.
    changed = store.change_schedule(found, {"state": state}) if state != found.state else found
    placed = placing.place(store, changed)
    if placed is None:
        raise NotFound(f"there is no schedule {schedule_id}")
    return _schedule_view(placed)


def _schedule_view(found: Schedule) -> ScheduleView:
    return ScheduleView(
        id=found.id,
        workflow_id=found.workflow_id,
        node_id=found.node_id,
        state=found.state,
        config=found.config,
        next_runs=tuple(_next_runs(found, 5)),
        created_at=found.created_at,
        revision=found.revision,
        last_run_at=found.last_run_at,
        last_execution_id=found.last_execution_id,
    )


def _next_runs(found: Schedule, count: int) -> list[int]:
    if found.state != "active" or found.disabled:
        return []
    now = now_ms()
    return cron.timing(found.config).upcoming(now, count, anchor_ms=found.placed_at or now)


def _check(known: int | None, revision: int) -> None:
    if known is not None and known != revision:
        raise PreconditionFailed(f"it is at revision {revision} by now; read it again")


def _workflow(tenant: Tenant, workflow_id: str) -> Workflow | None:
    try:
        return WorkflowStore(TenantTable(tenant)).get(workflow_id)
    except NotFound:
        return None


def _store(tenant: Tenant) -> TriggerStore:
    return TriggerStore(TenantTable(tenant))
