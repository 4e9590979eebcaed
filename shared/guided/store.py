"""Guided conversations in the table, and who may use which template.

What happens to a conversation happens in one transaction on the condition that it is as it was read: its record, its
messages, whose turn the conversation is, and the counters. So of two who act at once one finds it changed.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final

from shared.clock import iso
from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.guided.model import Action, Document, Instance, Pending, Permission, Refused, Said
from shared.ids import digest
from shared.store.keys import Key, sweep_shard
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write
from shared.store.turns import patiently

_PLAIN: Final = (
    "id",
    "template",
    "template_version",
    "conversation_id",
    "user_id",
    "status",
    "version",
    "created_at",
    "updated_at",
    "expires_at",
)
_TEMPLATE: Final = "TEMPLATE"
_LANES: Final = 8
_SOON_MS: Final = 60_000  # what has begun and nobody waits for is looked at again after so long

Amounts = Mapping[str, int]


class Changed(PreconditionFailed):
    """412: somebody else has changed the conversation meanwhile. Who gets this reads it again."""


class ConversationBusy(Conflict):
    """409: another instance is active in this conversation. `instance_id` is its id."""

    code = "conversation_busy"

    def __init__(self, instance_id: str) -> None:
        super().__init__(f"instance {instance_id} is active in this conversation; finish or cancel it first")
        self.instance_id = instance_id


class InstanceStore:
    """One tenant's guided conversations."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def create(self, instance: Instance, kept: Mapping[str, Any], counts: Amounts) -> None:
        """Write a new conversation with what it follows, which stays as it is. Raises ConversationBusy."""
        text = json.dumps(kept, ensure_ascii=False)
        place = (self._keys.guide(instance.id), _TEMPLATE)
        writes = [
            Write("Put", (self._keys.guided(), instance.id), self._item(instance), condition=Attr("PK").not_exists()),
            Write("Put", place, {"document": text}),
            *self._taken(instance),
            *self._counted(instance, counts),
        ]
        self._transact(writes)

    def get(self, instance_id: str) -> Instance:
        """A conversation as it is now. Raises NotFound."""
        item = self._table.get(Key(self._keys.guided(), instance_id), consistent=True)
        if item is None:
            raise NotFound(f"there is no workflow instance {instance_id}")
        return _instance(item)

    def guide(self, instance_id: str) -> Mapping[str, Any]:
        """What a conversation follows, as it was when it began. Raises NotFound."""
        item = self._table.get(Key(self._keys.guide(instance_id), _TEMPLATE), consistent=True)
        if item is None:
            raise NotFound(f"there is no workflow instance {instance_id}")
        document: Mapping[str, Any] = json.loads(item["document"])
        return document

    def active_in(self, conversation_id: str) -> str | None:
        """The id of the instance that is active in a conversation."""
        item = self._table.get(self._conversation(conversation_id), consistent=True)
        return item["instance_id"] if item else None

    def page(
        self, owner_id: str | None, listing: str, cursor: str | None, limit: int, keep: Callable[[Instance], bool]
    ) -> Listing[Instance]:
        """Conversations that `keep` accepts, newest first: of one user or key, or (None) of all.

        `listing` names the filters, for the cursor.
        """
        where = {} if owner_id is None else {"index": "GSI1"}
        pk = self._keys.guided() if owner_id is None else self._keys.guided_of(owner_id)
        return listing_of(
            self._table.tenant,
            f"guided {owner_id} {listing}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, forward=False, start=start, limit=n, **where),
            _instance,
            lambda item: keep(_instance(item)),
        )

    def save(
        self,
        before: Instance,
        after: Instance,
        said: Sequence[Said] = (),
        counts: Amounts | None = None,
        mark: str | None = None,
    ) -> None:
        """Write what has become of a conversation that is still as `before`, with new messages; `after` has the next
        version. Whose turn the conversation is follows from the status. Raises Changed, ConversationBusy.

        `mark` remembers the request that has led to the first of the messages.
        """
        unchanged = Attr("version").eq(before.version)
        writes = [Write("Put", (self._keys.guided(), after.id), self._item(after), condition=unchanged)]
        partition = self._keys.guide(after.id)
        writes += [Write("Put", (partition, self._keys.said_sk(s.number)), _packed(s)) for s in said]
        if mark is not None and said:
            place = (partition, self._keys.repeat_sk(mark))
            writes.append(Write("Put", place, {"number": said[0].number}, condition=Attr("PK").not_exists()))
        if before.status == "active" and after.status != "active":
            key = self._conversation(after.conversation_id)
            own = Attr("instance_id").eq(after.id)
            writes.append(Write("Delete", (key.pk, key.sk), condition=own))
        if before.status != "active" and after.status == "active":
            writes += self._taken(after)
        self._transact([*writes, *self._counted(after, counts or {})])

    def look_again(self, instance_id: str, at_ms: int, version: int | None = None) -> None:
        """When the sweeper should look at a conversation next; with a version, if it is still of that one: whoever has
        changed it since has said when.
        """
        wanted = Attr("GSI2SK").exists()
        if version is not None:
            wanted &= Attr("version").eq(version)
        try:
            change = Change(set={"GSI2SK": iso(at_ms)})
            self._table.update(Key(self._keys.guided(), instance_id), change, wanted)
        except ConditionFailed:
            return

    def messages(self, instance_id: str, cursor: str | None, limit: int, *, newest_first: bool) -> Listing[Said]:
        """What was said, in order or from the newest backwards."""
        pk, prefix = self._keys.guide(instance_id), self._keys.said_sk()
        return listing_of(
            self._table.tenant,
            f"said {instance_id} {newest_first}",
            cursor,
            limit,
            lambda start, n: self._table.query(
                pk, prefix=prefix, start=start, limit=n, forward=not newest_first, consistent=True
            ),
            _said,
        )

    def message(self, instance_id: str, number: int) -> Said | None:
        """A message, or None."""
        item = self._table.get(Key(self._keys.guide(instance_id), self._keys.said_sk(number)), consistent=True)
        return _said(item) if item else None

    def repeated(self, instance_id: str, mark: str) -> int | None:
        """The number of the message to which a request has led, or None."""
        item = self._table.get(Key(self._keys.guide(instance_id), self._keys.repeat_sk(mark)), consistent=True)
        return int(item["number"]) if item else None

    def counts(self, template_name: str, first_day: str, last_day: str) -> Counter[str]:
        """What was counted of a template from one day (`2026-01-31`) to another, both included."""
        total: Counter[str] = Counter()
        for item in self._table.query_all(self._keys.guided_counts(template_name), after=first_day):
            if item["SK"].partition("#")[0] > last_day:
                break
            total.update({n.removeprefix("n:"): v for n, v in item.items() if n.startswith("n:")})
        return total

    # ---------------------------------------------------------------------------------------------------------------

    def _conversation(self, conversation_id: str) -> Key:
        return self._keys.conversation(digest("conversation", conversation_id))

    def _taken(self, instance: Instance) -> list[Write]:
        key = self._conversation(instance.conversation_id)
        return [Write("Put", (key.pk, key.sk), {"instance_id": instance.id}, condition=Attr("PK").not_exists())]

    def _counted(self, instance: Instance, counts: Amounts) -> list[Write]:
        """Counters lie in lanes, so that transactions of different conversations seldom meet."""
        add = {f"n:{name}": amount for name, amount in counts.items() if amount}
        lane = zlib.crc32(instance.id.encode()) % _LANES
        place = (self._keys.guided_counts(instance.template), f"{iso(instance.updated_at)[:10]}#{lane}")
        return [Write("Update", place, change=Change(add=add))] if add else []

    def _transact(self, writes: Sequence[Write]) -> None:
        try:
            patiently(lambda: self._table.transact(writes))
        except ConditionFailed as failed:
            in_the_way = (failed.item or {}).get("instance_id")
            if in_the_way is not None:
                raise ConversationBusy(in_the_way) from None
            raise Changed("the instance has been changed meanwhile; read it again") from None

    def _item(self, instance: Instance) -> Item:
        known = {name: getattr(instance, name) for name in _PLAIN}
        rest = {name: value for name, value in asdict(instance).items() if name not in _PLAIN and value is not None}
        item = {
            **known,
            "body": json.dumps(rest, ensure_ascii=False, allow_nan=False),
            "GSI1PK": self._keys.guided_of(instance.user_id),
            "GSI1SK": instance.id,
        }
        if instance.status == "active":
            waiting = instance.pending is not None or instance.phase == "ending"
            at = min(instance.expires_at, instance.updated_at + _SOON_MS) if waiting else instance.expires_at
            item |= {"GSI2PK": sweep_shard(instance.id), "GSI2SK": iso(at)}
        return item


