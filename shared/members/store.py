"""A tenant's own record, its users, user types and API keys in the table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.members.model import ApiKey, Member, TenantRecord, UserType
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write, stored
from shared.store.versions import still_at


class LastOwner(Conflict):
    """409: a tenant keeps at least one owner."""

    code = "last_owner"


def tenant_of(item: Item) -> TenantRecord:
    """A tenant's record from its item."""
    return TenantRecord(
        id=item["id"],
        name=item["name"],
        created_at=item["created_at"],
        version=item["version"],
        assistant=json.loads(item["assistant"]) if "assistant" in item else None,
    )


def member_of(item: Item) -> Member:
    """A user from their item."""
    return Member(
        id=item["id"],
        email=item["email"],
        role=item["role"],
        subject=item["subject"],
        created_at=item["created_at"],
        user_types=tuple(item["user_types"]),
        version=item["version"],
    )


def user_type_of(item: Item) -> UserType:
    """A user type from its item."""
    return UserType(item["id"], item["name"], item["created_at"], item["description"], item["version"])


def api_key_of(item: Item) -> ApiKey:
    """An API key from its item."""
    return ApiKey(
        id=item["id"],
        name=item["name"],
        role=item["role"],
        created_at=item["created_at"],
        created_by=item["created_by"],
        secret_hash=item["secret_hash"],
        scopes=tuple(item["scopes"]) if "scopes" in item else None,
        expires_at=item.get("expires_at"),
        last_used_at=item.get("last_used_at"),
    )


