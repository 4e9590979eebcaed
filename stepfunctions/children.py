"""Runs that nodes of other runs have started and wait for, as one run's engine needs them.

The child's id stands in the parent's journal before the child is there, so a repeated call starts nothing twice.
What happens when the child ends is in `stepfunctions.ending`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from shared.clock import now_ms
from shared.errors import Conflict, Invalid, NotFound, RateLimited
from shared.nodes.base import Ended, NodeError, Wanted
from shared.runs.model import ChildLink, NodeRecord, Run
from shared.runs.store import RunStore
from shared.store.table import TenantTable
from shared.tenancy import Tenant
from shared.workflows.store import WorkflowStore
from stepfunctions.control import retry
from stepfunctions.ending import GIVEN_UP, PARENT_ENDED, seal
from stepfunctions.published import Published, in_service
from stepfunctions.start import start, trigger_of

MAX_DEPTH: Final = 10  # runs below each other; workflows that run themselves have to come to an end


class Children:
    """The children of one run, as it sees them in this attempt."""

    def __init__(self, tenant: Tenant, execution_id: str, attempt: int = 0) -> None:
        self._tenant = tenant
        self._execution = execution_id
        self._attempt = attempt
        self._table = TenantTable(tenant)
        self._runs = RunStore(self._table)

    def begin(self, record: NodeRecord, wanted: Wanted, token: str) -> bool:
        """Start a node's child, or go on waiting for the one that is there; False if there is nothing to wait for.

        A child that failed before this run was retried, or was cancelled because this run had ended, is retried: what
        it has recorded is kept. Raises NodeError.
        """
        parent, child_id = self._runs.get(self._execution), record.child or ""
        child, before = self._runs.find(child_id), self._runs.linked(parent.id, child_id)
        published = self._published(parent, wanted) if child is None else None
        again = child is not None and before is not None and _to_be_retried(child, before, record)
        # The link comes first: whoever dies after this line leaves a child that the sweeper knows of.
        since = child.attempt + again if child is not None else 0
        sealed = seal(self._tenant, parent.id, child_id, token)
        self._runs.link(parent.id, ChildLink(child_id, record.attempts, sealed, now_ms(), since, self._attempt))
        if published is not None:
            with _places():
                self._start(published, parent, record, wanted.data)
        elif again:
            with suppress(Conflict), _places():  # somebody else has just retried it
                retry(self._tenant, child_id)
        # Looked at after the link is there: whoever ends a run ends it first and looks for links second.
        if self._runs.get(parent.id).ended:
            self._give_up(child_id, PARENT_ENDED)
        now = self._runs.get(child_id)
        if now.status in ("completed", "failed"):  # of one that was cancelled, the execution may yet have to be stopped
            self._runs.told(parent.id, child_id, sealed)
        return not now.ended

    def ended(self, child_id: str) -> Ended | None:
        """How a child ended that the state machine waits for no more; None, and the child cancelled, if it has not."""
        child = self._runs.find(child_id)
        if child is not None and not child.ended:
            link = self._runs.linked(self._execution, child_id)
            if link is not None and link.token is None:  # it had ended, and somebody has retried it since
                return Ended(child_id, "lost")
            self._give_up(child_id, GIVEN_UP)
            child = self._runs.get(child_id)
        if child is None:
            return Ended(child_id, "lost")
        if child.status == "cancelled" and child.error == GIVEN_UP:
            return None
        status: Any = child.status
        return Ended(child_id, status, child.final_output, child.error)

    def _give_up(self, child_id: str, why: Mapping[str, Any]) -> None:
        """Close a child. This function may not stop its execution: that, and what follows, is the sweeper's."""
        if self._runs.close(child_id, "cancelled", error=why) is not None:
            self._runs.look_at_child(self._execution, child_id, now_ms())

    def _published(self, parent: Run, wanted: Wanted) -> Published:
        if parent.depth + 1 >= MAX_DEPTH:
            raise NodeError("TooDeep", f"at most {MAX_DEPTH} runs may wait for each other", retryable=False)
        store = WorkflowStore(self._table)
        try:
            workflow = store.get(wanted.workflow_id)
            published = in_service(workflow.published, workflow.canary)
            if wanted.version is not None:
                published = Published.from_dict(store.version(workflow, wanted.version)[0].published)
        except NotFound as error:
            raise NodeError("WorkflowNotFound", error.detail, retryable=False) from None
        if published is None:
            raise NodeError("NotPublished", f"workflow {wanted.workflow_id} is not published", retryable=False)
        try:
            trigger_of(published, None)
        except Invalid as error:  # it has several, and none is to be started by hand
            raise NodeError("InvalidInput", error.detail, retryable=False) from None
        return published

    def _start(self, published: Published, parent: Run, record: NodeRecord, data: Any) -> None:
        start(
            self._tenant,
            replace(published, express=None),  # of an Express execution's end no event would tell the parent
            trigger_node=None,
            trigger_data=data,
            triggered_by={"kind": "sub_workflow", "id": parent.id, "user": parent.triggered_by.get("user")},
            execution_id=record.child,
            parent={"execution_id": parent.id, "node_id": record.node, "scope": record.scope},
            depth=parent.depth + 1,
            chain=parent.chain,
        )


@contextmanager
def _places() -> Iterator[None]:
    """A quota that is used up is the node's failure."""
    try:
        yield
    except RateLimited as full:
        raise NodeError("QuotaExceeded", full.detail, retryable=False) from None


def _to_be_retried(child: Run, before: ChildLink, record: NodeRecord) -> bool:
    """Whether the child's end is not this node's to settle: it comes from before, or from the run's own end. Before is
    also what a call that died had yet to retry.
    """
    if child.status == "cancelled" and child.error == PARENT_ENDED:
        return True
    from_before = before.attempt < record.attempts or child.attempt < before.since
    return child.status in ("failed", "cancelled") and from_before
