"""A DynamoDB table in plain memory: for runs that are only rehearsed, and for tests that make a hundred thousand calls.

It stands where botocore would send a request, so all of our own code runs above it. What our code does not use is
refused, not guessed.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

Wire = dict[str, Any]  # an item, or a value, as DynamoDB's protocol has it
Test = Callable[[Wire, Mapping[str, str], Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(<=|>=|[(),=<>]|[#:]?\w+)")
_CLAUSE = re.compile(r"\b(SET|REMOVE|ADD|DELETE)\b")
_SIGNS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ASSIGN = re.compile(r"(#\w+) = (?:(:\w+)|if_not_exists\((#\w+), (:\w+)\))")


class NotUnderstood(Exception):
    """A request that none of our own code makes. A bug, never an input error."""


def refused(code: str, operation: str, **more: Any) -> ClientError:
    """What botocore raises for this error code."""
    return ClientError({"Error": {"Code": code, "Message": code}, **more}, operation)


# --- condition expressions ----------------------------------------------------------------------------------------


def _plain(value: Wire | None) -> Any:
    """A value that can be compared with others of its type; None for an attribute that is absent."""
    if value is None:
        return None
    ((kind, inside),) = value.items()
    return (kind, Decimal(inside) if kind == "N" else frozenset(inside) if kind == "SS" else inside)


@cache
def _condition(text: str) -> Test:
    tokens = _TOKEN.findall(text)
    test, rest = _either(tokens)
    if rest:
        raise NotUnderstood(text)
    return test


def _either(tokens: list[str]) -> tuple[Test, list[str]]:
    left, tokens = _both(tokens)
    while tokens and tokens[0] == "OR":
        right, tokens = _both(tokens[1:])
        left = (lambda a, b: lambda i, n, v: a(i, n, v) or b(i, n, v))(left, right)
    return left, tokens


def _both(tokens: list[str]) -> tuple[Test, list[str]]:
    left, tokens = _one(tokens)
    while tokens and tokens[0] == "AND":
        right, tokens = _one(tokens[1:])
        left = (lambda a, b: lambda i, n, v: a(i, n, v) and b(i, n, v))(left, right)
    return left, tokens


def _one(tokens: list[str]) -> tuple[Test, list[str]]:
    match tokens:
        case ["(", *rest]:
            test, rest = _either(rest)
            if rest[0] != ")":
                raise NotUnderstood(" ".join(tokens))
            return test, rest[1:]
        case ["NOT", *rest]:
            test, rest = _one(rest)
            return (lambda i, n, v: not test(i, n, v)), rest
        case ["attribute_exists", "(", name, ")", *rest]:
            return (lambda i, n, _: n[name] in i), rest
        case ["attribute_not_exists", "(", name, ")", *rest]:
            return (lambda i, n, _: n[name] not in i), rest
        case ["begins_with", "(", name, ",", value, ")", *rest]:
            return (lambda i, n, v: n[name] in i and i[n[name]]["S"].startswith(v[value]["S"])), rest
        case ["contains", "(", name, ",", value, ")", *rest]:
            return (lambda i, n, v: _holds(i.get(n[name]), v[value])), rest
        case ["size", "(", name, ")", "=" | "<" | "<=" | ">" | ">=" as sign, value, *rest]:
            return (lambda i, n, v: _compared(sign, _size(i.get(n[name])), _plain(v[value]))), rest
        case [name, "IN", "(", *rest]:
            end = rest.index(")")
            among = [t for t in rest[:end] if t != ","]
            return (lambda i, n, v: any(_plain(i.get(n[name])) == _plain(v[a]) for a in among)), rest[end + 1 :]
        case [name, "=" | "<" | "<=" | ">" | ">=" as sign, value, *rest]:
            return (lambda i, n, v: _compared(sign, _plain(i.get(n[name])), _plain(v[value]))), rest
    raise NotUnderstood(" ".join(tokens))


def _holds(held: Wire | None, value: Wire) -> bool:
    """Whether a set has a member."""
    if held is None:
        return False
    ((kind, inside),) = held.items()
    if kind != "SS":
        raise NotUnderstood(f"contains of {kind}")
    return value["S"] in inside


def _size(held: Wire | None) -> Any:
    """How many members a set has, as a value that can be compared; None where there is none."""
    if held is None:
        return None
    ((kind, inside),) = held.items()
    if kind != "SS":
        raise NotUnderstood(f"size of {kind}")
    return "N", Decimal(len(inside))


def _compared(sign: str, left: Any, right: Any) -> bool:
    if left is None or left[0] != right[0]:
        return False
    return bool(_SIGNS[sign](left[1], right[1]))


# --- update expressions -------------------------------------------------------------------------------------------


def _updated(item: Wire, text: str, names: Mapping[str, str], values: Mapping[str, Any]) -> Wire:
    new = dict(item)
    _, *parts = _CLAUSE.split(text)
    for word, body in zip(parts[::2], parts[1::2], strict=True):
        if word == "SET":
            for target, value, kept, first in _ASSIGN.findall(body):
                new[names[target]] = values[value] if value else item.get(names[kept], values.get(first))
            continue
        for each in body.split(","):
            name, *operand = each.split()
            if word == "REMOVE":
                new.pop(names[name], None)
            else:
                _count(new, names[name], values[operand[0]], word)
    return new


def _count(item: Wire, name: str, operand: Wire, word: str) -> None:
    """ADD to a number or a set, DELETE from a set."""
    ((kind, given),) = operand.items()
    held = item.get(name)
    if kind == "N" and word == "ADD":
        item[name] = {"N": str(Decimal(held["N"] if held else 0) + Decimal(given))}
    elif kind == "SS":
        before = set(held["SS"]) if held else set()
        after = before | set(given) if word == "ADD" else before - set(given)
        item[name] = {"SS": sorted(after)}
        if not after:
            del item[name]
    else:
        raise NotUnderstood(f"{word} of {kind}")


# --- the table -------------------------------------------------------------------------------------------------


class Table:
    """One table with the keys PK and SK and the indexes GSI1 and GSI2: what `shared.aws.dynamo` calls of DynamoDB."""

    def __init__(self) -> None:
        self._partitions: dict[str, dict[str, Wire]] = {}

    def clear(self) -> None:
        """Remove everything."""
        self._partitions.clear()

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """An operation's answer. Raises ClientError."""
        match operation:
            case "GetItem":
                item = self._find(arguments["Key"])
                return {"Item": dict(item)} if item is not None else {}
            case "PutItem" | "UpdateItem" | "DeleteItem":
                write = self._prepared(operation, arguments)
                return self._done(write, arguments)
            case "Query":
                return self._query(**arguments)
            case "BatchWriteItem":
                return self._batch(arguments["RequestItems"])
            case "TransactWriteItems":
                return self._transact(arguments["TransactItems"])
        raise NotUnderstood(operation)

    def _find(self, key: Mapping[str, Any]) -> Wire | None:
        return self._partitions.get(key["PK"]["S"], {}).get(key["SK"]["S"])

    def _set(self, key: Mapping[str, Any], item: Wire | None) -> None:
        partition = self._partitions.setdefault(key["PK"]["S"], {})
        if item is None:
            partition.pop(key["SK"]["S"], None)
        else:
            partition[key["SK"]["S"]] = item

    def _prepared(self, operation: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], Wire | None]:
        """(key, the item it leads to); checked, and not written. Raises ClientError."""
        key = arguments.get("Key") or {k: arguments["Item"][k] for k in ("PK", "SK")}
        held = self._find(key)
        names, values = arguments.get("ExpressionAttributeNames", {}), arguments.get("ExpressionAttributeValues", {})
        condition = arguments.get("ConditionExpression")
        if condition and not _condition(condition)(held or {}, names, values):
            old = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and held is not None
            more = {"Item": dict(held)} if old and held is not None else {}
            raise refused("ConditionalCheckFailedException", operation, **more)
        match operation:
            case "PutItem":
                return key, dict(arguments["Item"])
            case "UpdateItem":
                start = held if held is not None else dict(key)
                return key, _updated(start, arguments.get("UpdateExpression", ""), names, values)
            case "DeleteItem":
                return key, None
        return key, held  # ConditionCheck

    def _done(self, write: tuple[Mapping[str, Any], Wire | None], arguments: Mapping[str, Any]) -> dict[str, Any]:
        self._set(*write)
        return {"Attributes": dict(write[1] or {})} if arguments.get("ReturnValues") == "ALL_NEW" else {}

    def _batch(self, requests: Mapping[str, Any]) -> dict[str, Any]:
        for request in (r for each in requests.values() for r in each):
            ((kind, body),) = request.items()
            self._set(body["Item"] if kind == "PutRequest" else body["Key"], body.get("Item"))
        return {"UnprocessedItems": {}}

    def _transact(self, entries: Any) -> dict[str, Any]:
        writes, reasons = [], []
        for entry in entries:
            ((kind, arguments),) = entry.items()
            try:
                writes.append(self._prepared(kind if kind == "ConditionCheck" else f"{kind}Item", arguments))
                reasons.append({"Code": "None"})
            except ClientError as error:
                held = error.response.get("Item")
                reasons.append({"Code": "ConditionalCheckFailed", **({"Item": held} if held else {})})
        if len(writes) < len(entries):
            raise refused("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
        for write in writes:
            self._set(*write)
        return {}

    def _query(
        self,
        KeyConditionExpression: str,
        ExpressionAttributeNames: Mapping[str, str],
        ExpressionAttributeValues: Mapping[str, Any],
        TableName: str,
        IndexName: str = "",
        FilterExpression: str = "",
        ProjectionExpression: str = "",
        ScanIndexForward: bool = True,
        ConsistentRead: bool = False,
        Limit: int | None = None,
        ExclusiveStartKey: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        del TableName, ConsistentRead  # there is one table, and every read of it is consistent
        names, values = ExpressionAttributeNames, ExpressionAttributeValues
        order = (f"{IndexName}SK", "PK", "SK") if IndexName else ("SK",)
        fits = _condition(KeyConditionExpression)
        found = sorted(
            (i for i in self._candidates(IndexName, values) if fits(i, names, values)),
            key=lambda i: [i[k]["S"] for k in order],
            reverse=not ScanIndexForward,
        )
        if ExclusiveStartKey is not None:
            start = [ExclusiveStartKey[k]["S"] for k in order]
            beyond = operator.gt if ScanIndexForward else operator.lt
            found = [i for i in found if beyond([i[k]["S"] for k in order], start)]
        page = found if Limit is None else found[:Limit]
        answer: dict[str, Any] = {}
        if Limit is not None and len(found) >= Limit and page:
            keys = ("PK", "SK", *((f"{IndexName}PK", f"{IndexName}SK") if IndexName else ()))
            answer["LastEvaluatedKey"] = {k: page[-1][k] for k in keys}
        if FilterExpression:
            page = [i for i in page if _condition(FilterExpression)(i, names, values)]
        if ProjectionExpression:
            wanted = [names[p] for p in ProjectionExpression.split(", ")]
            page = [{k: i[k] for k in wanted if k in i} for i in page]
        return {"Items": [dict(i) for i in page], **answer}

    def _candidates(self, index: str, values: Mapping[str, Any]) -> Iterator[Wire]:
        if index:
            return (i for p in self._partitions.values() for i in p.values() if f"{index}PK" in i and f"{index}SK" in i)
        return iter(self._partitions.get(next(iter(values.values()))["S"], {}).values())


class MemoryClient:
    """The table where `shared.aws.dynamo.Dynamo` expects botocore's client."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        return lambda **arguments: self._table.call(operation.title().replace("_", ""), arguments)
