"""Somebody who edits, publishes and runs workflows of a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.runs.model import Run
from shared.tenancy import Principal
from shared.workflows import service
from shared.workflows.model import Document
from stepfunctions import history, manual, release, replay
from tests.stepfunctions.conftest import Machines


@dataclass
class Person:
    """Calls what the API's routes call."""

    machines: Machines

    @property
    def who(self) -> Principal:
        return Principal(self.machines.tenant, "api_key", "key_test", "owner")

    def create(self, document: Document) -> str:
        """The id of a workflow whose version 1 is this document."""
        workflow_id = service.create(self.who, document.model_copy(update={"id": None}))[0].id
        self.publish(workflow_id)
        return workflow_id

    def save(self, workflow_id: str, document: Document) -> None:
        service.put(self.who, workflow_id, document.model_copy(update={"id": workflow_id}), None)

    def publish(self, workflow_id: str) -> int:
        return release.publish_workflow(self.machines.tenant, self.who, workflow_id, None).version.version

    def change(self, workflow_id: str, document: Document) -> int:
        """The number of the version that this document becomes."""
        self.save(workflow_id, document)
        return self.publish(workflow_id)

    def execute(self, workflow_id: str, trigger: Any = None, **arguments: Any) -> Run:
        wanted: dict[str, Any] = {"trigger_data": trigger, "trigger_node": None, "version": None, "wait_seconds": 0}
        return manual.execute(self.who, workflow_id, mark=None, **{**wanted, **arguments})

    def alone(self, workflow_id: str, node_id: str, inputs: dict[str, Any] | None = None, **arguments: Any) -> Run:
        """A single node's run, ended."""
        wanted: dict[str, Any] = {"trigger_data": None, "outputs_of": {}, "version": None, "wait_seconds": 20}
        wanted |= {"inputs": inputs or {}, "mark": None}
        return manual.execute_node(self.who, workflow_id, node_id, **{**wanted, **arguments})

    def replay(self, run: Run, from_node: str, edits: Any = None, **arguments: Any) -> Run:
        wanted: dict[str, Any] = {"edits": edits or {}, "version": None, "mark": None}
        return replay.replay(self.who, run.id, from_node=from_node, **{**wanted, **arguments})

    def nodes(self, run: Run) -> dict[str, Any]:
        """What the run view says of each node."""
        view: dict[str, Any] = history.execution_view(self.machines.tenant, run.id)["node_executions"]
        return view

    def origins(self, run: Run) -> dict[str, str]:
        return {n: e["origin"] for n, e in self.nodes(run).items() if e["origin"] is not None}
