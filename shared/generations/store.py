"""Generations in the table, for a day each."""

from __future__ import annotations

import json
import zlib

from shared.clock import now_ms
from shared.errors import NotFound
from shared.generations.model import KEPT_SECONDS, Generation
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable


class GenerationStore:
    """One tenant's generations."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table

    def create(self, generation: Generation) -> Generation:
        """Write a new one; one of its id whose day is not over stays, and is given. Raises TooLarge."""
        item = {
            "id": generation.id,
            "created_at": generation.created_at,
            "created_by": generation.created_by,
            "ttl": generation.created_at // 1000 + KEPT_SECONDS,
            **_moving(generation),
        }
        free = Attr("PK").not_exists() | Attr("ttl").lte(now_ms() // 1000)
        try:
            self._table.put(self._table.keys.generation(generation.id), item, free)
        except ConditionFailed:
            return self.get(generation.id)
        return generation

    def get(self, generation_id: str) -> Generation:
        """One. Raises NotFound, also where its day is over."""
        item = self._table.get(self._table.keys.generation(generation_id), consistent=True)
        if item is None or item["ttl"] * 1000 <= now_ms():
            raise _missing(generation_id)
        return _generation(item)

    def advance(self, before: Generation, after: Generation) -> Generation:
        """Write what came of a step that nobody has written yet; who comes second gets what the first has written.

        Raises NotFound, TooLarge.
        """
        return self._changed(before, Change(set=_moving(after), remove=["execution_id"]))

    def asked(self, before: Generation, execution_id: str) -> Generation:
        """Note which run the question of a step is, unless the step is over. Raises NotFound."""
        return self._changed(before, Change(set={"execution_id": execution_id}))

    def _changed(self, before: Generation, change: Change) -> Generation:
        same = Attr("step").eq(before.step) & Attr("status").eq(before.status)
        try:
            return _generation(self._table.update(self._table.keys.generation(before.id), change, same))
        except ConditionFailed:
            return self.get(before.id)

    def remove(self, generation_id: str) -> None:
        """Forget one."""
        self._table.delete(self._table.keys.generation(generation_id))


def _missing(generation_id: str) -> NotFound:
    return NotFound(f"there is no generation {generation_id}; each is kept for a day")


def _moving(generation: Generation) -> Item:
    state = json.dumps(generation.state, ensure_ascii=False, separators=(",", ":"))
    packed = zlib.compress(state.encode(errors="replace"))
    return {"status": generation.status, "step": generation.step, "state": packed}


def _generation(item: Item) -> Generation:
    return Generation(
        id=item["id"],
        status=item["status"],
        step=item["step"],
        created_at=item["created_at"],
        created_by=item["created_by"],
        state=json.loads(zlib.decompress(item["state"])),
        execution_id=item.get("execution_id"),
    )
