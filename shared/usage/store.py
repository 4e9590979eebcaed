"""What a tenant has in use, in the table.

    T#t#QUOTA  RUNS        {open: {ex ids}, suspects: {…}, "day|2026-01-31": n, "month|2026-01": n}
    T#t#QUOTA  RUNS#wf_…   {open, suspects}          of a workflow with `max_concurrency`
    T#t#QUOTA  SPENT       {"tokens|2026-01": n, "nano|2026-01": n}

Open runs are a set of ids: taking a place twice takes one, giving it back twice gives one back, and one that was taken
for a run which never came to be can be found (`stepfunctions.metering`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from shared.clock import iso, now_ms
from shared.store.keys import sweep_shard
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write
from shared.usage.model import Terms, stored, terms_of

LOOK_MS: Final = 300_000  # how often the sweeper looks at what is taken


@dataclass(frozen=True, slots=True)
class Full:
    """A quota that has nothing left."""

    name: str
    limit: int


class UsageStore:
    """One tenant's use."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    # --- what holds for the tenant ---------------------------------------------------------------------------------

    def terms(self) -> Terms:
        """What an operator has set, or the defaults."""
        found = self._table.get(self._keys.tenant_meta(), consistent=True) or {}
        return terms_of(found.get("terms"))

    def set_terms(self, terms: Terms) -> None:
        """Set them: for operators, never for the tenant. Raises ConditionFailed if there is no such tenant."""
        self._table.update(self._keys.tenant_meta(), Change(set={"terms": stored(terms)}), Attr("PK").exists())

    # --- runs ------------------------------------------------------------------------------------------------------

    def take(self, execution_id: str, most: int | None, per: Mapping[str, int], workflow_id: str = "") -> Full | None:
        """Take a place among the open runs, of which there may be `most` (None: it needs no place), and count one for
        each period of `per` (`day|2026-01-31`: at most so many). A run that has its place keeps it, and counts no more.

        Gives what is full; then nothing is changed.
        """
        if most == 0 or 0 in per.values():
            return _full({}, most, per)
        room = [Attr(period).not_exists() | Attr(period).lt(limit) for period, limit in per.items()]
        add: dict[str, int | frozenset[str]] = dict.fromkeys(per, 1)
        first: dict[str, str] = {}
        if most is not None:
            room += [Attr("open").not_exists() | Attr("open").size().lt(most), ~Attr("open").contains(execution_id)]
            add["open"] = frozenset([execution_id])
            first = self._looked_at(workflow_id)
        condition = room[0]
        for each in room[1:]:
            condition &= each
        try:
            self._table.update(self._keys.open_runs(workflow_id), Change(first=first, add=add), condition)
        except ConditionFailed as failed:
            found = failed.item or {}
            return None if most is not None and execution_id in found.get("open", ()) else _full(found, most, per)
        return None

    def keep(self, execution_id: str, workflow_id: str = "") -> None:
        """Take a place, whether or not there is one: the run is open."""
        change = Change(first=self._looked_at(workflow_id), add={"open": frozenset([execution_id])})
        self._table.update(self._keys.open_runs(workflow_id), change)

    def give_back(self, execution_id: str, workflow_id: str = "", periods: Collection[str] = ()) -> None:
        """Give a place back; with `periods`, the run did not come to be and does not count there."""
        change = Change(take={"open": frozenset([execution_id])}, add=dict.fromkeys(periods, -1))
        with contextlib.suppress(ConditionFailed):  # it has none
            self._table.update(self._keys.open_runs(workflow_id), change, Attr("open").contains(execution_id))

    def _looked_at(self, workflow_id: str) -> dict[str, str]:
        shard = sweep_shard(f"{self._table.tenant.id} {workflow_id}")
        return {"GSI2PK": shard, "GSI2SK": iso(now_ms() + LOOK_MS)}

    def runs(self, workflow_id: str = "") -> Item:
        """The item as it is, or an empty one."""
        return self._table.get(self._keys.open_runs(workflow_id), consistent=True) or {}

    def look_again(self, workflow_id: str) -> None:
        """When the sweeper looks next at what is taken: in a while."""
        with contextlib.suppress(ConditionFailed):
            later = Change(set={"GSI2SK": iso(now_ms() + LOOK_MS)})
            self._table.update(self._keys.open_runs(workflow_id), later, Attr("GSI2SK").exists())

    def tidy(self, workflow_id: str, lost: Collection[str], suspects: Collection[str], old: Collection[str]) -> None:
        """Give back the places of runs that are `lost`, remember who is suspect of being so, forget old periods. With
        nothing open the sweeper need not look again: whoever takes a place asks for it.
        """
        change = Change(
            set={"suspects": frozenset(suspects)} if suspects else {},
            remove=[*old, *([] if suspects else ["suspects"])],
            take={"open": frozenset(lost)} if lost else {},
        )
        item = self._table.update(self._keys.open_runs(workflow_id), change)
        if not item.get("open"):
            with contextlib.suppress(ConditionFailed):
                idle = Change(remove=["GSI2PK", "GSI2SK"])
                self._table.update(self._keys.open_runs(workflow_id), idle, Attr("open").not_exists())

    # --- tokens and money ------------------------------------------------------------------------------------------

    def spent(self, month: str) -> tuple[int, int]:
        """The tokens of a month, and the billionths of a dollar."""
        found = self._table.get(self._keys.spent()) or {}
        return found.get(f"tokens|{month}", 0), found.get(f"nano|{month}", 0)

    def files(self) -> tuple[int, int]:
        """The bytes and the number of the tenant's files, as last counted and reserved since."""
        found = self._table.get(self._keys.files_used()) or {}
        return found.get("bytes", 0), found.get("files", 0)


def spending(table: TenantTable, month: str, tokens: int, nano: int) -> Write:
    """The write that adds to what models have used in a month."""
    at = table.keys.spent()
    change = Change(add={f"tokens|{month}": tokens, f"nano|{month}": nano})
    return Write("Update", (at.pk, at.sk), change=change)


def _full(found: Item, most: int | None, per: Mapping[str, int]) -> Full:
    for period, limit in per.items():
        if limit == 0 or found.get(period, 0) >= limit:
            return Full(f"runs_per_{period.partition('|')[0]}", limit)
    return Full("concurrent_runs", most or 0)
