from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from infrastructure.local.interpreter import Functions, running
from shared.aws.clients import client
from shared.members.service import SignedUp
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.settings import settings
from shared.store.table import TenantTable
from shared.tasks.service import TaskService
from shared.tenancy import Principal, Tenant
from shared.workflows import service as workflows
from shared.workflows.model import Document
from stepfunctions import publish as publishing
from stepfunctions.engine.journal import records_of
from stepfunctions.engine.payloads import Value
from stepfunctions.publish import publish
from stepfunctions.published import Published
from stepfunctions.release import publish_workflow
from stepfunctions.start import payload_objects, start
from tests.stepfunctions.agents import Model, scripted
from tests.stepfunctions.engine.faults import Service, Wire, service
from tests.stepfunctions.events import EventBridge


@dataclass
class Machines:
    """Publishes, starts and watches runs of one tenant on moto's interpreter."""

    tenant: Tenant
    functions: Functions

    @property
    def store(self) -> RunStore:
        return RunStore(TenantTable(self.tenant))

    def publish(self, document: Document) -> Published:
        return publish(self.tenant, document, 1)

    def start(self, document: Document, trigger: Any = None, **arguments: Any) -> Run:
        by = {"kind": "test", "id": None, "user": None}
        wanted = {"trigger_node": None, "trigger_data": trigger, "triggered_by": by, **arguments}
        return start(self.tenant, self.publish(document), **wanted)

    def until(self, run: Run | str, *statuses: str, seconds: float = 30) -> Run:
        """The run, once its status is one of these (default: it has ended)."""
        execution_id = run if isinstance(run, str) else run.id
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.store.get(execution_id)
            if found.status in statuses if statuses else found.ended:
                return found
            time.sleep(0.02)
        raise AssertionError(f"still {found.status}; {self.statuses(run)}")

    def records(self, run: Run | str) -> dict[tuple[str, str], NodeRecord]:
        execution_id = run if isinstance(run, str) else run.id
        items = list(self.store.journal(execution_id, "J#"))
        return {(r.scope, r.node): r for item in items for r in records_of(item)}

    def statuses(self, run: Run | str) -> dict[str, str]:
        return {node: r.status for (scope, node), r in self.records(run).items() if not scope}

    def value(self, stored: Mapping[str, Any] | None) -> Any:
        return None if stored is None else Value(encoded=stored, objects=payload_objects(self.tenant)).get()

    def open_tasks(self, run: Run) -> dict[str, Any]:
        """The run's open tasks by node id."""
        found = TaskService(self.tenant).open_tasks(run.id)
        return {t.node_id: t for t in found}


@pytest.fixture
def machines(aws: dict[str, str], tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    monkeypatch.setattr(publishing, "_known", set())
    with running() as functions:
        yield Machines(tenant, functions)


@pytest.fixture
def events(machines: Machines) -> Iterator[EventBridge]:
    """The ends of executions reach the function that looks after runs, as on AWS."""
    with EventBridge() as bridge:
        yield bridge


@pytest.fixture(name="publish")
def publishing_as(owner: SignedUp, tenant: Tenant) -> Callable[[Document, str], str]:
    """Publishes a workflow of the first tenant under this id; gives the id."""
    who = Principal(tenant, "user", owner.user.id, "owner", user_id=owner.user.id)

    def made(document: Document, workflow_id: str) -> str:
        workflows.create(who, document.model_copy(update={"id": workflow_id}))
        publish_workflow(tenant, who, workflow_id, None)
        return workflow_id

    return made


@pytest.fixture
def stopped(machines: Machines) -> Iterator[list[str]]:
    """The names of the executions that were stopped. (moto's callback states do not notice that they are.)"""
    found: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        found.append(params["executionArn"].rsplit(":", 1)[1])

    hooks = client("stepfunctions").meta.events
    hooks.register("provide-client-params.sfn.StopExecution", note, unique_id="stopped")
    yield found
    hooks.unregister("provide-client-params.sfn.StopExecution", unique_id="stopped")


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A local service that http_request may reach, and that can be made to stall and to fail."""
    with service() as server:
        monkeypatch.setenv("SW_ALLOWED_HOSTS", server.base.removeprefix("http://"))
        settings.cache_clear()
        yield server


@pytest.fixture
def wire(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def model(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The platform's model endpoint, working by a script."""
    with scripted(monkeypatch) as made:
        yield made
