"""Whose turn it is in a chat: one run at a time answers in a thread."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from shared.clock import now_ms
from shared.ids import digest
from shared.store.table import Attr, ConditionFailed, TenantTable

_KEEP_S: Final = 400 * 86_400  # longer than a run may take


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that has a thread; `at` is when it got it (milliseconds since the epoch)."""

    execution_id: str
    at: int


class TurnStore:
    """The turns of one tenant's chats."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def take(self, thread_id: str, execution_id: str, instead_of: Turn | None = None) -> Turn | None:
        """Give a run the thread, if nobody has it, it has it already, or still the one `instead_of` whom it takes it.

        None: it has it. Otherwise the turn that is in its way.
        """
        free = Attr("PK").not_exists() | Attr("execution_id").eq(execution_id)
        if instead_of is not None:
            free = free | Attr("execution_id").eq(instead_of.execution_id)
        now = now_ms()
        try:
            item = {"execution_id": execution_id, "at": now, "ttl": now // 1000 + _KEEP_S}
            self._table.put(self._table.keys.turn(digest(thread_id)), item, free)
        except ConditionFailed as taken:
            if taken.item is None:
                raise
            return Turn(taken.item["execution_id"], int(taken.item["at"]))
        return None

    def give_back(self, thread_id: str, execution_id: str) -> None:
        """The run needs the thread no more."""
        with suppress(ConditionFailed):
            key = self._table.keys.turn(digest(thread_id))
            self._table.delete(key, Attr("execution_id").eq(execution_id))
