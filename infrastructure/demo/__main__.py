"""The main job, end to end: exits 0 when all of it happened, and otherwise says what failed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from infrastructure.demo import orders
from infrastructure.local.archive import ROOT
from infrastructure.local.process import LocalError
from infrastructure.local.stack import Stack, start

_DOCUMENT: Final = Path(__file__).with_name("refund.json")
_RUN_SECONDS: Final = 60
_SCHEDULE_SECONDS: Final = 150  # it starts one every minute


class DemoFailed(Exception):
    """Something did not happen as it should."""


def main() -> int:
    """Run the demo."""
    began = time.monotonic()
    with orders.serving() as order_host:
        _say("Starting the local AWS and deploying template.yaml to it …")
        try:
            stack = start(ROOT / ".local" / "demo", [order_host])
        except LocalError as error:
            print(f"FAILED to start: {error}", file=sys.stderr)
            return 1
        try:
            _main_job(stack, order_host)
        except (DemoFailed, httpx.HTTPError) as error:
            print(f"\nFAILED: {error}\nThe functions' logs are in {stack.state / 'logs'}", file=sys.stderr)
            return 1
        finally:
            stack.stop()
    _say(f"\nAll of it happened, in {time.monotonic() - began:.0f} s.")
    return 0


def _main_job(stack: Stack, order_host: str) -> None:
    with httpx.Client(timeout=30) as http:
        api = f"{stack.api_url}/api/v1"
        _step("A tenant signs up")
        stamp = time.time_ns()
        owner = {"email": f"ada-{stamp}@demo.example", "password": f"Demo-{stamp}-x"}
        signed_up = _json(http.post(f"{api}/tenants", json={"name": "Ada's shop", "owner": owner}), 201)
        mine = _Caller(http, api, signed_up["api_key"]["key"])
        _say(f"  tenant {signed_up['tenant']['id']}, its owner and an API key (shown once)")

        _step("A workflow is stored and published")
        model = "scripted" if stack.models_scripted else os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
        document = json.loads(_DOCUMENT.read_text().replace("ORDERS", order_host).replace("MODEL", model))
        workflow = mine.post("/workflows", document, 201)
        published = mine.post(f"/workflows/{workflow['id']}/publish", {}, 200, 201)
        hook = next(t for t in published["triggers"] if t["type"] == "http_webhook")
        _say(f"  {workflow['id']} “{document['name']}”: {len(document['nodes'])} nodes, version {published['version']}")
        _explain(mine, workflow["id"])

        _step("A signed webhook starts it, delivered twice as senders do")
        body = json.dumps({"order": "A-1007", "amount": 310, "reason": "The monitor arrived broken"}).encode()
        _refuses_bad_signature(http, hook, body)
        first, second = _deliver(http, hook, body), _deliver(http, hook, body)
        if first["execution_id"] != second["execution_id"]:
            raise DemoFailed("two deliveries of one event started two runs")
        run_id = first["execution_id"]
        _say(f"  one run: {run_id}")

        _step("It calls the order service and a model, and parks at a human task")
        if stack.models_scripted:
            _say("  (the model is a SCRIPTED server: set OPENAI_BASE_URL and OPENAI_API_KEY for a real one)")
        mine.until(run_id, lambda run: run["status"] == "paused")
        task = mine.only_task(run_id)
        _say(f"  in the inbox: “{task['title']}”\n                {task['instructions']}")

        _step("Somebody answers; first without the amount that the form asks for")
        refused = mine.send("POST", f"/tasks/{task['id']}/complete", {"decision": "approve", "data": {}})
        _expect(refused.status_code == 422, f"an answer that does not fit the form got {refused.status_code}")
        _say(f"  refused: {refused.json()['errors'][0]['message']}")
        mine.post(
            f"/tasks/{task['id']}/complete", {"decision": "approve", "data": {"refund": 310}, "comment": "ok"}, 200
        )

        _step("The run goes on and completes")
        _report(mine.until(run_id, _ended))

        _step("The same workflow starts from its schedule")
        _say("  waiting for the next minute …")
        by_schedule = mine.run_by("schedule", workflow["id"])
        _report(mine.until(by_schedule, _ended))

        _step("A second tenant sees nothing of it")
        theirs = _Caller(http, api, stack.tenants[1].api_key)
        for path in (f"/workflows/{workflow['id']}", f"/workflows/executions/{run_id}", f"/tasks/{task['id']}"):
            status = theirs.send("GET", path).status_code
            _expect(status == 404, f"GET {path} as another tenant got {status}, not 404")
        lists = [theirs.get(path)["items"] for path in ("/workflows", "/tasks", "/webhooks", "/schedules")]
        _expect(
            not any(_mentions(found, workflow["id"]) for found in lists), "another tenant's list shows the workflow"
        )
        _say("  404 for the workflow, the run and the task; none of it in any list")
        mine.post(f"/workflows/{workflow['id']}/unpublish", {}, 200, 204)


class _Caller:
    """One tenant's calls."""

    def __init__(self, http: httpx.Client, api: str, key: str) -> None:
        self._http = http
        self._api = api
        self._headers = {"X-API-Key": key}

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self._http.request(method, self._api + path, json=body, headers=self._headers)

    def get(self, path: str) -> Any:
        return _json(self.send("GET", path), 200)

    def post(self, path: str, body: Any, *expected: int) -> Any:
        return _json(self.send("POST", path, body), *expected)

    def until(self, run_id: str, when: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run, once `when` is true of it."""
        deadline = time.monotonic() + _RUN_SECONDS
        while True:
            run: dict[str, Any] = self.get(f"/workflows/executions/{run_id}")
            if when(run):
                return run
            if _ended(run) or time.monotonic() > deadline:
                raise DemoFailed(f"run {run_id} is {run['status']}: {run.get('error')}")
            time.sleep(0.2)

    def only_task(self, run_id: str) -> dict[str, Any]:
        """The run's one open task."""
        found = [t for t in self.get("/tasks?status=open")["items"] if t["execution_id"] == run_id]
        _expect(len(found) == 1, f"run {run_id} has {len(found)} open tasks")
        task: dict[str, Any] = self.get(f"/tasks/{found[0]['id']}")
        return task

    def run_by(self, kind: str, workflow_id: str) -> str:
        """The id of a run of the workflow that a trigger of this kind started."""
        deadline = time.monotonic() + _SCHEDULE_SECONDS
        while time.monotonic() < deadline:
            for run in self.get(f"/workflows/{workflow_id}/executions")["items"]:
                if run["triggered_by"]["kind"] == kind:
                    return str(run["id"])
            time.sleep(1)
        raise DemoFailed(f"no {kind} started the workflow within {_SCHEDULE_SECONDS} s")


def _deliver(http: httpx.Client, hook: dict[str, Any], body: bytes) -> dict[str, Any]:
    signature = hmac.new(hook["secret"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Delivery": "demo-delivery-1",
    }
    answer: dict[str, Any] = _json(http.post(hook["url"], content=body, headers=headers), 202)
    return answer


def _refuses_bad_signature(http: httpx.Client, hook: dict[str, Any], body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": "sha256=" + "0" * 64}
    status = http.post(hook["url"], content=body, headers=headers).status_code
    _expect(status == 401, f"a forged signature got {status}, not 401")
    _say("  a forged signature: 401")


def _explain(caller: _Caller, workflow_id: str) -> None:
    explained = caller.get(f"/workflows/{workflow_id}/asl?explain=true")["explain"]
    moves, alone = explained["transitions"], explained["one_state_per_node"]["transitions"]
    _say(
        f"  one run: {moves['expected']} state transitions (one state per node: {alone['expected']}); "
        f"${explained['cost_per_1000_runs']['total']:.4f} per 1,000 runs"
    )


def _report(run: dict[str, Any]) -> None:
    _expect(run["status"] == "completed", f"the run is {run['status']}: {run.get('error')}")
    for node_id, node in run["node_executions"].items():
        outputs = "" if node["status"] == "skipped" else json.dumps(node.get("outputs") or {}, ensure_ascii=False)
        shown = outputs if len(outputs) <= 70 else outputs[:67] + "…"
        taken = "" if node.get("duration_ms") is None else f"{node['duration_ms']} ms"
        _say(f"  {node_id:<10} {node['status']:<10} {taken:>9}  {shown}")
    _say(f"  → {run['status']} in {run['duration_ms']} ms: {json.dumps(run['final_output'], ensure_ascii=False)}")


def _ended(run: dict[str, Any]) -> bool:
    return run["status"] in ("completed", "failed", "cancelled")


def _mentions(items: list[Any], text: str) -> bool:
    return text in json.dumps(items)


def _json(response: httpx.Response, *expected: int) -> Any:
    if response.status_code not in expected:
        raise DemoFailed(
            f"{response.request.method} {response.request.url.path}: {response.status_code} {response.text}"
        )
    return response.json() if response.content else None


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise DemoFailed(otherwise)


def _step(text: str) -> None:
    _say(f"\n▸ {text}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
