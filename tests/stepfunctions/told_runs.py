"""Runs that change in the table, with what the table's stream tells of that."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.aws.streams import Change
from shared.clock import now_ms
from shared.runs.model import NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.keys import Key
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from stepfunctions import reconcile
from stepfunctions.engine.journal import Journal
from stepfunctions.metering import heard
from tests.shared.tasks.asking import a_run

numbers = itertools.count(1)
FAILED = {"node_id": "a", "error": "Boom", "message": "it went"}


@dataclass
class Told:
    """A run that writes into the table what an engine would, and remembers what the stream will tell of it."""

    tenant: Tenant
    run: Run
    changes: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, tenant: Tenant, **fields: Any) -> Told:
        return cls(tenant, a_run(tenant, **{"workflow_id": "wf_counted", **fields}))

    @property
    def store(self) -> RunStore:
        return RunStore(TenantTable(self.tenant))

    def _watched(self, sk: str, write: Callable[[], object]) -> None:
        table = TenantTable(self.tenant)
        key = Key(table.keys.run(self.run.id).pk, sk)
        old = table.get(key, consistent=True)
        write()
        new = table.get(key, consistent=True)
        self.changes.append(Change(str(next(numbers)), "MODIFY", key.pk, sk, now_ms(), old, new))

    def begin(self) -> None:
        self._watched("META", lambda: self.store.begin(self.run.id))

    def close(self, status: Any) -> None:
        error = FAILED if status == "failed" else None
        self._watched("META", lambda: self.store.close(self.run.id, status, error=error))

    def retry(self) -> None:
        self._watched("META", lambda: self.store.reopen(self.store.get(self.run.id)))

    def node(self, node: str, status: Any, ms: int = 5, tokens: int = 0, scope: str = "") -> None:
        """Claimed, then ended."""
        journal = Journal(self.store, self.run.id, f"call {next(numbers)}")
        record = NodeRecord(node, scope, "running", started_at=1_000)
        sk = f"J#{scope}#N#{node}"
        self._watched(sk, lambda: journal.claim(record))
        record.status, record.completed_at, record.handled = status, 1_000 + ms, False
        if tokens:
            record.usage = {"prompt_tokens": tokens, "total_tokens": tokens, "model": "gpt-4o"}
        record.error = FAILED if status == "failed" else None
        self._watched(sk, lambda: journal.finish(record))

    def reset(self, node: str) -> None:
        """A retry takes a failed node back."""
        table = TenantTable(self.tenant)
        sk = f"J##N#{node}"
        item = table.get(Key(table.keys.run(self.run.id).pk, sk), consistent=True)
        assert item is not None
        record = NodeRecord.from_dict(json.loads(item["body"]))
        self._watched(sk, lambda: self.store.reset_node(self.run.id, record, item))

    def pack(self, *records: NodeRecord) -> None:
        """Pure nodes, together."""
        journal = Journal(self.store, self.run.id, "call")
        before = {i["SK"] for i in self.store.journal(self.run.id, "J#")}
        for record in records:
            journal.note(record)
        journal.flush()
        for item in self.store.journal(self.run.id, "J#"):
            if item["SK"] not in before:
                self.changes.append(Change(str(next(numbers)), "INSERT", item["PK"], item["SK"], now_ms(), None, item))

    def tell(self, first: int = 0, last: int | None = None) -> None:
        assert heard({(self.tenant, self.run.id): self.changes[first:last]}) == set()


def sweep_places(tenant: Tenant) -> dict[str, int]:
    """The sweeper's next look at the places of this tenant's runs."""
    table = TenantTable(tenant)
    for item in table.query_all(table.keys.open_runs().pk, prefix="RUNS"):
        if "GSI2SK" in item:
            table.put(Key(item["PK"], item["SK"]), item | {"GSI2SK": "2020-01-01T00:00:00.000Z"})
    return reconcile.sweep(lambda: 60.0)