class MemberStore:
    """One tenant's members, in the wide sense."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def found(self, tenant: TenantRecord, owner: Member, key: ApiKey) -> None:
        """Write a new tenant with its first owner and key: all of it or nothing."""
        meta = self._keys.tenant_meta()
        new = Attr("PK").not_exists()
        self._table.transact(
            [
                Write("Put", (meta.pk, meta.sk), item={**stored(tenant), "owners": 1}, condition=new),
                Write("Put", (self._keys.members(), owner.id), item=stored(owner), condition=new),
                Write("Put", (self._keys.api_keys(), key.id), item=stored(key), condition=new),
            ]
        )

    def dissolve(self, owner: Member, key: ApiKey) -> None:
        """Take back `found`."""
        self._table.delete_all(
            [self._keys.tenant_meta(), Key(self._keys.members(), owner.id), Key(self._keys.api_keys(), key.id)]
        )

    def tenant(self) -> TenantRecord:
        """The tenant itself. Raises NotFound."""
        return tenant_of(self._get(self._keys.tenant_meta(), "tenant"))

    def change_tenant(self, values: Mapping[str, Any], known: int | None) -> TenantRecord:
        """Change the tenant's `name` or `assistant`. Raises PreconditionFailed if it is not at version `known`."""
        kept = {n: json.dumps(v) if n == "assistant" else v for n, v in values.items()}
        return tenant_of(self._change(self._keys.tenant_meta(), kept, known, "tenant"))

    def member(self, user_id: str) -> Member:
        """A user. Raises NotFound."""
        return member_of(self._get(Key(self._keys.members(), user_id), "user"))

    def members(self, cursor: str | None, limit: int) -> Listing[Member]:
        """The users, by id."""
        pk = self._keys.members()
        return listing_of(
            self._table.tenant,
            "members",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            member_of,
        )

    def add_member(self, member: Member, also: Sequence[Write] = ()) -> None:
        """Write a new user, and what is written `also` with them: all of it or nothing. Raises ConditionFailed."""
        write = Write("Put", (self._keys.members(), member.id), stored(member), condition=Attr("PK").not_exists())
        self._table.transact([write, *self._owners(int(member.role == "owner")), *also])

    def change_member(self, before: Member, values: dict[str, Any]) -> Member:
        """Change a user who is still as `before`. Raises PreconditionFailed, LastOwner."""
        owners = int(values.get("role", before.role) == "owner") - int(before.role == "owner")
        write = Write(
            "Update",
            (self._keys.members(), before.id),
            change=Change(set=values, add={"version": 1}),
            condition=Attr("version").eq(before.version),
        )
        self._transact_member([write, *self._owners(owners)])
        return self.member(before.id)

    def remove_member(self, member: Member) -> None:
        """Remove a user who is still as given. Raises PreconditionFailed, LastOwner."""
        write = Write("Delete", (self._keys.members(), member.id), condition=Attr("version").eq(member.version))
        self._transact_member([write, *self._owners(-int(member.role == "owner"))])

    def _owners(self, more: int) -> list[Write]:
        """The count of owners stands in the tenant's record, so that two removals at once cannot leave none."""
        if not more:
            return []
        meta = self._keys.tenant_meta()
        enough = Attr("owners").gt(1) if more < 0 else Attr("PK").exists()
        return [Write("Update", (meta.pk, meta.sk), change=Change(add={"owners": more}), condition=enough)]

    def _transact_member(self, writes: list[Write]) -> None:
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            if failed.item and failed.item["SK"] == self._keys.tenant_meta().sk:
                raise LastOwner("a tenant keeps at least one owner: make somebody else an owner first") from None
            raise PreconditionFailed("the user was changed meanwhile; read it again") from None

    def user_type(self, type_id: str) -> UserType:
        """A user type. Raises NotFound."""
        return user_type_of(self._get(Key(self._keys.user_types(), type_id), "user type"))

    def user_types(self, cursor: str | None, limit: int) -> Listing[UserType]:
        """The user types, by id."""
        pk = self._keys.user_types()
        return listing_of(
            self._table.tenant,
            "user-types",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            user_type_of,
        )

    def add_user_type(self, user_type: UserType) -> None:
        """Write a new user type."""
        self._table.create(Key(self._keys.user_types(), user_type.id), stored(user_type))

    def change_user_type(self, type_id: str, values: dict[str, Any], known: int | None) -> UserType:
        """Change a user type. Raises NotFound, PreconditionFailed."""
        return user_type_of(self._change(Key(self._keys.user_types(), type_id), values, known, "user type"))

    def remove_user_type(self, type_id: str, known: int | None) -> None:
        """Remove a user type. Raises NotFound, PreconditionFailed."""
        self._remove(Key(self._keys.user_types(), type_id), known, "user type")

    def api_key(self, key_id: str) -> ApiKey:
        """An API key. Raises NotFound."""
        return api_key_of(self._get(Key(self._keys.api_keys(), key_id), "API key"))

    def api_keys(self, cursor: str | None, limit: int) -> Listing[ApiKey]:
        """The API keys, by id."""
        pk = self._keys.api_keys()
        return listing_of(
            self._table.tenant,
            "api-keys",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            api_key_of,
        )

    def api_keys_of(self, user_id: str) -> list[ApiKey]:
        """Every API key that a user has made."""
        return [k for k in map(api_key_of, self._table.query_all(self._keys.api_keys())) if k.created_by == user_id]

    def add_api_key(self, key: ApiKey) -> None:
        """Write a new API key."""
        self._table.create(Key(self._keys.api_keys(), key.id), stored(key))

    def touch_api_key(self, key_id: str, at: int) -> None:
        """Note when a key was used. A key that was removed meanwhile stays removed."""
        try:
            change = Change(set={"last_used_at": at})
            self._table.update(Key(self._keys.api_keys(), key_id), change, Attr("PK").exists())
        except ConditionFailed:
            return

    def remove_api_key(self, key_id: str) -> None:
        """Remove an API key. Raises NotFound."""
        self._remove(Key(self._keys.api_keys(), key_id), None, "API key")

    def _get(self, key: Key, what: str) -> Item:
        item = self._table.get(key, consistent=True)
        if item is None:
            raise NotFound(f"no such {what}")
        return item

    def _change(self, key: Key, values: dict[str, Any], known: int | None, what: str) -> Item:
        try:
            return self._table.update(key, Change(set=values, add={"version": 1}), still_at(known))
        except ConditionFailed as failed:
            raise _missed(failed, what) from None

    def _remove(self, key: Key, known: int | None, what: str) -> None:
        try:
            self._table.delete(key, still_at(known))
        except ConditionFailed as failed:
            raise _missed(failed, what) from None


def _missed(failed: ConditionFailed, what: str) -> NotFound | PreconditionFailed:
    if failed.item is None:
        return NotFound(f"no such {what}")
    return PreconditionFailed(f"the {what} is at version {failed.item['version']} by now; read it again")
