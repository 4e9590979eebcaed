"""A tenant's calls of the API on the local AWS, and waiting for what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

from shared.workflows.model import Document

Json = dict[str, Any]
T = TypeVar("T")
ENDED = ("completed", "failed", "cancelled")


def until(look: Callable[[], T], good: Callable[[T], bool] = bool, seconds: float = 60, every: float = 0.1) -> T:
    """What `look` gives, once that is good."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {found}"
        time.sleep(every)


class Caller:
    """One tenant's key. Paths are below `/api/v1`."""

    def __init__(self, api_url: str, tenant_id: str, key: str) -> None:
        self.tenant_id = tenant_id
        self.key = key
        self.secrets = {key}  # everything secret that the API showed, for the test that none of it is elsewhere
        self.http = httpx.Client(base_url=f"{api_url}/api/v1", headers={"X-API-Key": key}, timeout=60, trust_env=False)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return self.http.request(method, path, json=body, **options)

    def get(self, path: str) -> Any:
        return _json(self.send("GET", path), 200)

    def post(self, path: str, body: Any = None, *expected: int, **options: Any) -> Any:
        return _json(self.send("POST", path, body, **options), *(expected or (200, 201, 202)))

    def refused(self, method: str, path: str, status: int, body: Any = None) -> Json:
        """The problem document with which a call is refused."""
        answer = self.send(method, path, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: Json = answer.json()
        return problem

    # --- workflows and runs ----------------------------------------------------------------------------------------

    def store(self, document: Document | Mapping[str, Any]) -> str:
        body = (
            document.model_dump(mode="json", exclude_none=True, exclude={"id"})  # the server gives a fresh one
            if isinstance(document, Document)
            else document
        )
        return str(self.post("/workflows", body, 201)["id"])

    def publish(self, workflow_id: str) -> dict[str, Json]:
        """The triggers by node id."""
        published = self.post(f"/workflows/{workflow_id}/publish", {}, 200)
        self.secrets |= {t["secret"] for t in published["triggers"] if t.get("secret")}
        return {t["node_id"]: t for t in published["triggers"]}

    def published(self, document: Document | Mapping[str, Any]) -> str:
        workflow_id = self.store(document)
        self.publish(workflow_id)
        return workflow_id

    def execute(self, workflow_id: str, trigger: Any = None, **more: Any) -> str:
        body = {"trigger_data": trigger, **more}
        return str(self.post(f"/workflows/{workflow_id}/execute", body, 200, 202)["id"])

    def start(self, document: Document | Mapping[str, Any], trigger: Any = None) -> str:
        """The id of a run of a new workflow."""
        return self.execute(self.published(document), trigger)

    def run(self, run_id: str) -> Json:
        found: Json = self.get(f"/workflows/executions/{run_id}")
        return found

    def control(self, run_id: str, what: str) -> Json:
        """Pause, resume, cancel or retry."""
        made: Json = self.post(f"/workflows/executions/{run_id}/{what}", None, 202)
        return made

    def until(self, run_id: str, *statuses: str, seconds: float = 60) -> Json:
        """The run, once its status is one of these (default: it has ended)."""
        wanted = statuses or ENDED
        # A run that has ended changes no more: waiting on would only be slow.
        found = until(lambda: self.run(run_id), lambda r: r["status"] in (*wanted, *ENDED), seconds, every=0.2)
        assert found["status"] in wanted, (found["status"], found["error"], statuses_of(found))
        return found

    def until_node(self, run_id: str, node_id: str, status: str, seconds: float = 60) -> Json:
        """The run, once this node has this status."""
        return until(
            lambda: self.run(run_id),
            lambda r: r["node_executions"][node_id]["status"] == status,
            seconds,
            every=0.2,
        )

    def events(self, run_id: str, after: str = "") -> list[Json]:
        """All of a run's events after one, in order."""
        found: list[Json] = []
        while True:
            answer = self.get(f"/workflows/executions/{run_id}/events?limit=200&after={after}")
            found += answer["items"]
            after = answer["after"]
            if answer["next_cursor"] is None:
                return found

    # --- tasks -----------------------------------------------------------------------------------------------------

    def task(self, run_id: str, node_id: str) -> str:
        """The id of the open task with which this node asks, once it does."""

        def look() -> list[str]:
            run = self.run(run_id)
            assert run["status"] not in ENDED, (run["status"], run["error"])
            found = self.get(f"/tasks?status=open&execution_id={run_id}")["items"]
            return [t["id"] for t in found if t["node_id"] == node_id]

        return until(look, every=0.2)[0]

    def answer(self, run_id: str, node_id: str, given: Mapping[str, Any]) -> Json:
        answered: Json = self.post(f"/tasks/{self.task(run_id, node_id)}/complete", given, 200)
        return answered


def statuses_of(run: Json) -> dict[str, str]:
    """The nodes' statuses by id."""
    return {node_id: node["status"] for node_id, node in run["node_executions"].items()}


def _json(response: httpx.Response, *expected: int) -> Any:
    assert response.status_code in expected, (response.request.method, str(response.request.url), response.text)
    return response.json() if response.content else None
