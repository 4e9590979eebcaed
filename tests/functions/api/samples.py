"""An id for every path parameter of the API, and for some of queries, made by a tenant's owner over HTTP.

A new noun adds its parameters here: `@sample("widget_id")` over a function that makes a widget and gives its id. The
tests over every route (`test_every_route.py`) then hold the noun's routes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import requests

from shared.notifications.service import tell
from shared.tenancy import Tenant
from tests import triggered
from tests.functions.api.workflows_over_http import adder, created
from tests.shared.tasks.asking import a_task

Maker = Callable[[httpx.Client], str]
# Parameters that name nothing of a tenant's: the same for all of them.
# Who has the token of a shared link may use it, whoever they are.
SHARED = {"type_name", "share_token"}
# (method, path) → a body that fits, for routes where the smallest that the OpenAPI document lets pass does not.
BODIES: dict[tuple[str, str], Any] = {
    ("PUT", "/api/v1/workflows/{workflow_id}/tests/{test_id}"): {"name": "Sample"},
    ("PUT", "/api/v1/tools/{tool_name}"): {"name": "sample", "kind": "builtin", "builtin": "calculate"},
    ("PUT", "/api/v1/mcp-servers/{server_name}"): {"name": "sample", "url": "https://mcp.example/mcp"},
    ("PUT", "/api/v1/agents/{agent_name}"): {"name": "sample", "model": {"model": "m"}},
}
GUIDED: dict[str, Any] = {
    "name": "sample",
    "state_schema": {"type": "object", "properties": {"name": {"type": "string"}}},
    "steps": [{"id": "who", "name": "Who", "fields": ["name"]}],
    "model": {"model": "m"},
}
STEP: dict[str, Any] = {"name": "sample", "fields": {"name": {"type": "string"}}}
BODIES[("PUT", "/api/v1/workflow-templates/{template_name}")] = GUIDED
BODIES[("PUT", "/api/v1/workflow-steps/{step_name}")] = STEP
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


@sample("link_id")
def _link(client: httpx.Client) -> str:
    """A link to the sample's task: the newest one."""
    task_id = client.get("/tasks").json()["items"][0]["id"]
    body = {"assignee": "somebody@outside.example"}
    return str(made(client.post(f"/tasks/{task_id}/links", json=body))["id"])


@sample("link_token")
def _link_token(client: httpx.Client) -> str:
    body = {"assignee": "somebody@outside.example"}
    return str(made(client.post(f"/tasks/{_task(client)}/links", json=body))["url"]).rsplit("/", 1)[1]


@sample("invitation_id")
def _invitation(client: httpx.Client) -> str:
    return str(made(client.post("/invitations", json={"email": "invited@first.example"}))["id"])


@sample("invitation_token")
def _invitation_token(client: httpx.Client) -> str:
    url = made(client.post("/invitations", json={"email": "invited@first.example"}))["url"]
    return str(url).rsplit("/", 1)[1]


@sample("workflow_id")
def _workflow(client: httpx.Client) -> str:
    workflow_id = created(client, adder())
    for _ in range(2):
        made(client.post(f"/workflows/{workflow_id}/publish"))
    made(client.put(f"/workflows/{workflow_id}/canary", json={"version": 1, "weight": 0}))
    return workflow_id


@sample("test_id")
def _test(client: httpx.Client) -> str:
    newest = client.get("/workflows?limit=1").json()["items"][0]["id"]  # that of the same path
    return str(made(client.post(f"/workflows/{newest}/tests", json={"name": "Sample"}))["id"])


@sample("version")
def _version(client: httpx.Client) -> str:
    del client
    return "1"


@sample("execution_id")
def _execution(client: httpx.Client) -> str:
    return str(made(client.post(f"/workflows/{created(client, adder())}/execute"))["id"])


@sample("node_id", "step_id")
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


@sample("generation_id")
def _generation(client: httpx.Client) -> str:
    body = {"prompt": "Sample", "model": {"model": "m"}, "wait_seconds": 0}
    return str(made(client.post("/workflows/generate", json=body))["id"])


@sample("prompt_name")
def _prompt(client: httpx.Client) -> str:
    return str(made(client.post("/prompts", json={"name": "sample", "text": "Say {{ word }}."}))["name"])


@sample("thread_id")
def _thread(client: httpx.Client) -> str:
    return str(made(client.post("/threads", json={"id": "sample"}))["id"])


@sample("message_number")
def _message(client: httpx.Client) -> str:
    thread = client.get("/threads").json()["items"][0]["id"]  # that of the same path
    return str(made(client.post(f"/threads/{thread}/messages", json={"content": "Hello"}))["number"])


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


@sample("template_id")
def _template(client: httpx.Client) -> str:
    return str(made(client.post(f"/workflows/{created(client, adder())}/template"))["id"])


@sample("share_id")
def _share(client: httpx.Client) -> str:
    newest = [w["id"] for w in client.get("/workflows?limit=1").json()["items"]] or [_workflow(client)]
    return str(made(client.post(f"/workflows/{newest[0]}/share"))["id"])  # of that of the same path


@sample("share_token")
def _share_token(client: httpx.Client) -> str:
    return str(made(client.post(f"/workflows/{_workflow(client)}/share", json={"rights": "copy"}))["token"])


@sample("template_name")
def _guided_template(client: httpx.Client) -> str:
    return str(made(client.post("/workflow-templates", json=GUIDED))["name"])


@sample("step_name")
def _guided_step(client: httpx.Client) -> str:
    return str(made(client.post("/workflow-steps", json=STEP))["name"])


@sample("permission_id")
def _permission(client: httpx.Client) -> str:
    made(client.post("/workflow-templates", json={**GUIDED, "name": "permitted"}))
    body = {"user_type_id": _user_type(client), "template": "permitted"}
    return str(made(client.post("/permissions", json=body))["id"])


@sample("instance_id")
def _guided_instance(client: httpx.Client) -> str:
    made(client.post("/workflow-templates", json={**GUIDED, "name": "begun"}))
    return str(made(client.post("/workflow-instances", json={"template": "begun"}))["id"])


@sample("subscription_id")
def _subscription(client: httpx.Client) -> str:
    body = {"url": "https://example.com/hook"}
    found = client.get("/webhook-subscriptions").json()["items"]
    return str(found[0]["id"] if found else made(client.post("/webhook-subscriptions", json=body))["id"])


@sample("path")
def _file(client: httpx.Client) -> str:
    """A file: where it lies is a parameter of the query."""
    body = b"A sample."
    asked = {"path": "samples/of-the-first.txt", "size": len(body), "content_type": "text/plain"}
    found = made(client.post("/files/upload", json=asked))
    sent = requests.Session()
    sent.trust_env = False
    assert sent.put(found["url"], data=body, headers=found["headers"], timeout=60).status_code == 200
    return str(asked["path"])


@sample("delivery_id")
def _delivery(client: httpx.Client) -> str:
    return str(made(client.post(f"/webhook-subscriptions/{_subscription(client)}/test"))["id"])
