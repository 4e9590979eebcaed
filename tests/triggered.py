"""Workflows with triggers, published over the API, and what comes from outside: webhooks' requests, due schedules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
import httpx

from functions.dispatcher.handler import handler as dispatch
from functions.webhook.handler import handler as receive
from infrastructure.local import cloud
from infrastructure.local.interpreter import Context
from tests.http_api import LambdaTransport, event_of

ROUTES = {"hooks": "ANY /hooks/{id}", "hooks-test": "ANY /hooks-test/{id}"}


def document(*triggers: Mapping[str, Any], name: str = "Triggered") -> dict[str, Any]:
    """A workflow whose triggers all lead to one output node."""
    nodes = [*triggers, {"id": "out", "type": "output", "inputs": {"value": "{{ trigger }}"}}]
    port = {"http_webhook": "body", "schedule": "timestamp", "manual_trigger": "trigger"}
    connections = [
        {
            "id": f"c{n}",
            "source_node": t["id"],
            "source_port": port[t["type"]],
            "target_node": "out",
            "target_port": "value",
        }
        for n, t in enumerate(triggers)
    ]
    return {"name": name, "nodes": nodes, "connections": connections}


def webhook(node_id: str = "hook", **config: Any) -> dict[str, Any]:
    """A webhook node."""
    return {"id": node_id, "type": "http_webhook", "config": config}


def schedule(node_id: str = "clock", **config: Any) -> dict[str, Any]:
    """A schedule node; every hour unless said otherwise."""
    return {"id": node_id, "type": "schedule", "config": config or {"every": "1 hour"}}


def create(client: httpx.Client, body: Mapping[str, Any]) -> str:
    """The id of a new workflow."""
    answer = client.post("/workflows", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def publish(client: httpx.Client, workflow_id: str) -> dict[str, dict[str, Any]]:
    """Publish; gives the triggers by node id."""
    answer = client.post(f"/workflows/{workflow_id}/publish")
    assert answer.status_code == 200, answer.text
    return {t["node_id"]: t for t in answer.json()["triggers"]}


def republish(client: httpx.Client, workflow_id: str, body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Replace the draft and publish it."""
    answer = client.put(f"/workflows/{workflow_id}", json=body)
    assert answer.status_code == 200, answer.text
    return publish(client, workflow_id)


def published(client: httpx.Client, *triggers: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The triggers, by node id, of a new workflow that is published."""
    return publish(client, create(client, document(*triggers)))


class _Through(LambdaTransport):
    """Calls the function that API Gateway's routes lead to."""

    def __init__(self) -> None:
        super().__init__(handler=self._route)

    @staticmethod
    def _route(event: dict[str, Any], context: Any) -> dict[str, Any]:
        from functions.api.handler import handler as api

        kind = event["rawPath"].split("/")[1]
        event["routeKey"] = ROUTES[kind]
        return (api if kind == "hooks-test" else receive)(event, Context(context or 30))


def outside() -> httpx.Client:
    """Somebody who calls webhooks."""
    return httpx.Client(base_url="http://api.test", transport=_Through())


def raw_event(path: str, **more: Any) -> dict[str, Any]:
    """An event for the webhook function, with parts of it replaced."""
    return event_of(httpx.Request("POST", f"http://api.test{path}"), "192.0.2.9") | more


def executions(workflow_id: str, client: httpx.Client) -> list[dict[str, Any]]:
    """The runs of a workflow, from the table."""
    from shared.runs.store import RunStore
    from shared.store.table import TenantTable
    from shared.tenancy import Tenant

    tenant = Tenant(client.get("/tenants/current").json()["id"])
    return RunStore(TenantTable(tenant)).page(workflow_id, start=None, limit=100).items


def scheduled(schedule_id: str) -> dict[str, Any] | None:
    """What Scheduler holds under this name, with its target's input parsed."""
    scheduler = boto3.client("scheduler", region_name=cloud.REGION)
    try:
        found: dict[str, Any] = scheduler.get_schedule(Name=schedule_id, GroupName="sw-test")
    except scheduler.exceptions.ResourceNotFoundException:
        return None
    return {**found, "Input": json.loads(found["Target"]["Input"])}


def tick(schedule_id: str, instant: str) -> str | None:
    """Call the dispatcher as Scheduler does; gives the execution id."""
    held = scheduled(schedule_id)
    assert held is not None
    text = json.dumps(held["Input"]).replace("<aws.scheduler.scheduled-time>", instant)
    started: str | None = dispatch(json.loads(text), Context())["execution_id"]
    return started
