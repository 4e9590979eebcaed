"""Webhook subscriptions and their deliveries in the table. Deliveries are kept for a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import NotFound, PreconditionFailed
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable
from shared.webhooks_out.model import Delivery, DeliveryStatus, WebhookSubscription

_KEEP_S: Final = 30 * 86_400
_SUBSCRIPTION: Final = tuple(f.name for f in fields(WebhookSubscription))
_DELIVERY: Final = tuple(f.name for f in fields(Delivery))


class WebhookSubscriptionStore:
    """One tenant's webhook subscriptions."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    # --- subscriptions ---------------------------------------------------------------------------------------------

    def create(self, subscription: WebhookSubscription) -> None:
        """Keep a new one."""
        self._table.create(self._key(subscription.id), _item(subscription, _SUBSCRIPTION))

    def find(self, subscription_id: str) -> WebhookSubscription | None:
        """The subscription, if there is one."""
        item = self._table.get(self._key(subscription_id), consistent=True)
        return None if item is None else _subscription(item)

    def get(self, subscription_id: str) -> WebhookSubscription:
        """The subscription. Raises NotFound."""
        found = self.find(subscription_id)
        if found is None:
            raise NotFound(f"there is no webhook subscription {subscription_id}")
        return found

    def all(self) -> list[WebhookSubscription]:
        """Every one: there are few."""
        return [_subscription(i) for i in self._table.query_all(self._keys.webhook_subscriptions(), consistent=True)]

    def page(self, cursor: str | None, limit: int) -> Listing[WebhookSubscription]:
        """Some of them, oldest first."""
        pk = self._keys.webhook_subscriptions()
        return listing_of(
            self._table.tenant,
            "webhook subscriptions",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n),
            _subscription,
        )

    def change(self, subscription: WebhookSubscription, change: Mapping[str, Any]) -> WebhookSubscription:
        """Change one as it was read. Raises PreconditionFailed if somebody else has changed it since, NotFound."""
        wanted = Change(
            set={**{k: _plain(v) for k, v in change.items() if v is not None}, "updated_at": now_ms()},
            remove=[k for k, v in change.items() if v is None],
            add={"version": 1},
        )
        try:
            item = self._table.update(self._key(subscription.id), wanted, Attr("version").eq(subscription.version))
        except ConditionFailed as failed:
            if failed.item is None:
                raise NotFound(f"there is no webhook subscription {subscription.id}") from None
            raise PreconditionFailed("somebody else has changed it; read it again") from None
        return _subscription(item)

    def note_accepted(self, subscription_id: str, accepted_at: int) -> None:
        """Its receiver has taken something then."""
        self._quietly(self._key(subscription_id), Change(set={"accepted_at": accepted_at}), Attr("PK").exists())

    def remove(self, subscription_id: str) -> None:
        """Remove one; what is on its way to it is dropped. Its deliveries lapse by themselves."""
        self._table.delete(self._key(subscription_id))

    # --- deliveries ------------------------------------------------------------------------------------------------

    def add(self, delivery: Delivery) -> Delivery:
        """Keep a delivery; gives the one that stands there: this one, or the one of the same id before it."""
        item = _item(delivery, _DELIVERY) | {"ttl": delivery.round_at // 1000 + _KEEP_S}
        try:
            self._table.create(self._delivery(delivery.subscription_id, delivery.id), item)
        except ConditionFailed:
            return self.delivery(delivery.subscription_id, delivery.id)
        return delivery

    def delivery(self, subscription_id: str, delivery_id: str) -> Delivery:
        """A delivery. Raises NotFound."""
        item = self._table.get(self._delivery(subscription_id, delivery_id), consistent=True)
        if item is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        return _delivery(item)

    def deliveries(
        self, subscription_id: str, cursor: str | None, limit: int, delivery_status: DeliveryStatus | None
    ) -> Listing[Delivery]:
        """Those of a subscription, newest event first; of one status, or all."""
        pk = self._keys.webhook_deliveries(subscription_id)
        only = None if delivery_status is None else Attr("status").eq(delivery_status)
        return listing_of(
            self._table.tenant,
            f"deliveries {subscription_id} {delivery_status}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n, forward=False, condition=only),
            _delivery,
        )

    def claim(self, delivery: Delivery, lease: int) -> bool:
        """Attempt it, alone until `lease` (ms). False: somebody else does, or has done."""
        free = Attr("lease").not_exists() | Attr("lease").lte(now_ms())
        at = self._delivery(delivery.subscription_id, delivery.id)
        return self._quietly(at, Change(set={"lease": lease}), self._as_read(delivery) & free)

    def record(self, delivery: Delivery, change: Mapping[str, Any]) -> bool:
        """What came of it, which ends the lease. False: it is no more as it was read."""
        wanted = Change(
            set={k: v for k, v in change.items() if v is not None},
            remove=["lease", *(k for k, v in change.items() if v is None)],
        )
        at = self._delivery(delivery.subscription_id, delivery.id)
        return self._quietly(at, wanted, self._as_read(delivery))

    @staticmethod
    def _as_read(delivery: Delivery) -> Any:
        # The round too: who replays it meanwhile changes neither status nor attempts, and an attempt of the round
        # before must not say how the new one goes.
        unchanged = Attr("status").eq(delivery.status) & Attr("attempts").eq(delivery.attempts)
        return unchanged & Attr("round_at").eq(delivery.round_at)

    def _quietly(self, key: Key, change: Change, condition: Any) -> bool:
        try:
            self._table.update(key, change, condition)
        except ConditionFailed:
            return False
        return True

    def _key(self, subscription_id: str) -> Key:
        return Key(self._keys.webhook_subscriptions(), subscription_id)

    def _delivery(self, subscription_id: str, delivery_id: str) -> Key:
        return Key(self._keys.webhook_deliveries(subscription_id), delivery_id)


def _item(thing: Any, names: tuple[str, ...]) -> Item:
    pairs = ((name, getattr(thing, name)) for name in names)
    return {name: _plain(value) for name, value in pairs if value is not None}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _subscription(item: Item) -> WebhookSubscription:
    values = {name: item[name] for name in _SUBSCRIPTION if name in item}
    wanted = values.get("workflow_ids")
    values |= {"events": tuple(values["events"]), "workflow_ids": None if wanted is None else tuple(wanted)}
    return WebhookSubscription(**values)


def _delivery(item: Item) -> Delivery:
    return Delivery(**{name: item[name] for name in _DELIVERY if name in item})
