from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.ids import ulid
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant, new_tenant
from shared.workflows.model import Document
from stepfunctions import calls, plans
from stepfunctions import publish as publishing
from stepfunctions.engine.errors import Busy
from stepfunctions.engine.journal import records_of
from stepfunctions.engine.payloads import Value
from stepfunctions.plan import Plan
from stepfunctions.publish import publish
from stepfunctions.start import payload_objects, start
from tests.stepfunctions.engine.faults import Time

BY = {"kind": "test", "id": None, "user": None}


@dataclass
class Bench:
    """Makes the calls that a state machine would make, one by one, for runs of one tenant."""

    tenant: Tenant

    @property
    def store(self) -> RunStore:
        return RunStore(TenantTable(self.tenant))

    def start(self, document: Document, trigger: Any = None, **arguments: Any) -> Run:
        published = publish(self.tenant, document, 1)
        return start(self.tenant, published, trigger_node=None, trigger_data=trigger, triggered_by=BY, **arguments)

    def plan(self, run: Run) -> Plan:
        return plans.load(self.tenant, run.plan)

    def envelope(self, run: Run, at: str = "") -> dict[str, Any]:
        return {"tenant": self.tenant.id, "execution": run.id, "plan": run.plan, "timeouts": [], "at": at}

    def turn(self, run: Run, position: int = 0, at: str = "") -> dict[str, Any]:
        """One call of the runner that decides on a container's passes."""
        event = {"run": self.envelope(run, at), "turn": position}
        return calls.segment_call(event, owner=ulid(), remaining=lambda: 300.0)

    def call(
        self,
        run: Run,
        number: int = 0,
        *,
        at: str = "",
        owner: str | None = None,
        remaining: Callable[[], float] = lambda: 300.0,
    ) -> dict[str, Any]:
        """One call of the runner."""
        event = {"run": self.envelope(run, at), "segment": number}
        return calls.segment_call(event, owner=owner or ulid(), remaining=remaining)

    def through(self, run: Run, time: Time | None = None) -> Run:
        """All segments in their order, as a machine without waits makes them; what is busy is waited for."""
        for segment in self.plan(run).segments:
            try:
                self.call(run, segment.id)
            except Busy:
                assert time is not None, "busy, although nothing else runs"
                time.pass_lease()
                self.call(run, segment.id)
        return self.get(run)

    def get(self, run: Run) -> Run:
        return self.store.get(run.id)

    def records(self, run: Run) -> dict[tuple[str, str], NodeRecord]:
        return {(r.scope, r.node): r for item in self.store.journal(run.id, "J#") for r in records_of(item)}

    def statuses(self, run: Run) -> dict[str, str]:
        return {node: r.status for (scope, node), r in self.records(run).items() if not scope}

    def output(self, run: Run) -> Any:
        stored = self.get(run).final_output
        return None if stored is None else self.value(stored)

    def value(self, stored: Any) -> Any:
        return Value(encoded=stored, objects=payload_objects(self.tenant)).get()


@pytest.fixture
def bench(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(publishing, "_known", set())
    yield Bench(new_tenant())
    calls.close()


@pytest.fixture
def time_(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)
