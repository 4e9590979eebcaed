"""What is asked of DynamoDB in an account of the tenant's own. Values are plain JSON on both sides."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from shared.nodes.base import Call, NodeError
from shared.nodes.databases._sql import number
from shared.nodes.world import Credential
from shared.outbound import aws
from shared.outbound.aws import AwsFailed

MAX_BYTES: Final = 20_000_000
_COMMON: Final = frozenset({"TableName", "ExpressionAttributeNames", "ExpressionAttributeValues"})
_OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "GetItem": frozenset({"TableName", "Key", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames"}),
    "Query": _COMMON
    | {
        "IndexName",
        "KeyConditionExpression",
        "FilterExpression",
        "ProjectionExpression",
        "ScanIndexForward",
        "ConsistentRead",
        "Limit",
    },
    "PutItem": _COMMON | {"Item", "ConditionExpression", "ReturnValues"},
    "UpdateItem": _COMMON | {"Key", "UpdateExpression", "ConditionExpression", "ReturnValues"},
    "DeleteItem": _COMMON | {"Key", "ConditionExpression", "ReturnValues"},
}
_READS: Final = frozenset({"GetItem", "Query"})
_ITEMS: Final = ("Key", "Item", "ExpressionAttributeValues")
_THROTTLED: Final = ("Throttl", "ProvisionedThroughput", "RequestLimit", "TransactionConflict", "InternalServer")


async def ask(call: Call, found: Credential, query: Mapping[str, Any]) -> list[Any]:
    """The items of one operation; what was there before or is there now, where ReturnValues asks for it."""
    operation = query.get("operation")
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        _refuse(f"query.operation must be one of {', '.join(_OPERATIONS)}")
    if not isinstance(query.get("TableName"), str):
        _refuse("query.TableName must be the name of a table")
    spare = query.keys() - _OPERATIONS[operation] - {"operation"}
    if spare:
        _refuse(f"{operation} has no field {min(spare)[:100]}")
    if operation not in _READS and call.config.get("read_only", True):
        raise NodeError("ReadOnly", "the operation writes, and read_only is set", retryable=False)
    parameters = {name: value for name, value in query.items() if name != "operation"}
    for name in _ITEMS:
        if name in parameters:
            if not isinstance(parameters[name], Mapping):
                _refuse(f"query.{name} must be an object")
            parameters[name] = {key: _written(value) for key, value in parameters[name].items()}
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    try:
        # A write is sent once: botocore's own second attempt could find its condition no longer met.
        service = call.world.aws(
            "dynamodb", found, timeout=call.timeout_seconds, attempts=3 if operation in _READS else 1
        )
        async with asyncio.timeout(call.timeout_seconds):
            results = await _pages(service, method, parameters, int(call.config.get("max_results", 1000)))
    except TimeoutError:
        raise NodeError("Timeout", f"not done within {call.timeout_seconds:g} seconds") from None
    except AwsFailed as error:
        raise _node_error(error) from None
    call.usage.update(results=len(results))
    return results


async def _pages(service: Any, method: str, parameters: dict[str, Any], most: int) -> list[Any]:
    results: list[Any] = []
    size = 0
    wanted = parameters.get("Limit") if isinstance(parameters.get("Limit"), int) else None
    while True:
        answer = await asyncio.to_thread(service.call, method, parameters)
        listed = answer.get("Items") or [answer[n] for n in ("Item", "Attributes") if answer.get(n)]
        for item in listed:
            read = {name: _read(value) for name, value in item.items()}
            size += len(json.dumps(read))
            results.append(read)
        if size > MAX_BYTES:
            raise NodeError("ResponseTooLarge", f"the items are over {MAX_BYTES:,} bytes as JSON", retryable=False)
        if len(results) > most:
            raise NodeError("TooManyRows", f"there are more than {most:,} results (max_results)", retryable=False)
        following = answer.get("LastEvaluatedKey")
        if not following or wanted is not None:
            return results
        parameters = {**parameters, "ExclusiveStartKey": following}


def _written(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float() if math.isfinite(value):
            return {"N": str(value)}
        case list():
            return {"L": [_written(v) for v in value]}
        case Mapping():
            return {"M": {str(k): _written(v) for k, v in value.items()}}
    raise NodeError("InvalidInput", "query holds a value that is no JSON", retryable=False)


def _read(value: Mapping[str, Any]) -> Any:
    kind, inner = next(iter(value.items()))
    match kind:
        case "NULL":
            return None
        case "N":
            return number(inner)
        case "NS":
            return [number(n) for n in inner]
        case "B":
            return base64.b64encode(inner).decode()
        case "BS":
            return [base64.b64encode(b).decode() for b in inner]
        case "L":
            return [_read(v) for v in inner]
        case "M":
            return {name: _read(v) for name, v in inner.items()}
    return list(inner) if isinstance(inner, (list, set)) else inner


def _node_error(error: AwsFailed) -> NodeError:
    code = error.code
    own = {aws.BLOCKED, aws.UNKNOWN_HOST, aws.UNREACHED, aws.TIMED_OUT, aws.TOO_LARGE}
    if code in own:
        return NodeError(code, error.message, retryable=code not in (aws.BLOCKED, aws.TOO_LARGE))
    if code == aws.MALFORMED:
        return NodeError("InvalidInput", error.message, retryable=False)
    if code == "ConditionalCheckFailedException":
        return NodeError("ConstraintViolation", "the condition does not hold", retryable=False)
    if code == "AccessDeniedException":
        return NodeError("PermissionDenied", "the key may not do that", retryable=False)
    if error.status in (401, 403) or "Token" in code or "Signature" in code or code == "UnrecognizedClientException":
        return NodeError("AuthenticationFailed", f"AWS refuses the key ({code})", retryable=False)
    if any(word in code for word in _THROTTLED) or error.status >= 500:
        return NodeError(
            "ConnectionFailed", f"DynamoDB does not take it right now ({code})", retry_after=error.retry_after
        )
    return NodeError("QueryFailed", f"DynamoDB refused the operation ({code}): {error.message}", retryable=False)


def _refuse(message: str) -> NoReturn:
    raise NodeError("InvalidInput", message, retryable=False)
