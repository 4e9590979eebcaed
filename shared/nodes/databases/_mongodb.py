"""What is asked of a tenant's MongoDB. Loads pymongo, so import it when needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from bson import json_util
from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)

from shared.nodes.base import Call, NodeError
from shared.nodes.databases._reaching import connection
from shared.nodes.world import Credential
from shared.outbound.mongodb import MONGODB

MAX_BYTES: Final = 20_000_000
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "find": frozenset({"filter", "projection", "sort", "limit", "skip"}),
    "aggregate": frozenset({"pipeline"}),
    "count": frozenset({"filter"}),
    "insert": frozenset({"documents"}),
    "update": frozenset({"filter", "update", "many", "upsert"}),
    "delete": frozenset({"filter", "many"}),
}
_WRITES: Final = frozenset({"insert", "update", "delete"})
# JavaScript at the server, and stages that write or look around at it.
_REFUSED: Final = frozenset({"$where", "$function", "$accumulator", "mapReduce"})
_WRITING: Final = frozenset({"$out", "$merge"})
_LOOKING: Final = frozenset({"$currentOp", "$listSessions", "$listLocalSessions", "$planCacheStats", "$indexStats"})
_RELAXED: Final = json_util.JSONOptions(
    json_mode=json_util.JSONMode.RELAXED,
    tz_aware=True,
    datetime_representation=json_util.DatetimeRepresentation.ISO8601,
)


async def ask(call: Call, found: Credential, query: Mapping[str, Any]) -> list[Any]:
    """The results of one operation. Raises NodeError."""
    operation = _checked(query, bool(call.config.get("read_only", True)))
    most = int(call.config.get("max_results", 1000))
    async with connection(MONGODB, found, call) as server:
        collection: Any = server.client[server.database][_collection(query)]
        limit_ms = max(1, int(min(float(call.config.get("timeout_seconds", 30)), call.timeout_seconds) * 1000))
        try:
            results = await _done(collection, operation, _bson(query), most, limit_ms)
        except PyMongoError as error:
            raise _node_error(error) from None
        except (BSONError, OverflowError, TypeError, ValueError):
            raise NodeError("InvalidInput", "query holds what MongoDB cannot take", retryable=False) from None
    made = json.loads(json_util.dumps(results, json_options=_RELAXED))
    call.usage.update(results=len(made))
    return [_simple(each) for each in made]


def _checked(query: Mapping[str, Any], read_only: bool) -> str:
    operation = query.get("operation")
    if not isinstance(operation, str) or operation not in _FIELDS:
        _refuse(f"query.operation must be one of {', '.join(_FIELDS)}")
    spare = query.keys() - _FIELDS[operation] - {"operation", "collection"}
    if spare:
        _refuse(f"{operation} has no field {min(spare)[:100]}")
    refused = _found(query, _REFUSED | _LOOKING)
    if refused:
        _refuse(f"{refused} cannot be used")
    if read_only and (operation in _WRITES or _found(query.get("pipeline"), _WRITING)):
        raise NodeError("ReadOnly", "the operation writes, and read_only is set", retryable=False)
    kinds: dict[str, Any] = {
        "filter": dict,
        "pipeline": list,
        "documents": list,
        "update": (dict, list),
        "projection": dict,
        "sort": list,
        "limit": int,
        "skip": int,
    }
    for name, kind in kinds.items():
        if name in query and not isinstance(query[name], kind):
            _refuse(f"query.{name} is of the wrong type")
    for name, of in {"insert": "documents", "aggregate": "pipeline", "update": "update"}.items():
        if operation == name and of not in query:
            _refuse(f"{name} needs query.{of}")
    if operation in ("update", "delete") and "filter" not in query:
        _refuse(f"{operation} needs query.filter; {{}} is all documents")
    return operation


def _collection(query: Mapping[str, Any]) -> str:
    name = query.get("collection")
    if not isinstance(name, str) or not name or "$" in name or "\x00" in name or name.startswith("system."):
        _refuse("query.collection must be the name of a collection")
    return name


def _found(value: Any, names: frozenset[str]) -> str | None:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            hit = name if name in names else _found(inner, names)
            if hit:
                return hit
    elif isinstance(value, list):
        for inner in value:
            if hit := _found(inner, names):
                return hit
    return None


def _bson(query: Mapping[str, Any]) -> dict[str, Any]:
    """The query with `{"$oid": …}`, `{"$date": …}` and the like as what they stand for."""
    try:
        made: dict[str, Any] = json_util.loads(json.dumps(query), json_options=_RELAXED)
    except (ValueError, TypeError, RecursionError, BSONError, PyMongoError):
        _refuse("query holds extended JSON that cannot be read")
    return made


async def _done(collection: Any, operation: str, query: dict[str, Any], most: int, limit_ms: int) -> list[Any]:
    where = query.get("filter", {})
    match operation:
        case "find":
            limit = query.get("limit")
            cursor = collection.find(
                where,
                query.get("projection"),
                skip=int(query.get("skip", 0)),
                limit=min(int(limit), most + 1) if limit else most + 1,
                sort=[tuple(pair) if isinstance(pair, list) else (pair, 1) for pair in query.get("sort", [])] or None,
                max_time_ms=limit_ms,
            )
            return await _read(cursor, most)
        case "aggregate":
            return await _read(await collection.aggregate(query["pipeline"], maxTimeMS=limit_ms), most)
        case "count":
            return [{"count": await collection.count_documents(where, maxTimeMS=limit_ms)}]
        case "insert":
            made = await collection.insert_many(query["documents"])
            return [{"inserted_ids": made.inserted_ids}]
        case "update":
            change = collection.update_many if query.get("many") else collection.update_one
            made = await change(where, query["update"], upsert=bool(query.get("upsert")))
            return [{"matched": made.matched_count, "modified": made.modified_count, "upserted_id": made.upserted_id}]
        case _:
            remove = collection.delete_many if query.get("many") else collection.delete_one
            return [{"deleted": (await remove(where)).deleted_count}]


async def _read(cursor: Any, most: int) -> list[Any]:
    results: list[Any] = []
    size = 0
    async with cursor:
        async for document in cursor:
            if len(results) == most:
                message = f"there are more than {most:,} results (max_results)"
                raise NodeError("TooManyRows", message, retryable=False)
            size += len(json_util.dumps(document))
            if size > MAX_BYTES:
                raise NodeError("ResponseTooLarge", f"the results are over {MAX_BYTES:,} bytes", retryable=False)
            results.append(document)
            await asyncio.sleep(0)
    return results


def _simple(value: Any) -> Any:
    """Ids, moments and decimals as text; what else has no JSON stays extended JSON."""
    if isinstance(value, list):
        return [_simple(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        name, inner = next(iter(value.items()))
        if name in ("$oid", "$uuid", "$numberDecimal") or (name == "$date" and isinstance(inner, str)):
            return inner
    return {name: _simple(inner) for name, inner in value.items()}


def _node_error(error: PyMongoError) -> NodeError:
    if isinstance(error, ExecutionTimeout):
        return NodeError("Timeout", "the server stopped the operation, which took too long")
    if isinstance(error, DuplicateKeyError) or (isinstance(error, BulkWriteError) and "E11000" in str(error.details)):
        return NodeError("ConstraintViolation", "a unique index forbids it", retryable=False)
    if isinstance(error, AutoReconnect):
        return NodeError("ConnectionFailed", "the connection was lost")
    if isinstance(error, OperationFailure):
        if error.code == 13:
            return NodeError("PermissionDenied", "the user may not do that", retryable=False)
        # Its words may quote a document.
        name = (error.details or {}).get("codeName") or error.code
        return NodeError("QueryFailed", f"the server refused the operation: {name}", retryable=False)
    return NodeError("QueryFailed", f"the operation failed: {type(error).__name__}", retryable=False)


def _refuse(message: str) -> NoReturn:
    raise NodeError("InvalidInput", message, retryable=False)
