"""The tests of workflows in the table, beside their workflow: they go when it does."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any, Final

from shared.cases.model import MAX_CASES, KeptCase
from shared.errors import Conflict, NotFound, PreconditionFailed, Problem, TooLarge
from shared.store import pages
from shared.store.pages import Listing, listing_of, size_in_answer
from shared.store.table import Attr, ConditionFailed, Item, TenantTable, Write

MAX_BYTES: Final = 300_000  # of a deflated case; an item may have 400 KB
MAX_PLAIN: Final = pages.MAX_BYTES  # of a case as it is read back


class CaseStore:
    """One tenant's tests of workflows."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def create(self, case: KeptCase) -> None:
        """Write a new test. Raises NotFound (the workflow), TooLarge; Conflict where the workflow has enough."""
        key = self._keys.case(case.workflow_id, case.id)
        there = Attr("PK").exists()
        every = self._keys.case(case.workflow_id)
        if len(self._table.query(key.pk, prefix=every.sk, limit=MAX_CASES, attributes=["PK", "SK"]).items) >= MAX_CASES:
            raise Conflict(f"a workflow has at most {MAX_CASES} tests", code="too_many_tests")
        try:
            self._table.transact(
                [
                    Write("ConditionCheck", (self._keys.workflows(), case.workflow_id), condition=there),
                    Write("Put", (key.pk, key.sk), _item(case)),
                ]
            )
        except ConditionFailed:
            raise NotFound(f"there is no workflow {case.workflow_id}") from None

    def get(self, workflow_id: str, case_id: str) -> KeptCase:
        """One. Raises NotFound."""
        item = self._table.get(self._keys.case(workflow_id, case_id), consistent=True)
        if item is None:
            raise _missing(case_id)
        return _case(item)

    def page(self, workflow_id: str, cursor: str | None, limit: int) -> Listing[KeptCase]:
        """Some of a workflow's, the oldest first."""
        every = self._keys.case(workflow_id)
        return listing_of(
            self._table.tenant,
            f"cases {workflow_id}",
            cursor,
            limit,
            lambda start, n: self._table.query(every.pk, prefix=every.sk, start=start, limit=n),
            _case,
        )

    def every(self, workflow_id: str) -> list[KeptCase]:
        """All of a workflow's, the oldest first."""
        every = self._keys.case(workflow_id)
        return [_case(i) for i in self._table.query_all(every.pk, prefix=every.sk, consistent=True)]

    def change(self, before: KeptCase, case: dict[str, Any], at: int) -> KeptCase:
        """Write another case in place of one that is still as given. Raises NotFound, PreconditionFailed, TooLarge."""
        after = replace(before, case=case, revision=before.revision + 1, updated_at=at)
        key = self._keys.case(before.workflow_id, before.id)
        try:
            self._table.put(key, _item(after), Attr("revision").eq(before.revision))
        except ConditionFailed as failed:
            raise _changed(before.id, failed) from None
        return after

    def remove(self, case: KeptCase) -> None:
        """Remove one that is still as given. Raises NotFound, PreconditionFailed."""
        try:
            self._table.delete(self._keys.case(case.workflow_id, case.id), Attr("revision").eq(case.revision))
        except ConditionFailed as failed:
            raise _changed(case.id, failed) from None


def _missing(case_id: str) -> NotFound:
    return NotFound(f"the workflow has no test {case_id}", code="no_test")


def _changed(case_id: str, failed: ConditionFailed) -> NotFound | PreconditionFailed:
    if failed.item is None:
        return _missing(case_id)
    return PreconditionFailed(f"the test is at revision {failed.item['revision']} by now; read it again")


def _item(case: KeptCase) -> Item:
    fields = {name: getattr(case, name) for name in KeptCase.__slots__ if name != "case"}
    body = zlib.compress(json.dumps(case.case, ensure_ascii=False, separators=(",", ":")).encode())
    plain = size_in_answer(case.case)
    if plain > MAX_PLAIN:  # nobody could read it back
        raise _too_large(case, f"a test has at most {MAX_PLAIN:,} bytes; this has {plain:,}")
    if len(body) > MAX_BYTES:
        raise _too_large(case, f"a test has at most {MAX_BYTES:,} bytes, compressed; this has {len(body):,}")
    return {**fields, "case": body}


def _too_large(case: KeptCase, message: str) -> TooLarge:
    largest = max(case.case, key=lambda name: size_in_answer(case.case[name]))
    return TooLarge(message, code="test_too_large", errors=[Problem("test_too_large", message, largest)])


def _case(item: Item) -> KeptCase:
    fields = {name: item[name] for name in KeptCase.__slots__ if name != "case"}
    return KeptCase(**fields, case=json.loads(zlib.decompress(item["case"])))
