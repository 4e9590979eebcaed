"""Webhooks and schedules in the table."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any, Final, TypeVar

from shared.aws.dynamo import Condition
from shared.clock import now_ms
from shared.errors import NotFound, PreconditionFailed
from shared.ids import digest
from shared.store.keys import Key, hook_directory
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Directory, Item, TenantTable, Write
from shared.tenancy import Tenant, from_directory
from shared.triggers.model import Schedule, Webhook

T = TypeVar("T")

_HOOK_FIELDS: Final = tuple(f.name for f in fields(Webhook))
_SCHEDULE_FIELDS: Final = tuple(f.name for f in fields(Schedule))
_HOOK: Final = "wh_"
_SCHEDULE: Final = "sch_"
_HOOK_ID: Final = re.compile(r"wh_[a-z2-7]{32}")
_SCHEDULE_ID: Final = re.compile(r"sch_[0-9a-f]{32}")


def new_webhook_id() -> str:
    """`wh_` and 160 random bits: whoever knows it may call."""
    return _HOOK + base64.b32encode(secrets.token_bytes(20)).decode().lower()


def webhook_owner(webhook_id: str) -> Tenant | None:
    """Whose webhook this is, if it is anybody's."""
    entry = Directory().get(hook_directory(webhook_id)) if _HOOK_ID.fullmatch(webhook_id) else None
    return None if entry is None else from_directory(entry)


