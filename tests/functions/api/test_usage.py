"""What workflows have done, what a tenant has used and may use, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.tenancy import Tenant
from shared.usage import service
from stepfunctions.feed import feed
from tests import http_api
from tests.functions.api.workflows_over_http import adder, created, made, node, until, workflow
from tests.shared.usage.allowing import allow
from tests.table_stream import TableStream

TODAY = datetime.now(UTC).date()


@pytest.fixture
def stream(aws) -> TableStream:
    return TableStream()


def _run(client, workflow_id: str, data=None):
    run = made(client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": data, "wait_seconds": 20}))
    return until(client, run["id"], "completed", "failed")


def _quota(client, name: str):
    return {q["name"]: q for q in client.get("/quotas").json()["items"]}[name]


def test_stats_and_usage_after_some_runs(api_client, other_client, machines, stream):
    workflow_id = created(api_client, adder())
    for data in ({"a": 1}, {"a": 2}, {"a": "x"}):
        _run(api_client, workflow_id, data)
    assert _quota(api_client, "concurrent_runs")["used"] == 3  # until the stream has told of their ends
    assert feed(stream.records()) == []
    stats = api_client.get(f"/workflows/{workflow_id}/stats").json()
    assert stats["runs"] == {
        "total": 3, "pending": 0, "running": 0, "paused": 0, "completed": 2, "failed": 1, "cancelled": 0
    }  # fmt: skip
    assert stats["success_rate"] == pytest.approx(2 / 3)
    assert stats["errors"] == [{"error": "ExpressionError", "count": 1}]
    assert 0 <= stats["duration_ms"]["p50"] <= stats["duration_ms"]["p95"]
    nodes = {n["node_id"]: n for n in stats["nodes"]}
    assert (nodes["add"]["completed"], nodes["add"]["failed"], nodes["add"]["runs"]) == (2, 1, 3)
    assert nodes["add"]["errors"] == [{"error": "ExpressionError", "count": 1}]
    assert (nodes["start"]["completed"], nodes["out"]["completed"]) == (3, 2)
    assert (stats["from"], stats["to"]) == (str(TODAY - timedelta(29)), str(TODAY))
    assert [(d["day"], d["runs"]["total"]) for d in stats["days"]] == [(str(TODAY), 3)]
    used = api_client.get("/usage", params={"from": str(TODAY)}).json()
    assert (used["runs"]["total"], used["tokens"], used["money_usd"], used["models"]) == (3, 0, 0, [])
    assert used["storage"] == {"bytes": 0, "files": 0}
    assert used["calls"] == 3
    assert _quota(api_client, "concurrent_runs")["used"] == 0
    assert _quota(api_client, "runs_per_day")["used"] == 3
    assert other_client.get(f"/workflows/{workflow_id}/stats").status_code == 404
    assert other_client.get("/usage").json()["runs"]["total"] == 0
    assert _quota(other_client, "runs_per_day")["used"] == 0


def test_the_bottleneck_is_the_slowest_node_and_no_container(api_client, machines, http, stream):
    looping = workflow(
        [
            node("start", "manual_trigger"),
            node("each", "loop", {}, inputs={"items": [1, 2]}),
            node("get", "http_request", parent="each", inputs={"url": f"{http.base}/status/200"}),
            node("out", "output"),
        ],
        "each.results -> out.value",
    )
    workflow_id = created(api_client, looping)
    _run(api_client, workflow_id)
    assert feed(stream.records()) == []
    stats = api_client.get(f"/workflows/{workflow_id}/stats").json()
    assert stats["bottleneck"]["node_id"] == "get"
    assert 0.5 < stats["bottleneck"]["share"] <= 1
    nodes = {n["node_id"]: n for n in stats["nodes"]}
    assert (nodes["each"]["container"], nodes["each"]["share"], nodes["get"]["runs"]) == (True, None, 2)


def test_a_workflow_that_never_ran_has_nothing(api_client):
    stats = api_client.get(f"/workflows/{created(api_client, adder())}/stats").json()
    assert (stats["success_rate"], stats["duration_ms"], stats["bottleneck"]) == (
        None,
        {"p50": None, "p95": None},
        None,
    )
    assert stats["nodes"] == stats["days"] == stats["models"] == stats["errors"] == []


@pytest.mark.parametrize(
    ("first", "last", "problem"),
    [
        ("2026-02-01", "2026-01-31", "bad_range"),
        ("2026-01-01", "2026-04-03", "bad_range"),
        ("2026-02-30", None, "date_from_datetime_parsing"),
        ("today", None, "date_from_datetime_parsing"),
        ("", None, "date_from_datetime_parsing"),
        (None, "10000-01-01", "date_from_datetime_parsing"),
        ("0001-01-01", "9999-12-31", "bad_range"),
    ],
)
def test_bad_days_are_refused(api_client, first, last, problem):
    wanted = {name: day for name, day in (("from", first), ("to", last)) if day is not None}
    for path in ("/usage", f"/workflows/{created(api_client, adder())}/stats"):
        answer = api_client.get(path, params=wanted)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["code"] == problem


@pytest.mark.parametrize(
    ("first", "last", "range_"),
    [
        ("2026-01-01", "2026-04-02", ("2026-01-01", "2026-04-02")),
        (None, "2026-01-30", ("2026-01-01", "2026-01-30")),
        (None, "0001-01-02", ("0001-01-02", "0001-01-02")),
        ("9999-12-31", None, ("9999-12-31", "9999-12-31")),
    ],
)
def test_odd_days_are_days(api_client, first, last, range_):
    wanted = {name: day for name, day in (("from", first), ("to", last)) if day is not None}
    answer = api_client.get("/usage", params=wanted)
    assert answer.status_code == 200, answer.text
    assert answer.json()["to"] == range_[1]
    assert answer.json()["from"] <= range_[0]


def test_quotas_with_when_they_start_anew(api_client, tenant):
    allow(tenant, runs_per_day=7, money_usd_per_month=12.5, storage_bytes=900, files=3)
    found = {q["name"]: q for q in api_client.get("/quotas").json()["items"]}
    assert list(found) == [
        "concurrent_runs",
        "runs_per_day",
        "runs_per_month",
        "tokens_per_month",
        "money_usd_per_month",
        "storage_bytes",
        "files",
        "requests_per_second",
    ]
    tomorrow = datetime.fromtimestamp(service.resets(service.now_ms(), "day") / 1000, UTC).date()
    assert found["runs_per_day"] == {
        "name": "runs_per_day", "limit": 7, "used": 0, "unit": "runs", "resets_at": f"{tomorrow}T00:00:00.000Z"
    }  # fmt: skip
    assert (found["money_usd_per_month"]["limit"], found["money_usd_per_month"]["unit"]) == (12.5, "usd")
    assert [found[n]["limit"] for n in ("storage_bytes", "files")] == [900, 3]
    assert found["concurrent_runs"]["resets_at"] is None
    assert found["requests_per_second"]["used"] is None


def test_who_is_over_a_quota_is_told_so(api_client, tenant, machines):
    workflow_id = created(api_client, adder())
    allow(tenant, runs_per_day=1)
    assert api_client.post(f"/workflows/{workflow_id}/execute", json={"trigger_data": {"a": 1}}).status_code == 202
    refused = api_client.post(
        f"/workflows/{workflow_id}/execute", json={"trigger_data": {"a": 1}}, headers={"Idempotency-Key": "once"}
    )
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert "runs_per_day" in refused.json()["detail"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert len(api_client.get(f"/workflows/{workflow_id}/executions").json()["items"]) == 1
    allow(tenant, runs_per_day=2)
    again = api_client.post(
        f"/workflows/{workflow_id}/execute", json={"trigger_data": {"a": 1}}, headers={"Idempotency-Key": "once"}
    )
    assert again.status_code == 202


@pytest.mark.parametrize(
    "fields", [{"terms": {}}, {"quotas": {"runs_per_day": 9}}, {"rate_limit": 1_000}, {"name": "x", "terms": "{}"}]
)
def test_a_tenant_cannot_raise_its_own(api_client, fields):
    before = api_client.get("/quotas").json()
    assert api_client.patch("/tenants/current", json=fields).status_code == 422
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert api_client.request(method, "/quotas", json=fields).status_code == 405
    assert api_client.get("/quotas").json() == before


def test_scopes_of_keys(api_client):
    key = made(api_client.post("/api-keys", json={"name": "k", "role": "viewer", "scopes": ["usage:read"]}))["key"]
    with http_api.connect(key) as narrow:
        assert narrow.get("/usage").status_code == 200
        assert narrow.get("/quotas").status_code == 403


@pytest.mark.parametrize(
    ("budget", "path"),
    [
        ({"tokens": 0}, "budget.tokens"),
        ({"tokens": "5"}, "budget.tokens"),
        ({"tokens": 1.5}, "budget.tokens"),
        ({"money_usd": 0}, "budget.money_usd"),
        ({"money_usd": -1}, "budget.money_usd"),
        ({"money_usd": 10**9}, "budget.money_usd"),
        ({"calls": 5}, "budget.calls"),
        (5, "budget"),
    ],
)
def test_bad_budgets_are_refused(api_client, budget, path):
    workflow_id = created(api_client, adder())
    answer = api_client.post(f"/workflows/{workflow_id}/execute", json={"budget": budget})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path
    if budget != {"tokens": "5"}:  # a document's numbers may be written as text
        assert api_client.post("/workflows", json=adder(settings={"budget": budget})).status_code == 422


def test_a_budget_is_part_of_a_run(api_client, tenant: Tenant, machines):
    workflow_id = created(api_client, adder(settings={"budget": {"tokens": 500}}))
    body = {"trigger_data": {"a": 1}, "budget": {"money_usd": 0.5}, "wait_seconds": 20}
    assert made(api_client.post(f"/workflows/{workflow_id}/execute", json=body))["status"] == "completed"
