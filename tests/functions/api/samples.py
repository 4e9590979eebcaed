"""An id for every path parameter of the API, made by a tenant's owner over HTTP.

A new noun adds its parameters here: `@sample("widget_id")` over a function that makes a widget and gives its id. The
tests over every route (`test_every_route.py`) then hold the noun's routes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from shared.tenancy import Tenant
from tests import triggered
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_task

Maker = Callable[[httpx.Client], str]
# Parameters that name nothing of a tenant's: the same for all of them.
SHARED = {"type_name"}
# (method, path) → a body that fits, for routes where the smallest that the OpenAPI document lets pass does not.
BODIES: dict[tuple[str, str], Any] = {}
SAMPLES: dict[str, Maker] = {}


def sample(*parameters: str) -> Callable[[Maker], Maker]:
    """Register a maker for these path parameters."""

    def register(maker: Maker) -> Maker:
        for name in parameters:
            SAMPLES[name] = maker
        return maker

    return register


def made(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer that says something was made."""
    assert answer.status_code in (200, 201, 202), answer.text
    body: dict[str, Any] = answer.json()
    return body


@sample("user_id")
def _user(client: httpx.Client) -> str:
    return str(made(client.post("/users", json={"email": "sample@first.example"}))["id"])


@sample("user_type_id")
def _user_type(client: httpx.Client) -> str:
    return str(made(client.post("/user-types", json={"name": "Sample"}))["id"])


@sample("api_key_id")
def _api_key(client: httpx.Client) -> str:
    return str(made(client.post("/api-keys", json={"name": "Sample", "role": "viewer"}))["id"])


@sample("task_id")
def _task(client: httpx.Client) -> str:
    return a_task(Tenant(made(client.get("/tenants/current"))["id"]))


@sample("workflow_id")
def _workflow(client: httpx.Client) -> str:
    workflow_id = created(client, adder())
    made(client.post(f"/workflows/{workflow_id}/publish"))
    return workflow_id


@sample("version")
def _version(client: httpx.Client) -> str:
    del client
    return "1"


@sample("execution_id")
def _execution(client: httpx.Client) -> str:
    return str(made(client.post(f"/workflows/{created(client, adder())}/execute"))["id"])


@sample("node_id")
def _node(client: httpx.Client) -> str:
    del client
    return "start"


@sample("webhook_id")
def _webhook(client: httpx.Client) -> str:
    return str(triggered.published(client, triggered.webhook(auth="hmac"))["hook"]["id"])


@sample("schedule_id")
def _schedule(client: httpx.Client) -> str:
    return str(triggered.published(client, triggered.schedule())["clock"]["id"])
