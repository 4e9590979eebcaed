"""Canaries in the table, of each workflow the last one, and the counters of their runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from shared.canaries.model import Canary, Count
from shared.clock import now_ms
from shared.errors import Conflict, NotFound
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write
from shared.store.turns import patiently
from shared.workflows.record import Workflow

_MARKED_S: Final = 30 * 86_400  # longer than the table's stream tells of an end


class CanaryStore:
    """One tenant's canaries, of each workflow the last one."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def begin(self, workflow: Workflow, canary: Canary, published: Mapping[str, Any], before: Canary | None) -> bool:
        """Let it have its runs, in place of the canary before it; False if that is not as given any more.

        Raises Conflict if the workflow is not published as given any more.
        """
        kept = {"id": canary.id, "version": canary.version, "weight": canary.weight, "published": dict(published)}
        same = Attr("published_version").eq(canary.instead_of) & Attr("latest_version").eq(workflow.latest_version)
        key, summary = self._keys.canary(workflow.id), (self._keys.workflows(), workflow.id)
        change = Change(set={"canary": json.dumps(kept), "canary_id": canary.id})
        unread = Attr("revision").not_exists()  # none, or one of before there were revisions
        unchanged = unread if before is None else unread | Attr("revision").lte(before.revision)
        try:
            self._table.transact(
                [
                    Write("Update", summary, change=change, condition=same),
                    Write("Put", (key.pk, key.sk), _item(canary), condition=unchanged),
                ]
            )
        except ConditionFailed as failed:
            if failed.item is not None and "revision" in failed.item and failed.item.get("PK") == key.pk:
                return False
            raise Conflict("somebody else has just published this workflow", code="published_meanwhile") from None
        return True

    def last(self, workflow: Workflow) -> Canary:
        """The workflow's canary, or the last it had. Raises NotFound."""
        found = self.find(workflow)
        if found is None:
            raise NotFound(f"workflow {workflow.id} has no canary", code="no_canary")
        return found

    def find(self, workflow: Workflow) -> Canary | None:
        """As `last`; None if it never had one."""
        item = self._table.get(self._keys.canary(workflow.id), consistent=True)
        if item is None:
            return None
        canary = Canary(**json.loads(item["canary"]))
        if canary.state == "active" and (workflow.canary or {}).get("id") != canary.id:
            why = "another version was published, or the workflow was taken out of service"
            canary = replace(canary, state="superseded", reason=why, revision=canary.revision + 1)
        return canary

    def end(self, workflow_id: str, canary: Canary) -> bool:
        """It gets no more runs: `canary` says why. False if it had been ended before."""
        key, summary = self._keys.canary(workflow_id), (self._keys.workflows(), workflow_id)
        still = Attr("canary_id").eq(canary.id)
        try:
            self._table.transact(
                [
                    Write("Update", summary, change=Change(remove=["canary", "canary_id"]), condition=still),
                    Write("Put", (key.pk, key.sk), _item(canary), condition=still),
                ]
            )
        except ConditionFailed:
            return False
        return True

    def note(self, workflow_id: str, canary: Canary) -> None:
        """Keep how it ended, where the workflow's record says so already."""
        with suppress(ConditionFailed):
            self._table.put(self._keys.canary(workflow_id), _item(canary), Attr("canary_id").eq(canary.id))

    def count(self, workflow_id: str, canary_id: str, execution_id: str, *, failed: bool, window: int) -> Count:
        """Count a run's end, once; gives what the window has by now. Raises Unavailable."""
        mark = self._keys.counted(f"canary#{execution_id}")
        add = Change(add={"runs": 1, "failed": int(failed)})
        counters = [self._keys.canary_counter(workflow_id, canary_id, w) for w in (window, None)]
        ttl = {"ttl": now_ms() // 1000 + _MARKED_S}
        writes = [
            Write("Put", (mark.pk, mark.sk), ttl, condition=Attr("PK").not_exists()),
            *(Write("Update", (c.pk, c.sk), change=add) for c in counters),
        ]
        with suppress(ConditionFailed):  # it is counted already
            patiently(lambda: self._table.transact(writes))  # the ends of two runs may meet on one counter
        return self.counted(workflow_id, canary_id, window)

    def counted(self, workflow_id: str, canary_id: str, window: int | None = None) -> Count:
        """What was counted in a window, or (None) in all."""
        item = self._table.get(self._keys.canary_counter(workflow_id, canary_id, window), consistent=True) or {}
        return Count(item.get("runs", 0), item.get("failed", 0))


def _item(canary: Canary) -> Item:
    fields = {name: getattr(canary, name) for name in Canary.__slots__}
    return {"canary": json.dumps(fields), "canary_id": canary.id, "revision": canary.revision}
