"""Short runs as tools: started by a node of another run, which waits for them inside its own call.

A workflow that may rest, or take longer than an Express execution may, is for a `sub_workflow` node: that waits
outside of any call.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

from shared.errors import Conflict, NotFound
from shared.ids import digest
from shared.nodes.base import Ended
from shared.runs.model import Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.store import WorkflowStore
from stepfunctions.children import MAX_DEPTH
from stepfunctions.engine.payloads import Value
from stepfunctions.fire import id_for
from stepfunctions.published import Published, in_service
from stepfunctions.start import payload_objects, start

_LOOK_SECONDS: Final = 0.5
_ATTEMPTS: Final = 100  # as many as a node may have


class ShortRuns:
    """One tenant's workflows."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._table = TenantTable(tenant)
        self._runs = RunStore(self._table)

    def run(
        self, workflow_id: str, version: int | None, data: Any, *, caller: str, occasion: str, wait_seconds: float
    ) -> Ended | None:
        """How the run that belongs to this occasion has ended; None if it has not within `wait_seconds`.

        One that has failed before this call is what the caller's earlier attempt failed of: it gets another one.
        Raises NotFound (the workflow, its version), Conflict (`not_published`, `not_short`, `too_deep`), Invalid.
        """
        deadline = time.monotonic() + wait_seconds
        published, above = self._published(workflow_id, version), self._runs.get(caller)
        if above.depth + 1 >= MAX_DEPTH:
            raise Conflict(f"at most {MAX_DEPTH} runs may wait for each other", code="too_deep")
        run = start(
            self._tenant,
            published,
            trigger_node=None,
            trigger_data=data,
            triggered_by={"kind": "tool", "id": caller, "user": above.triggered_by.get("user")},
            execution_id=self._id(digest("tool", caller, workflow_id, occasion)),
            depth=above.depth + 1,
            chain=above.chain,
            wait_seconds=wait_seconds,
        )
        while not (run := self._runs.get(run.id)).ended:
            if time.monotonic() >= deadline:
                return None
            time.sleep(_LOOK_SECONDS)
        return self._ended(run)

    def _id(self, occasion: str) -> str:
        """The first id that belongs to the occasion and to no run that has come to nothing."""
        for attempt in range(_ATTEMPTS):
            execution_id = id_for(self._tenant, digest(occasion, str(attempt)))
            try:
                if self._runs.get(execution_id).status not in ("failed", "cancelled"):
                    break
            except NotFound:
                break
        return execution_id

    def _published(self, workflow_id: str, version: int | None) -> Published:
        store = WorkflowStore(self._table)
        workflow = store.get(workflow_id)
        published = in_service(workflow.published, workflow.canary)
        if version is not None:
            published = Published.from_dict(store.version(workflow, version)[0].published)
        if published is None:
            raise Conflict(f"workflow {workflow_id} is not published", code="not_published")
        if published.express is None:
            message = f"workflow {workflow_id} may rest or take long; run it in a sub_workflow node"
            raise Conflict(message, code="not_short")
        if published.beside is not None and published.beside.published.express is None:
            return replace(published, beside=None)  # the canary is not short: it gets none of these runs
        return published

    def _ended(self, run: Run) -> Ended:
        output = None
        if run.final_output is not None:
            output = Value(encoded=run.final_output, objects=payload_objects(self._tenant)).get()
        status: Any = run.status
        return Ended(run.id, status, output, run.error)
