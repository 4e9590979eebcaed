"""Pages of long lists: the same one Query of as many items wherever the page lies."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from infrastructure.local.cloud import ACCOUNT, REGION
from shared.aws.clients import client
from shared.aws.dynamo import encode
from shared.ids import new_id
from shared.settings import settings
from shared.store.keys import Key
from shared.store.table import Item, TenantTable
from tests.functions.api.workflows_over_http import adder, created

WORKFLOWS, RUNS = 10_000, 100_000
LIMIT = 50


@contextmanager
def queries() -> Iterator[list[dict[str, Any]]]:
    """The answers of the queries that are made meanwhile."""
    seen: list[dict[str, Any]] = []

    def note(parsed: dict[str, Any], **_: Any) -> None:
        seen.append(parsed)

    events = client("dynamodb").meta.events
    events.register("after-call.dynamodb.Query", note, unique_id="long-lists")
    try:
        yield seen
    finally:
        events.unregister("after-call.dynamodb.Query", unique_id="long-lists")


def multiplied(key: Key, count: int, kind: str, named: Callable[[str], Item]) -> list[str]:
    """Copies of an item under new ids; gives all of them, the oldest first."""
    ids = [new_id(kind) for _ in range(count - 1)]
    # Into moto's table by hand: it adds up an item's size again for each attribute, which would take minutes here.
    stored = dynamodb_backends[ACCOUNT][REGION].tables[settings().table].items
    model = stored[DynamoType({"S": key.pk})][DynamoType({"S": key.sk})]
    for made in ids:
        row = copy(model)
        row.attrs = {**model.attrs, **{n: DynamoType(v) for n, v in encode(named(made)).items()}}
        row.hash_key, row.range_key = row.attrs["PK"], row.attrs["SK"]
        stored[row.hash_key][row.range_key] = row
    return ids


def walk(api_client, url: str, cursor: str | None) -> tuple[list[str], str | None, int]:
    """A page: its ids, where it goes on, and how many items were read for it."""
    with queries() as seen:
        answer = api_client.get(url, params={"limit": LIMIT, **({"cursor": cursor} if cursor else {})})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [query] = seen
    return [i["id"] for i in body["items"]], body["next_cursor"], query["ScannedCount"]


def moved(cursor: str | None, last: dict[str, str]) -> str:
    """A cursor of the same list that goes on after `last`: to get there in steps takes thousands of requests."""
    assert cursor is not None
    mark, _ = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps([mark, last]).encode()).decode().rstrip("=")


@pytest.mark.slow
def test_ten_thousand_workflows(api_client, tenant):
    table = TenantTable(tenant)
    first = created(api_client, adder())
    key = Key(table.keys.workflows(), first)
    ids = [first, *multiplied(key, WORKFLOWS, "wf", lambda i: {"SK": i, "id": i})]
    newest = sorted(ids, reverse=True)
    _, cursor, _ = walk(api_client, "/workflows", None)
    for place in (0, WORKFLOWS // 2, WORKFLOWS - LIMIT):
        last = {"PK": table.keys.workflows(), "SK": newest[place - 1]} if place else None
        found, following, read = walk(api_client, "/workflows", last and moved(cursor, last))
        assert (found, read) == (newest[place : place + LIMIT], LIMIT)
        assert following is not None or place + LIMIT == WORKFLOWS


@pytest.mark.slow
def test_a_hundred_thousand_runs(api_client, tenant):
    table = TenantTable(tenant)
    workflow_id = created(api_client, adder())
    first = api_client.post(f"/workflows/{workflow_id}/execute").json()["id"]

    def named(made: str) -> dict[str, Any]:
        return {"PK": table.keys.run(made).pk, "id": made, "GSI1SK": made}

    ids = [first, *multiplied(table.keys.run(first), RUNS, "ex", named)]
    newest = sorted(ids, reverse=True)
    url = f"/workflows/{workflow_id}/executions"
    _, cursor, _ = walk(api_client, url, None)
    for place in (0, RUNS // 2, RUNS - LIMIT):
        last = None
        if place:
            before = newest[place - 1]
            row = table.keys.run(before)
            last = {"PK": row.pk, "SK": row.sk, "GSI1PK": table.keys.runs_of(workflow_id), "GSI1SK": before}
        found, following, read = walk(api_client, url, last and moved(cursor, last))
        assert (found, read) == (newest[place : place + LIMIT], LIMIT)
        assert following is not None or place + LIMIT == RUNS
