"""What EventBridge does on AWS: the end of every execution reaches the function run_events, once."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import boto3

from functions.run_events.handler import handler
from infrastructure.local import cloud
from infrastructure.local.interpreter import Context

_LOOK_SECONDS = 0.02


class EventBridge:
    """Looks for executions that have ended, as long as the block lasts. `lost`: their events are swallowed."""

    def __init__(self) -> None:
        self.lost = False
        self.sent: set[str] = set()
        self._client = boto3.client("stepfunctions", region_name=cloud.REGION)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> EventBridge:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            for machine in self._client.list_state_machines()["stateMachines"]:
                found = self._client.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
                for execution in found:
                    if execution["status"] != "RUNNING" and execution["executionArn"] not in self.sent:
                        self._send(execution["executionArn"])

    def _send(self, arn: str) -> None:
        self.sent.add(arn)
        if not self.lost:
            found: dict[str, Any] = self._client.describe_execution(executionArn=arn)
            detail = {k: found.get(k) for k in ("name", "status", "input", "error")}
            handler({"detail-type": "Step Functions Execution Status Change", "detail": detail}, Context())
