"""The two sides that are compared on the local AWS, each over one HTTP connection that stays open."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final, TypeVar

import httpx

from infrastructure.bench.bare.deploy import Bare
from infrastructure.local.stack import Stack

T = TypeVar("T")

_PATIENCE_S: Final = 30.0
_BETWEEN_LOOKS_S: Final = 0.05


class BenchFailed(Exception):
    """Something did not do what was to be measured, so there is no figure."""


class Side:
    """One side: calls with their times."""

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=60, trust_env=False)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer. Raises BenchFailed for 400 and above."""
        answer = self._http.request(method, path, json=body)
        if answer.status_code >= 400:
            raise BenchFailed(f"{method} {path} got {answer.status_code}: {answer.text[:500]}")
        return answer.json()

    def timed(self, method: str, path: str, body: Any = None) -> tuple[float, Any]:
        """Milliseconds from the request to the whole answer, and its JSON."""
        began = time.perf_counter()
        answer = self.send(method, path, body)
        return (time.perf_counter() - began) * 1000, answer


class Sides:
    """Ours, as the first seeded tenant, and the bare functions."""

    def __init__(self, stack: Stack, bare: Bare) -> None:
        self.stack = stack
        self.tenant_id = stack.tenants[0].tenant_id
        self.ours = Side(f"{stack.api_url}/api/v1", stack.tenants[0].headers)
        self.bare = Side(bare.url, {})
        self.machines = bare
        self._states = stack.client("stepfunctions")

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as both:
            both.callback(self.ours.close)
            both.callback(self.bare.close)

    def publish(self, document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Store and publish a workflow: its id, and its webhook with its address if it has one."""
        workflow = self.ours.send("POST", "/workflows", document)["id"]
        triggers = self.ours.send("POST", f"/workflows/{workflow}/publish", {})["triggers"]
        return workflow, next((t for t in triggers if t["type"] == "http_webhook"), {})

    def run_ended(self, run_id: str) -> dict[str, Any]:
        """A run of ours, once it is completed."""
        ended = ("completed", "failed", "cancelled")
        path = f"/workflows/executions/{run_id}"
        run: dict[str, Any] = until(lambda: self.ours.send("GET", path), lambda found: found["status"] in ended)
        if run["status"] != "completed":
            raise BenchFailed(f"run {run_id} is {run['status']}: {run['error']}")
        return run

    def execution_ended(self, arn: str) -> dict[str, Any]:
        """A bare execution, once it has succeeded."""
        found: dict[str, Any] = until(
            lambda: self._states.describe_execution(executionArn=arn), lambda e: e["status"] != "RUNNING"
        )
        if found["status"] != "SUCCEEDED":
            raise BenchFailed(f"the bare execution {found['status']}: {found.get('cause')}")
        return found

    def inside(self, function: str, last: int) -> list[float]:
        """Milliseconds that the `last` calls of a function took inside its handler, by its own log."""
        group = f"/aws/lambda/{function}"
        found = self.stack.client("logs").filter_log_events(logGroupName=group, limit=10_000)["events"]
        lines = [event["message"] for event in found if event["message"].startswith("{")]
        return [line["ms"] for line in map(json.loads, lines) if "ms" in line][-last:]


def until(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """What `look` gives once it is good; the looks are far apart, so that looking does not slow down what is seen."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        found = look()
        if good(found):
            return found
        if time.monotonic() > deadline:
            raise BenchFailed(f"not within {_PATIENCE_S:.0f} s: {str(found)[:500]}")
        time.sleep(_BETWEEN_LOOKS_S)


def ms_from(began: float, end: str | datetime) -> float:
    """Milliseconds from a time (seconds since 1970) to an end that somebody else's clock, on this machine, noted."""
    moment = datetime.fromisoformat(end.replace("Z", "+00:00")) if isinstance(end, str) else end
    return (moment.timestamp() - began) * 1000
