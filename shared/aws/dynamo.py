"""DynamoDB, in plain Python values: strings, ints, bools, None, bytes, lists, dicts.

A float is refused: documents with numbers in them are stored as JSON text, which keeps them exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

from boto3.dynamodb.conditions import Attr as Attr
from boto3.dynamodb.conditions import ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.conditions import Key as KeyCondition
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from shared.aws.reach import reaching
from shared.errors import BadRequest, Contended, TooLarge, Unavailable

Condition: TypeAlias = ConditionBase
Item: TypeAlias = dict[str, Any]

_WHAT: Final = "the database"
# Of a transaction that was cancelled: not that another one was at the same items.
_THROTTLED: Final = {"ProvisionedThroughputExceeded", "ThrottlingError"}
_BATCH: Final = 25  # BatchWriteItem's limit
_ITEM_SIZE: Final = re.compile(r"item size", re.IGNORECASE)  # in the messages for an item over 400 KB

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class ConditionFailed(Exception):
    """A conditional write found another state. `item` is what stands there, if anything does."""

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("condition failed")
        self.item = item


def encode(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item as the wire wants it."""
    return {k: _serialize(v) for k, v in item.items()}


def decode(item: Mapping[str, Any]) -> Item:
    """An item as Python values; whole numbers come back as ints."""
    return {k: _plain(_deserialize(v)) for k, v in item.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, Binary):
        return bytes(value.value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does: set these, set those that are absent, remove some, add to counters and sets, take out of
    sets (a set that is empty then is no attribute any more).
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)  # kept as it is where it is there already
    remove: Sequence[str] = ()
    add: Mapping[str, int | frozenset[str]] = field(default_factory=dict)
    take: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a transaction."""

    kind: Literal["Put", "Update", "Delete", "ConditionCheck"]
    key: tuple[str, str]
    item: Item | None = None
    change: Change | None = None
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some items and where to go on from (None: that was all)."""

    items: list[Item]
    last: dict[str, str] | None
    keys: tuple[str, ...] = ("PK", "SK")  # what `last` is made of

    def after(self, count: int) -> dict[str, str] | None:
        """Where to go on from for whoever takes the first `count` items, at least one."""
        return self.last if count == len(self.items) else {name: self.items[count - 1][name] for name in self.keys}


