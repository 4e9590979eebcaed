"""An id for every path parameter of the API, made by a tenant's owner over HTTP.

A new noun adds its parameters here: `@sample("widget_id")` over a function that makes a widget and gives its id. The
tests over every route (`test_every_route.py`) then hold the noun's routes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from shared.notifications.service import tell
from shared.tenancy import Tenant
from tests import triggered
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_task

Maker = Callable[[httpx.Client], str]
# Parameters that name nothing of a tenant's: the same for all of them.
SHARED = {"type_name"}
# (method, path) → a body that fits, for routes where the smallest that the OpenAPI document lets pass does not.
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/api/v1/tools/{tool_name}"): {"name": "sample", "kind": "builtin", "builtin": "calculate"},
    ("PUT", "/api/v1/mcp-servers/{server_name}"): {"name": "sample", "url": "https://mcp.example/mcp"},
    ("PUT", "/api/v1/agents/{agent_name}"): {"name": "sample", "model": {"model": "m"}},
}
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


@sample("collection_name")
def _collection(client: httpx.Client) -> str:
    return str(made(client.post("/collections", json={"name": "handbook", "dimension": 3}))["name"])


@sample("tool_name")
def _tool(client: httpx.Client) -> str:
    return str(made(client.post("/tools", json={"name": "sample", "kind": "builtin", "builtin": "calculate"}))["name"])


@sample("server_name")
def _server(client: httpx.Client) -> str:
    return str(made(client.post("/mcp-servers", json={"name": "sample", "url": "https://mcp.example/mcp"}))["name"])


@sample("agent_name")
def _agent(client: httpx.Client) -> str:
    return str(made(client.post("/agents", json={"name": "sample", "model": {"model": "m"}}))["name"])


@sample("thread_id")
def _thread(client: httpx.Client) -> str:
    return str(made(client.post("/threads", json={"id": "sample"}))["id"])


@sample("credential_name")
def _credential(client: httpx.Client) -> str:
    body = {"name": "sample", "kind": "bearer", "values": {"token": "t"}}
    return str(made(client.post("/credentials", json=body))["name"])


@sample("notification_id")
def _notification(client: httpx.Client) -> str:
    tenant = Tenant(made(client.get("/tenants/current"))["id"])
    keys = [k["id"] for k in client.get("/api-keys").json()["items"]]
    tell(tenant, keys, "Sample", "A sample.", key="sample", execution_id="ex_sample")
    return str(client.get("/notifications").json()["items"][0]["id"])
