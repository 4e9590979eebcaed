"""Pages of long lists: the same one Query of as many items wherever the page lies; with a filter, few requests."""

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
from shared.clock import iso, now_ms
from shared.ids import ulid
from shared.settings import settings
from shared.store.keys import Key
from shared.store.table import Item, TenantTable
from tests.functions.api.samples import SAMPLES
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_run, a_task

WORKFLOWS, RUNS, FILTERED = 10_000, 100_000, 2_000
LIMIT = 50
APART = 120_000  # ms, by which runs follow on each other
DAY = 86_400_000
SELDOM = (10, FILTERED // 2, FILTERED - 10)


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


def multiplied(
    key: Key, count: int, kind: str, named: Callable[[str], Item], made_at: Callable[[int], int | None] = lambda _: None
) -> list[str]:
    """Copies of an item under new ids, of now or of other times; gives them in the order in which they were made."""
    ids = [f"{kind}_{ulid(made_at(n))}" for n in range(count - 1)]
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


def asked(api_client, url: str, **query: Any) -> tuple[list[Any], int, int]:
    """A list to its end: its items, in how many requests, and how many items were looked at for them."""
    items, requests, looked_at, cursor = [], 0, 0, None
    while requests == 0 or cursor:
        with queries() as seen:
            answer = api_client.get(url, params={**query, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        requests += 1
        looked_at += sum(q["ScannedCount"] for q in seen)
    return items, requests, looked_at


@pytest.mark.slow
def test_three_of_many_workflows(api_client, tenant):
    table = TenantTable(tenant)
    first = created(api_client, adder())
    rare = iter(n in SELDOM for n in range(FILTERED))

    def named(i):
        return {"SK": i, "id": i, **({"name": "Seldom"} if next(rare) else {})}

    ids = multiplied(Key(table.keys.workflows(), first), FILTERED, "wf", named)
    wanted = sorted((ids[n] for n in SELDOM), reverse=True)
    for limit, most in ((50, 1), (1, 4)):
        found, requests, looked_at = asked(api_client, "/workflows", q="seldom", limit=limit)
        assert [w["id"] for w in found] == wanted
        assert requests <= most
        assert looked_at < 2 * FILTERED


@pytest.mark.slow
def test_filters_of_many_runs(api_client, tenant):
    table, now = TenantTable(tenant), now_ms()
    workflow_id = created(api_client, adder())
    first = api_client.post(f"/workflows/{workflow_id}/execute").json()["id"]
    numbers = iter(range(FILTERED))

    def made_at(number: int) -> int:
        return now - (number + 1) * APART

    def named(made: str) -> dict[str, Any]:
        number = next(numbers)
        status = "failed" if number in SELDOM else "completed"
        keys = {"PK": table.keys.run(made).pk, "id": made, "GSI1SK": made}
        return {**keys, "status": status, "created_at": made_at(number)}

    ids = multiplied(table.keys.run(first), FILTERED, "ex", named, made_at)
    url = f"/workflows/{workflow_id}/executions"
    for limit, most in ((50, 1), (1, 4)):
        found, requests, _ = asked(api_client, url, status="failed", limit=limit)
        assert [r["id"] for r in found] == [ids[n] for n in SELDOM]
        assert requests <= most
    some = {"from": iso(made_at(329)), "to": iso(made_at(299))}
    found, requests, looked_at = asked(api_client, url, limit=200, **some)
    assert [r["id"] for r in found] == ids[300:330]
    assert requests == 1
    assert looked_at < 30 + DAY / APART + 10  # an id may be a day older than its run


@pytest.mark.slow
def test_what_has_a_way_of_its_own_is_not_looked_for(api_client, tenant):
    table = TenantTable(tenant)
    run = a_run(tenant)
    task_id = a_task(tenant, run)
    multiplied(Key(table.keys.tasks(), task_id), FILTERED, "tk", lambda i: {"SK": i, "id": i, "GSI1SK": i})
    for status in ({}, {"status": "open"}):
        found, requests, looked_at = asked(api_client, "/tasks", execution_id=run.id, **status)
        assert ([t["id"] for t in found], requests, looked_at) == ([task_id], 1, 1)
    instance = SAMPLES["instance_id"](api_client)
    conversation = api_client.get(f"/workflow-instances/{instance}").json()["conversation_id"]

    def elsewhere(i):
        return {"SK": i, "id": i, "GSI1SK": i, "conversation_id": i}

    multiplied(Key(table.keys.guided(), instance), FILTERED, "gi", elsewhere)
    query = {"conversation_id": conversation, "status": "active"}
    found, requests, looked_at = asked(api_client, "/workflow-instances", **query)
    assert ([i["id"] for i in found], requests) == ([instance], 1)
    assert looked_at < 10