class TriggerStore:
    """One tenant's webhooks and schedules."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self.tenant = table.tenant
        self._hooks = table.keys.hooks()
        self._schedules = table.keys.schedules()

    # --- webhooks --------------------------------------------------------------------------------------------------

    def ensure_webhook(self, workflow_id: str, node_id: str, version: int) -> Webhook:
        """The node's webhook, made if there is none: one for each node, even if two ask at once.

        `version` is the workflow's version that has the node (0: a draft); the latest is remembered.
        """
        pointer = self._pointer(workflow_id, node_id)
        found = self._table.get(pointer, consistent=True)
        if found is None:
            made = Webhook(new_webhook_id(), workflow_id, node_id, now_ms())
            item = {f: getattr(made, f) for f in _HOOK_FIELDS}
            absent = Attr("PK").not_exists()
            try:
                self._table.transact(
                    [
                        Write("Put", (pointer.pk, pointer.sk), {"id": made.id, "version": version}, condition=absent),
                        Write("Put", (self._hooks, made.id), item, condition=absent),
                    ]
                )
                found = {"id": made.id, "version": version}
            except ConditionFailed as taken:
                if not taken.item:
                    raise
                found = taken.item
        if found["version"] < version:
            with suppress(ConditionFailed):
                self._table.update(pointer, Change(set={"version": version}), Attr("version").lt(version))
        # Written every time: a call that died before this is mended by the next.
        Directory().put(hook_directory(found["id"]), {"tenant_id": self.tenant.id})
        return self.webhook(found["id"])

    def webhook(self, webhook_id: str) -> Webhook:
        """The webhook. Raises NotFound."""
        known = _HOOK_ID.fullmatch(webhook_id)
        item = self._table.get(Key(self._hooks, webhook_id), consistent=True) if known else None
        if item is None:
            raise NotFound(f"there is no webhook {webhook_id}")
        return _webhook(item)

    def webhooks(
        self, workflow_id: str | None, cursor: str | None, limit: int, shown: Callable[[Webhook], T]
    ) -> Listing[T]:
        """Some webhooks, of one workflow or of all, each as `shown` makes it."""
        wanted = _of(workflow_id)
        return listing_of(
            self.tenant,
            f"webhooks {workflow_id}",
            cursor,
            limit,
            lambda start, n: self._table.query(self._hooks, prefix=_HOOK, start=start, limit=n, condition=wanted),
            lambda item: shown(_webhook(item)),
        )

    def webhooks_of(self, workflow_id: str) -> dict[str, str]:
        """Node id → webhook id of one workflow."""
        prefix = self._pointer(workflow_id, "").sk
        items = self._table.query_all(self._hooks, prefix=prefix, consistent=True)
        return {i["SK"].removeprefix(prefix): i["id"] for i in items}

    def change_webhook(self, webhook: Webhook, change: Mapping[str, Any]) -> Webhook:
        """Change a webhook as it was read. Raises PreconditionFailed if somebody else has changed it since."""
        return _webhook(self._change(Key(self._hooks, webhook.id), webhook.revision, change))

    def remove_webhook(self, workflow_id: str, node_id: str, webhook_id: str, version: int) -> None:
        """Remove the webhook of a node that `version` has no more, unless a later version has it again."""
        pointer = self._pointer(workflow_id, node_id)
        not_later = Attr("version").lte(version) & Attr("id").eq(webhook_id)
        try:
            self._table.transact(
                [
                    Write("Delete", (pointer.pk, pointer.sk), condition=not_later),
                    Write("Delete", (self._hooks, webhook_id)),
                ]
            )
        except ConditionFailed:
            return
        # Last, and no harm if it does not happen: an entry without a webhook leads nowhere.
        Directory().delete(hook_directory(webhook_id))

    def _pointer(self, workflow_id: str, node_id: str) -> Key:
        return Key(self._hooks, f"OF#{workflow_id}#{node_id}")

    # --- schedules -------------------------------------------------------------------------------------------------

    def schedule_id(self, workflow_id: str, node_id: str) -> str:
        """The id of a node's schedule: always the same, and no other tenant's. Scheduler knows it by this name."""
        return _SCHEDULE + digest(self.tenant.id, workflow_id, node_id)

    def ensure_schedule(
        self, workflow_id: str, node_id: str, version: int, config: Mapping[str, Any], *, disabled: bool
    ) -> Schedule | None:
        """The node's schedule as this version has it; None if a later version has it differently."""
        made = Schedule(
            id=self.schedule_id(workflow_id, node_id),
            workflow_id=workflow_id,
            node_id=node_id,
            state="active",
            config=config,
            disabled=disabled,
            version=version,
            created_at=now_ms(),
        )
        key = Key(self._schedules, made.id)
        try:
            self._table.create(key, _schedule_item(made))
        except ConditionFailed:
            newer = {"config": json.dumps(dict(config)), "disabled": disabled, "version": version}
            try:
                return _schedule(self._table.update(key, Change(set=newer), Attr("version").lte(version)))
            except ConditionFailed:
                return None
        return made

    def schedule(self, schedule_id: str) -> Schedule:
        """The schedule. Raises NotFound."""
        known = _SCHEDULE_ID.fullmatch(schedule_id)
        item = self._table.get(Key(self._schedules, schedule_id), consistent=True) if known else None
        if item is None:
            raise NotFound(f"there is no schedule {schedule_id}")
        return _schedule(item)

    def schedules(self, workflow_id: str | None, cursor: str | None, limit: int) -> Listing[Schedule]:
        """Some schedules, of one workflow or of all."""
        wanted = _of(workflow_id)
        return listing_of(
            self.tenant,
            f"schedules {workflow_id}",
            cursor,
            limit,
            lambda start, n: self._table.query(self._schedules, start=start, limit=n, condition=wanted),
            _schedule,
        )

    def schedules_of(self, workflow_id: str) -> list[Schedule]:
        """One workflow's schedules."""
        items = self._table.query_all(self._schedules, condition=_of(workflow_id), consistent=True)
        return [_schedule(i) for i in items]

    def change_schedule(self, schedule: Schedule, change: Mapping[str, Any]) -> Schedule:
        """Change a schedule as it was read. Raises PreconditionFailed if somebody else has changed it since."""
        return _schedule(self._change(Key(self._schedules, schedule.id), schedule.revision, change))

    def has_schedule(self, schedule_id: str) -> bool:
        """Whether there is one."""
        return self._table.get(Key(self._schedules, schedule_id), consistent=True) is not None

    def unplace(self, schedule_id: str) -> Schedule | None:
        """Note that nobody knows what Scheduler holds; gives the schedule as it is, None if it is gone."""
        try:
            change = Change(set={"placed": ""})
            return _schedule(self._table.update(Key(self._schedules, schedule_id), change, Attr("PK").exists()))
        except ConditionFailed:
            return None

    def note_placed(self, schedule: Schedule, mark: str, at_ms: int) -> Schedule | None:
        """Note that Scheduler has been told this; None if the schedule is another one by now, or gone."""
        change = Change(set={"placed": mark, "placed_at": at_ms})
        same = Attr("revision").eq(schedule.revision) & Attr("version").eq(schedule.version)
        same &= Attr("state").eq(schedule.state)
        try:
            return _schedule(self._table.update(Key(self._schedules, schedule.id), change, same))
        except ConditionFailed:
            return None

    def note_fired(self, schedule_id: str, at_ms: int, execution_id: str) -> None:
        """Note that a schedule has started this run for an instant, unless it is gone, or has for a later one since."""
        change = Change(set={"last_run_at": at_ms, "last_execution_id": execution_id})
        latest = Attr("last_run_at").not_exists() | Attr("last_run_at").lt(at_ms)
        with suppress(ConditionFailed):
            self._table.update(Key(self._schedules, schedule_id), change, Attr("PK").exists() & latest)

    def remove_schedule(self, schedule_id: str, version: int) -> bool:
        """Remove the schedule of a node that `version` has no more. False if a later version has it again, or if
        somebody has told Scheduler of it since `unplace`; and if it is gone.
        """
        unneeded = Attr("version").lte(version) & Attr("placed").eq("")
        try:
            self._table.delete(Key(self._schedules, schedule_id), unneeded)
        except ConditionFailed:
            return False
        return True

    def _change(self, key: Key, revision: int, change: Mapping[str, Any]) -> Item:
        try:
            return self._table.update(
                key, Change(set=change, add={"revision": 1}), Attr("revision").eq(revision) & Attr("PK").exists()
            )
        except ConditionFailed as other:
            if other.item is None:
                raise NotFound("there is no such thing any more") from None
            raise PreconditionFailed("it was changed meanwhile; read it again") from None


def _of(workflow_id: str | None) -> Condition | None:
    return None if workflow_id is None else Attr("workflow_id").eq(workflow_id)


def _webhook(item: Item) -> Webhook:
    return Webhook(**{f: item[f] for f in _HOOK_FIELDS if f in item})


def _schedule(item: Item) -> Schedule:
    return Schedule(**{f: item[f] for f in _SCHEDULE_FIELDS if f in item} | {"config": json.loads(item["config"])})


def _schedule_item(schedule: Schedule) -> Item:
    known = {f: getattr(schedule, f) for f in _SCHEDULE_FIELDS if getattr(schedule, f) is not None}
    return known | {"config": json.dumps(dict(schedule.config))}