class Dynamo:
    """One table through one client. Keys are `PK` and `SK`; the indexes are `GSI1` and `GSI2`."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, pk: str, sk: str, *, consistent: bool = False) -> Item | None:
        """The item, or None."""
        answer = self._call("get_item", Key=_key(pk, sk), ConsistentRead=consistent)
        return decode(answer["Item"]) if "Item" in answer else None

    def put(self, item: Item, condition: Condition | None = None) -> None:
        """Write an item. Raises ConditionFailed."""
        self._call("put_item", Item=encode(item), **_expressions(condition), **_old(condition))

    def update(self, pk: str, sk: str, change: Change, condition: Condition | None = None) -> Item:
        """Change an item (made if absent, unless the condition says otherwise); gives the new state."""
        answer = self._call(
            "update_item",
            Key=_key(pk, sk),
            ReturnValues="ALL_NEW",
            **_expressions(condition, change),
            **_old(condition),
        )
        return decode(answer["Attributes"])

    def delete(self, pk: str, sk: str, condition: Condition | None = None) -> None:
        """Remove an item; an absent one is no error."""
        self._call("delete_item", Key=_key(pk, sk), **_expressions(condition), **_old(condition))

    def query(
        self,
        pk: str,
        *,
        prefix: str = "",
        after: str | None = None,
        up_to: str | None = None,
        index: str | None = None,
        forward: bool = True,
        limit: int | None = None,
        start: dict[str, str] | None = None,
        condition: Condition | None = None,
        attributes: Sequence[str] = (),
        consistent: bool = False,
    ) -> Page:
        """One page of a partition: sort keys that start with `prefix`, or come after `after`, or not after `up_to`;
        with both, from `after` on and not after `up_to`.
        """
        names = (f"{index}PK", f"{index}SK") if index else ("PK", "SK")
        keys = ("PK", "SK", *names) if index else names
        key = KeyCondition(names[0]).eq(pk)
        if prefix:
            key &= KeyCondition(names[1]).begins_with(prefix)
        elif after is not None and up_to is not None:
            key &= KeyCondition(names[1]).between(after, up_to)
        elif after is not None:
            key &= KeyCondition(names[1]).gt(after)
        elif up_to is not None:
            key &= KeyCondition(names[1]).lte(up_to)
        built = ConditionExpressionBuilder()
        expression = built.build_expression(key, is_key_condition=True)
        names_used = dict(expression.attribute_name_placeholders)
        values_used = dict(expression.attribute_value_placeholders)
        arguments: dict[str, Any] = {"KeyConditionExpression": expression.condition_expression}
        if condition is not None:
            filtered = built.build_expression(condition)
            arguments["FilterExpression"] = filtered.condition_expression
            names_used |= filtered.attribute_name_placeholders
            values_used |= filtered.attribute_value_placeholders
        if attributes:
            placeholders = {f"#p{i}": name for i, name in enumerate(dict.fromkeys((*attributes, *keys)))}
            arguments["ProjectionExpression"] = ", ".join(placeholders)
            names_used |= placeholders
        if index:
            arguments["IndexName"] = index
        if limit is not None:
            arguments["Limit"] = limit
        if start is not None:
            arguments["ExclusiveStartKey"] = encode(start)
        answer = self._call(
            "query",
            ScanIndexForward=forward,
            ConsistentRead=consistent,
            ExpressionAttributeNames=names_used,
            ExpressionAttributeValues=encode(values_used),
            **arguments,
        )
        last = answer.get("LastEvaluatedKey")
        return Page([decode(i) for i in answer["Items"]], decode(last) if last else None, keys)

    def query_all(self, pk: str, **arguments: Any) -> Iterator[Item]:
        """Every item of a partition, page after page; arguments as for `query`."""
        start: dict[str, str] | None = None
        while True:
            page = self.query(pk, start=start, **arguments)
            yield from page.items
            if page.last is None:
                return
            start = page.last

    def put_all(self, items: Sequence[Item]) -> None:
        """Write items without conditions, 25 a call; what DynamoDB leaves over is sent again."""
        requests = [{"PutRequest": {"Item": encode(i)}} for i in items]
        self._batch(requests)

    def delete_all(self, keys: Sequence[tuple[str, str]]) -> None:
        """Remove items, 25 a call."""
        self._batch([{"DeleteRequest": {"Key": _key(*k)}} for k in keys])

    def _batch(self, requests: list[dict[str, Any]]) -> None:
        pending = list(requests)
        for _ in range(2 * len(requests) + 10):
            if not pending:
                return
            answer = self._call("batch_write_item", raw=True, RequestItems={self._table: pending[:_BATCH]})
            pending = pending[_BATCH:] + answer.get("UnprocessedItems", {}).get(self._table, [])
        raise Unavailable(f"{_WHAT} is busy; try again")

    def transact(self, writes: Sequence[Write]) -> None:
        """All of it or nothing (at most 100 writes). Raises ConditionFailed with the item in the way."""
        entries = []
        for w in writes:
            entry: dict[str, Any] = {"TableName": self._table}
            entry |= _expressions(w.condition, w.change) | _old(w.condition)
            if w.kind == "Put":
                entry["Item"] = encode({**(w.item or {}), "PK": w.key[0], "SK": w.key[1]})
            else:
                entry["Key"] = _key(*w.key)
            entries.append({w.kind: entry})
        self._call("transact_write_items", raw=True, TransactItems=entries)

    def _call(self, operation: str, *, raw: bool = False, **arguments: Any) -> dict[str, Any]:
        if not raw:
            arguments["TableName"] = self._table
        with reaching(_WHAT), _meaning("ExclusiveStartKey" in arguments):
            answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
        return answer


@contextmanager
def _meaning(paging: bool) -> Iterator[None]:
    """What DynamoDB's refusals mean; the others are raised as they are."""
    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "ConditionalCheckFailedException":
            item = error.response.get("Item")
            raise ConditionFailed(decode(item) if item else None) from None
        if code == "TransactionCanceledException":
            raise _cancelled(error.response.get("CancellationReasons", [])) from error
        if code == "TransactionConflictException":  # a single write met a transaction on the same item
            raise _contended() from error
        if code == "ValidationException" and _ITEM_SIZE.search(message):
            raise _too_large() from None
        if code == "ValidationException" and paging:
            raise BadRequest("cursor is malformed", code="bad_cursor") from None
        raise


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    """Why a transaction was: there is a reason for each of its writes, "None" for those that could have been made."""
    for reason in reasons:
        if reason.get("Code") == "ConditionalCheckFailed":
            return ConditionFailed(decode(reason["Item"]) if reason.get("Item") else None)
        if _ITEM_SIZE.search(reason.get("Message") or ""):
            return _too_large()
    if any(reason.get("Code") in _THROTTLED for reason in reasons):
        return Unavailable(f"{_WHAT} is busy; try again")
    return _contended()


def _contended() -> Contended:
    return Contended(f"{_WHAT} is busy; try again")


def _too_large() -> TooLarge:
    return TooLarge("this is more than one record can hold: 400 KB")


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"PK": {"S": pk}, "SK": {"S": sk}}


def _old(condition: Condition | None) -> dict[str, Any]:
    return {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if condition is not None else {}


def _expressions(condition: Condition | None, change: Change | None = None) -> dict[str, Any]:
    """ConditionExpression and UpdateExpression with their names and values."""
    arguments: dict[str, Any] = {}
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    if condition is not None:
        built = ConditionExpressionBuilder().build_expression(condition)
        arguments["ConditionExpression"] = built.condition_expression
        names |= built.attribute_name_placeholders
        values |= built.attribute_value_placeholders
    if change is not None:
        parts: dict[str, list[str]] = {"SET": [], "ADD": [], "DELETE": []}
        for word, form, pairs in (
            ("SET", "{n} = {v}", change.set),
            ("SET", "{n} = if_not_exists({n}, {v})", change.first),
            ("ADD", "{n} {v}", change.add),
            ("DELETE", "{n} {v}", change.take),
        ):
            for name, value in pairs.items():
                n, v = f"#u{len(names)}", f":u{len(names)}"
                names[n], values[v] = name, value
                parts[word].append(form.format(n=n, v=v))
        clauses = [f"{word} {', '.join(found)}" for word, found in parts.items() if found]
        if change.remove:
            at = len(names)
            removed = {f"#u{at + i}": name for i, name in enumerate(change.remove)}
            names |= removed
            clauses.append(f"REMOVE {', '.join(removed)}")
        if clauses:
            arguments["UpdateExpression"] = " ".join(clauses)
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = encode(values)
    return arguments
