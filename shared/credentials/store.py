"""A tenant's credentials in the table, encrypted, and open for whoever may use them."""

from __future__ import annotations

import re
from typing import Any, Final

from shared.clock import now_ms
from shared.credentials.kinds import with_defaults
from shared.credentials.model import NAME, CredentialRecord, Lease, Sealed, Token
from shared.credentials.sealing import values_of
from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.nodes.world import Credential
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable
from shared.store.versions import still_at

_NAME: Final = re.compile(NAME)
_TOKEN: Final = ("token", "token_expires_at", "lease_holder", "lease_until")


class CredentialTaken(Conflict):
    """409: there is a credential of that name."""

    code = "credential_taken"


class CredentialStore:
    """One tenant's credentials, by name."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self.tenant = table.tenant

    def open(self, name: str) -> Credential:
        """The credential with its values, and the defaults of those that are not set. Raises NotFound, Unavailable."""
        record = self.get(name)
        return Credential(name, record.kind, with_defaults(record.kind, values_of(self.tenant, record)))

    def get(self, name: str) -> CredentialRecord:
        """The credential as it is stored. Raises NotFound, Unavailable."""
        item = self._table.get(self._key(name), consistent=True)
        if item is None:
            raise NotFound(f"there is no credential {name}")
        return _record_of(item)

    def kind_of(self, name: str) -> str | None:
        """The kind of the credential of that name, None where there is none. Raises Unavailable."""
        try:
            return self.get(name).kind
        except NotFound:
            return None

    def page(self, cursor: str | None, limit: int) -> Listing[CredentialRecord]:
        """The credentials, by name. Raises BadRequest."""
        pk = self._table.keys.credentials()
        return listing_of(
            self.tenant,
            "credentials",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            _record_of,
        )

    def count(self) -> int:
        """How many there are."""
        return sum(1 for _ in self._table.query_all(self._table.keys.credentials(), attributes=("SK",)))

    def create(self, record: CredentialRecord) -> None:
        """Write a new credential. Raises CredentialTaken, Unavailable."""
        try:
            self._table.create(self._key(record.name), _item_of(record))
        except ConditionFailed:
            raise CredentialTaken(f"there is a credential {record.name} already") from None

    def describe(self, name: str, description: str, known: int | None) -> CredentialRecord:
        """Another description. Raises NotFound, PreconditionFailed."""
        change = Change(set={"description": description, "updated_at": now_ms()}, add={"version": 1})
        return self._changed(name, change, still_at(known))

    def rotate(self, before: CredentialRecord, after: CredentialRecord) -> CredentialRecord:
        """Put other values in the place of those of `before`; tokens and tests of the old ones are forgotten.

        Raises NotFound, PreconditionFailed (it was changed meanwhile, or its refresh token was), Unavailable.
        """
        fresh = {
            "data_key": after.sealed.data_key,
            "body": after.sealed.body,
            "fields": list(after.fields),
            "description": after.description,
            "updated_at": after.updated_at,
            "rotated_at": after.rotated_at,
        }
        change = Change(set=fresh, remove=(*_TOKEN, "tested_at", "test_error"), add={"version": 1})
        return self._changed(before.name, change, _unchanged(before) & Attr("version").eq(before.version))

    def tested(self, record: CredentialRecord, at_ms: int, error: str | None) -> CredentialRecord:
        """Note how a test of these values ended. Raises NotFound, PreconditionFailed (they were rotated meanwhile)."""
        change = Change(
            set={"tested_at": at_ms, **({} if error is None else {"test_error": error})},
            remove=() if error is not None else ("test_error",),
        )
        return self._changed(record.name, change, _unchanged(record))

    def remove(self, name: str, known: int | None) -> None:
        """Remove it, and its tokens. Raises NotFound, PreconditionFailed."""
        try:
            self._table.delete(self._key(name), still_at(known))
        except ConditionFailed as failed:
            raise _missed(failed, name) from None

    def lease(self, record: CredentialRecord, lease: Lease) -> CredentialRecord | None:
        """Take the right to fetch a token for these values; None while another has it.

        Raises NotFound, PreconditionFailed (rotated meanwhile).
        """
        free = Attr("lease_until").not_exists() | Attr("lease_until").lt(now_ms())
        change = Change(set={"lease_holder": lease.holder, "lease_until": lease.until})
        try:
            return _record_of(self._table.update(self._key(record.name), change, _unchanged(record) & free))
        except ConditionFailed as failed:
            if failed.item is not None and failed.item["body"] == record.sealed.body:
                return None
            raise _missed(failed, record.name) from None

    def release(self, record: CredentialRecord, lease: Lease) -> None:
        """Give the right to fetch a token back, if it is held still. Raises Unavailable."""
        try:
            change = Change(remove=("lease_holder", "lease_until"))
            self._table.update(self._key(record.name), change, Attr("lease_holder").eq(lease.holder))
        except ConditionFailed:
            return

    def keep_token(self, before: CredentialRecord, token: Token, sealed: Sealed) -> CredentialRecord:
        """Keep an access token, and with it the values with the refresh token that came with it: both or neither.

        Raises NotFound, PreconditionFailed (rotated meanwhile: the token belongs to values that are gone), Unavailable.
        """
        kept = {"body": sealed.body, "token": token.body, "token_expires_at": token.expires_at}
        change = Change(set=kept, remove=("lease_holder", "lease_until"))
        return self._changed(before.name, change, _unchanged(before))

    def _changed(self, name: str, change: Change, condition: Any) -> CredentialRecord:
        try:
            return _record_of(self._table.update(self._key(name), change, condition))
        except ConditionFailed as failed:
            raise _missed(failed, name) from None

    def _key(self, name: str) -> Key:
        if not _NAME.fullmatch(name):
            raise NotFound("there is no credential of that name")
        return Key(self._table.keys.credentials(), name)


def _unchanged(record: CredentialRecord) -> Any:
    return Attr("body").eq(record.sealed.body)


def _missed(failed: ConditionFailed, name: str) -> NotFound | PreconditionFailed:
    if failed.item is None:
        return NotFound(f"there is no credential {name}")
    return PreconditionFailed(f"the credential {name} was changed meanwhile; read it again")


def _item_of(record: CredentialRecord) -> Item:
    return {
        "name": record.name,
        "kind": record.kind,
        "description": record.description,
        "fields": list(record.fields),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "rotated_at": record.rotated_at,
        "data_key": record.sealed.data_key,
        "body": record.sealed.body,
        "version": record.version,
    }


def _record_of(item: Item) -> CredentialRecord:
    token, lease = None, None
    if "token" in item:
        token = Token(item["token"], item["token_expires_at"])
    if "lease_holder" in item:
        lease = Lease(item["lease_holder"], item["lease_until"])
    return CredentialRecord(
        name=item["name"],
        kind=item["kind"],
        description=item["description"],
        fields=tuple(item["fields"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        rotated_at=item["rotated_at"],
        sealed=Sealed(item["data_key"], item["body"]),
        version=item["version"],
        tested_at=item.get("tested_at"),
        test_error=item.get("test_error"),
        token=token,
        lease=lease,
    )
