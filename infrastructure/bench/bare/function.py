"""The bare functions on the local AWS: `web` behind an HTTP API, `work` and `ask` called by state machines.

Each makes the AWS calls that the product's own function makes for the same job, and nothing else: no tenants, no
checks, no journal. Each writes one log line, because MiniStack waits 50 ms for one.
"""

from __future__ import annotations

import json
import os
import time
import uuid
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
import urllib3
from botocore.config import Config

_config = Config(inject_host_prefix=False)
_dynamodb = boto3.client("dynamodb", config=_config)
_states = boto3.client("stepfunctions", config=_config)
_http = urllib3.PoolManager(maxsize=20)

_FIRST_LOOK_S: Final = 0.03  # as the product's webhooks look
_LAST_LOOK_S: Final = 0.5


def web(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`POST /<job>`: do the job with the JSON body."""
    del context
    began = time.perf_counter()
    given = json.loads(event["body"])
    answer = _JOBS[event["rawPath"].rsplit("/", 1)[-1]](given)
    print(json.dumps({"message": "web", "ms": round((time.perf_counter() - began) * 1000, 1)}), flush=True)
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}


def work(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The one task of a run: `{add, times}` adds numbers up, `{url, times, at_once}` makes HTTP requests."""
    del context
    if "url" in event:
        with ThreadPoolExecutor(event["at_once"]) as pool:
            statuses = list(pool.map(lambda _: _http.request("GET", event["url"]).status, range(event["times"])))
        result: dict[str, Any] = {"good": statuses.count(200)}
    else:
        result = {"sum": sum([event["add"]] * event["times"])}
    print(json.dumps({"message": "work"}), flush=True)
    return result


def ask(event: dict[str, Any], context: Any) -> None:
    """Keep a task token."""
    del context
    _dynamodb.put_item(TableName=os.environ["TABLE"], Item=_key("BENCH#ASKED", event["id"]) | _s(token=event["token"]))
    print(json.dumps({"message": "ask"}), flush=True)


def _read(given: dict[str, Any]) -> dict[str, Any]:
    return _shown(_get(given["pk"], given["sk"]))


def _list(given: dict[str, Any]) -> dict[str, Any]:
    found = _dynamodb.query(
        TableName=os.environ["TABLE"],
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": given["pk"]}},
        Limit=given["limit"],
        ScanIndexForward=False,
    )
    return {"items": [_shown(item) for item in found["Items"]]}


def _create(given: dict[str, Any]) -> dict[str, Any]:
    made, document = uuid.uuid4().hex, zlib.compress(json.dumps(given["document"]).encode())
    fields = {**_s(name=given["document"]["name"]), "revision": {"N": "1"}}
    summary = {**_key("BENCH#WFS", made), **fields}
    draft = {**_key(f"BENCH#WF#{made}", "DRAFT"), **fields, "document": {"B": document}}
    new = {"TableName": os.environ["TABLE"], "ConditionExpression": "attribute_not_exists(PK)"}
    _dynamodb.transact_write_items(TransactItems=[{"Put": {"Item": item, **new}} for item in (summary, draft)])
    _audited("create", made)
    return {"id": made, **given["document"]}


def _update(given: dict[str, Any]) -> dict[str, Any]:
    draft = _get(f"BENCH#WF#{given['id']}", "DRAFT")
    document = {**json.loads(zlib.decompress(draft["document"]["B"])), **given["changes"]}
    values = {
        ":before": draft["revision"],
        ":after": {"N": str(int(draft["revision"]["N"]) + 1)},
        ":name": {"S": document["name"]},
    }
    changed: dict[str, Any] = {
        "TableName": os.environ["TABLE"],
        "UpdateExpression": "SET revision = :after, #name = :name",
        "ConditionExpression": "revision = :before",
        "ExpressionAttributeNames": {"#name": "name"},
    }
    packed = {":document": {"B": zlib.compress(json.dumps(document).encode())}}
    _dynamodb.transact_write_items(
        TransactItems=[
            {"Update": {"Key": _key("BENCH#WFS", given["id"]), "ExpressionAttributeValues": values, **changed}},
            {
                "Update": {
                    **changed,
                    "Key": _key(f"BENCH#WF#{given['id']}", "DRAFT"),
                    "UpdateExpression": changed["UpdateExpression"] + ", document = :document",
                    "ExpressionAttributeValues": values | packed,
                }
            },
        ]
    )
    _audited("update", given["id"])
    return document


def _audited(action: str, thing: str) -> None:
    """Who did what, as every change through the API leaves it."""
    item = _key("BENCH#AUDIT", uuid.uuid4().hex) | _s(action=action, thing=thing, who="bench", at=str(time.time()))
    _dynamodb.put_item(TableName=os.environ["TABLE"], Item=item)


def _start(given: dict[str, Any]) -> dict[str, Any]:
    started = _states.start_execution(stateMachineArn=given["machine"], input=json.dumps(given["input"]))
    return {"execution": started["executionArn"]}


def _hook(given: dict[str, Any]) -> dict[str, Any]:
    """Start an execution and answer with its output."""
    execution, pause = _start(given)["execution"], _FIRST_LOOK_S
    while True:
        described = _states.describe_execution(executionArn=execution)
        if described["status"] != "RUNNING":
            output: dict[str, Any] = json.loads(described["output"])
            return output
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_S)


def _answer(given: dict[str, Any]) -> dict[str, Any]:
    """A person's answer: the token is looked up and used."""
    asked = _get("BENCH#ASKED", given["id"])
    _states.send_task_success(taskToken=asked["token"]["S"], output=json.dumps(given["answer"]))
    return {"done": True}


def _get(pk: str, sk: str) -> dict[str, Any]:
    item: dict[str, Any] = _dynamodb.get_item(TableName=os.environ["TABLE"], Key=_key(pk, sk), ConsistentRead=True)[
        "Item"
    ]
    return item


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    shown = {name: next(iter(value.values())) for name, value in item.items() if name != "document"}
    return shown | (json.loads(zlib.decompress(item["document"]["B"])) if "document" in item else {})


def _key(pk: str, sk: str) -> dict[str, Any]:
    return _s(PK=pk, SK=sk)


def _s(**values: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in values.items()}


_JOBS: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "read": _read,
    "list": _list,
    "create": _create,
    "update": _update,
    "start": _start,
    "hook": _hook,
    "answer": _answer,
}