class PermissionStore:
    """Which of one tenant's user types may use which template."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def grant(self, permission: Permission) -> None:
        """Write a permission for a user type and a template that are there. Raises Conflict, NotFound."""
        template = (self._keys.resources("workflow_templates"), permission.template)
        user_type = (self._keys.user_types(), permission.user_type_id)
        there, new = Attr("PK").exists(), Attr("PK").not_exists()
        key = self._key(permission.user_type_id, permission.template)
        try:
            self._table.transact(
                [
                    Write("Put", (key.pk, key.sk), asdict(permission), condition=new),
                    Write("ConditionCheck", template, condition=there),
                    Write("ConditionCheck", user_type, condition=there),
                ]
            )
        except ConditionFailed as failed:
            if failed.item is None:
                raise NotFound("there is no such user type or template") from None
            raise Conflict("this user type has this permission already", code="permission_exists") from None

    def find(self, user_type_id: str, named: str) -> Permission | None:
        """The permission of a user type for a template, or None."""
        item = self._table.get(self._key(user_type_id, named), consistent=True)
        return _permission(item) if item else None

    def of_user_type(self, user_type_id: str) -> Iterator[Permission]:
        """All permissions of a user type."""
        prefix = self._keys.permission_sk(user_type_id)
        return map(_permission, self._table.query_all(self._keys.permissions(), prefix=prefix, consistent=True))

    def page(
        self, listing: str, cursor: str | None, limit: int, keep: Callable[[Permission], bool]
    ) -> Listing[Permission]:
        """Permissions that `keep` accepts, by user type. `listing` names the filters, for the cursor."""
        pk = self._keys.permissions()
        return listing_of(
            self._table.tenant,
            f"permissions {listing}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            _permission,
            lambda item: keep(_permission(item)),
        )

    def revoke(self, permission: Permission) -> None:
        """Remove a permission. Raises NotFound."""
        try:
            self._table.delete(self._key(permission.user_type_id, permission.template), Attr("PK").exists())
        except ConditionFailed:
            raise NotFound("there is no such permission") from None

    def revoke_all(self, named: str) -> None:
        """Remove every permission for a template."""
        every = self._table.query_all(self._keys.permissions(), consistent=True)
        self._table.delete_all([Key(i["PK"], i["SK"]) for i in every if i["template"] == named])

    def _key(self, user_type_id: str, template: str) -> Key:
        return Key(self._keys.permissions(), self._keys.permission_sk(user_type_id, template))


def _permission(item: Item) -> Permission:
    return Permission(**{f.name: item[f.name] for f in fields(Permission)})


def _instance(item: Item) -> Instance:
    rest = json.loads(item["body"])
    if "pending" in rest:
        refused = tuple(Refused(**r) for r in rest["pending"]["refused"])
        rest["pending"] = Pending(**{**rest["pending"], "refused": refused})
    if "action" in rest:
        rest["action"] = Action(**rest["action"])
    rest |= {name: tuple(rest[name]) for name in ("skipped", "reached")}
    return Instance(**{name: item[name] for name in _PLAIN}, **rest)


def _packed(said: Said) -> Item:
    return {"said": json.dumps(asdict(said), ensure_ascii=False, allow_nan=False)}


def _said(item: Item) -> Said:
    raw = json.loads(item["said"])
    documents = tuple(Document(**d) for d in raw["documents"])
    refused = tuple(Refused(**r) for r in raw["refused"])
    return Said(**{**raw, "documents": documents, "refused": refused, "taken": tuple(raw["taken"])})
