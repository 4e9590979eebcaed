"""The table as a tenant sees it, and the directory, which says whose a thing is.

`TenantTable` refuses any key that is not this tenant's: isolation holds here *and* in the policy of the data role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from shared.aws.clients import client, tenant_client
from shared.aws.dynamo import Attr, Change, Condition, ConditionFailed, Dynamo, Item, Page, Write
from shared.settings import settings
from shared.store.keys import Key, TenantKeys
from shared.tenancy import Tenant

__all__ = [
    "Attr",
    "Change",
    "ConditionFailed",
    "Directory",
    "ForeignKey",
    "Item",
    "Page",
    "TenantTable",
    "Write",
    "stored",
]


def stored(record: Any) -> Item:
    """A record, which is a dataclass, as an item: without what is None, and with lists for tuples."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(record).items() if v is not None}


class ForeignKey(Exception):
    """Code tried to reach a key of another tenant. A bug, never an input error."""


class TenantTable:
    """One tenant's items: in the table, or in another place that is given."""

    def __init__(self, tenant: Tenant, dynamo: Dynamo | None = None) -> None:
        self.tenant = tenant
        self.keys = TenantKeys(tenant)
        self._dynamo = dynamo or Dynamo(tenant_client(tenant, "dynamodb"), settings().table)

    def _own(self, pk: str) -> str:
        if not pk.startswith(self.keys.prefix):
            raise ForeignKey(pk.split("#")[0])
        return pk

    def _indexed(self, values: Mapping[str, Any] | None) -> None:
        """An index entry is a key too: what is written there must be this tenant's as well."""
        if values and "GSI1PK" in values:
            self._own(values["GSI1PK"])

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """The item, or None."""
        return self._dynamo.get(self._own(key.pk), key.sk, consistent=consistent)

    def put(self, key: Key, item: Item, condition: Condition | None = None) -> None:
        """Write an item under `key`. Raises ConditionFailed."""
        self._indexed(item)
        self._dynamo.put({**item, "PK": self._own(key.pk), "SK": key.sk}, condition)

    def create(self, key: Key, item: Item) -> None:
        """Write an item that must not be there yet. Raises ConditionFailed."""
        self.put(key, item, Attr("PK").not_exists())

    def update(self, key: Key, change: Change, condition: Condition | None = None) -> Item:
        """Change an item, giving its new state. Raises ConditionFailed."""
        self._indexed(change.set)
        return self._dynamo.update(self._own(key.pk), key.sk, change, condition)

    def delete(self, key: Key, condition: Condition | None = None) -> None:
        """Remove an item. Raises ConditionFailed."""
        self._dynamo.delete(self._own(key.pk), key.sk, condition)

    def query(self, pk: str, **arguments: Any) -> Page:
        """One page of a partition; arguments as for `Dynamo.query`."""
        return self._dynamo.query(self._own(pk), **arguments)

    def query_all(self, pk: str, **arguments: Any) -> Iterator[Item]:
        """Every item of a partition."""
        return self._dynamo.query_all(self._own(pk), **arguments)

    def put_all(self, items: Sequence[tuple[Key, Item]]) -> None:
        """Write items without conditions."""
        for _, item in items:
            self._indexed(item)
        self._dynamo.put_all([{**item, "PK": self._own(key.pk), "SK": key.sk} for key, item in items])

    def delete_all(self, keys: Sequence[Key]) -> None:
        """Remove items."""
        self._dynamo.delete_all([(self._own(k.pk), k.sk) for k in keys])

    def transact(self, writes: Sequence[Write]) -> None:
        """All of it or nothing. Raises ConditionFailed."""
        for w in writes:
            self._own(w.key[0])
            self._indexed(w.item)
            self._indexed(w.change.set if w.change else None)
        self._dynamo.transact(writes)


class Directory:
    """Records that no tenant owns: which tenant a user, a hook or a connection belongs to. Function's own role."""

    def __init__(self) -> None:
        self._dynamo = Dynamo(client("dynamodb"), settings().table)

    def get(self, key: Key) -> Item | None:
        """The entry, or None."""
        return self._dynamo.get(key.pk, key.sk)

    def put(self, key: Key, item: Item) -> None:
        """Write an entry."""
        self._dynamo.put({**item, "PK": key.pk, "SK": key.sk})

    def update(self, key: Key, change: Change) -> Item:
        """Change an entry, giving its new state."""
        return self._dynamo.update(key.pk, key.sk, change)

    def delete(self, key: Key) -> None:
        """Remove an entry."""
        self._dynamo.delete(key.pk, key.sk)

    def due(self, shard: str, up_to: str, limit: int) -> Iterator[list[Item]]:
        """Keys of what the sweeper should look at by now (GSI2), earliest first: items with `PK`, `SK`, `GSI2SK`.

        They come so many at once, or none; more are asked for when they are wanted.
        """
        start: dict[str, str] | None = None
        while True:
            page = self._dynamo.query(shard, index="GSI2", up_to=up_to, limit=limit, start=start)
            yield page.items
            start = page.last
            if start is None:
                return
