"""Workflows in the table: a summary for lists and starts, the draft, and the versions.

The draft's item carries the summary's fields too, so that reading a workflow is one read; both are always written
together. A document that would not fit into an item lies in S3, under its hash.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from shared.aws.dynamo import Condition
from shared.aws.s3 import TenantObjects
from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.settings import settings
from shared.store.keys import Key
from shared.store.pages import Listing, listing_of
from shared.store.table import Attr, Change, ConditionFailed, Item, TenantTable, Write
from shared.workflows.record import Version, Workflow, being_deleted

MAX_INLINE: Final = 300_000  # bytes of a deflated document; an item may have 400 KB
_DRAFT: Final = "DRAFT"
_PACKED: Final = ("published", "compiled", "canary")  # JSON text, in the summary alone
_CANARY: Final = ("canary", "canary_id")
_PUBLISHED: Final = ("published_version", "published")
_STAYS: Final = Attr("deleting_since").not_exists()

Json = dict[str, Any]


class WorkflowStore:
    """One tenant's workflows. Documents come and go as JSON values."""

    def __init__(self, table: TenantTable) -> None:
        self._table = table
        self._keys = table.keys

    def create(self, workflow: Workflow, document: Json) -> None:
        """Write a new workflow. Raises Conflict if its id is taken."""
        try:
            self._table.transact(self.creating(workflow, document))
        except ConditionFailed:
            raise Conflict(f"there is a workflow {workflow.id} already", code="id_taken") from None

    def creating(self, workflow: Workflow, document: Json) -> list[Write]:
        """The writes of `create`, for a transaction that makes more than this workflow."""
        new, fields = Attr("PK").not_exists(), _fields(workflow)
        return [
            Write("Put", (self._keys.workflows(), workflow.id), fields, condition=new),
            Write("Put", (self._keys.workflow(workflow.id), _DRAFT), {**fields, **self._packed(document)}),
        ]

    def get(self, workflow_id: str) -> Workflow:
        """A workflow without its document. Raises NotFound."""
        item = self._table.get(Key(self._keys.workflows(), workflow_id), consistent=True)
        if item is None:
            raise _missing(workflow_id)
        return _workflow(item)

    def get_with_document(self, workflow_id: str) -> tuple[Workflow, Json]:
        """A workflow and its draft. Raises NotFound."""
        item = self._table.get(Key(self._keys.workflow(workflow_id), _DRAFT), consistent=True)
        if item is None:
            raise _missing(workflow_id)
        return _workflow(item), self._unpacked(item)

    def page(
        self, listing: str, cursor: str | None, limit: int, keep: Callable[[Item], bool] = lambda _item: True
    ) -> Listing[Workflow]:
        """Workflows that `keep` accepts, newest first. `listing` names the filter, for the cursor."""
        pk = self._keys.workflows()
        return listing_of(
            self._table.tenant,
            listing,
            cursor,
            limit,
            lambda start, n: self._table.query(pk, start=start, limit=n, forward=False),
            _workflow,
            keep,
        )

    def save(self, before: Workflow, document: Json, at: int) -> Workflow:
        """Write the draft of a workflow that is still at `before.revision`.

        Raises NotFound, PreconditionFailed; Conflict (`being_deleted`).
        """
        after, writes = self.saving(before, document, at)
        self._transact(before.id, writes)
        return after

    def saving(self, before: Workflow, document: Json, at: int) -> tuple[Workflow, list[Write]]:
        """The workflow as `save` leaves it, and its writes, for a transaction that makes more than this.

        Raises Conflict (`being_deleted`).
        """
        if before.deleting_since is not None:
            raise being_deleted(before.id)
        after = replace(before, **described(document), updated_at=at, revision=before.revision + 1, compiled=None)
        changed = {name: _fields(after)[name] for name in (*described(document), "updated_at", "revision")}
        packed = self._packed(document)
        writes = self._writes(
            before.id,
            Change(set=changed, remove=["compiled"]),
            Change(set={**changed, **packed}, remove=[n for n in ("document", "far") if n not in packed]),
            Attr("revision").eq(before.revision) & _STAYS,
        )
        return after, writes

    def keep_compiled(self, workflow: Workflow, compiled: Mapping[str, Any]) -> None:
        """Remember what the draft of this revision compiled to; if it was changed meanwhile, forget it."""
        change = Change(set={"compiled": json.dumps(compiled)})
        try:
            key = Key(self._keys.workflows(), workflow.id)
            self._table.update(key, change, Attr("revision").eq(workflow.revision))
        except ConditionFailed:
            return

    def release(self, before: Workflow, version: Version, document: Json) -> None:
        """Add a version and make it the published one.

        Raises NotFound; Conflict if somebody else published first, or has begun to delete it (`being_deleted`).
        """
        item = {
            "version": version.version,
            "revision": version.revision,
            "published": json.dumps(version.published),
            "published_at": version.published_at,
            "published_by": version.published_by,
            "notes": version.notes,
            **self._packed(document),
        }
        numbers = {"latest_version": version.version, "published_version": version.version}
        put = Write("Put", (self._keys.workflow(before.id), self._keys.version_sk(version.version)), item)
        try:
            self._both(
                before.id,
                Change(set={**numbers, "published": item["published"]}, remove=_CANARY),
                Change(set=numbers),
                Attr("latest_version").eq(before.latest_version) & _STAYS,
                put,
            )
        except PreconditionFailed:
            raise Conflict("somebody else has just published this workflow", code="published_meanwhile") from None

    def withdraw(self, workflow_id: str) -> None:
        """No version is the published one. Raises NotFound."""
        summary = Change(remove=[*_PUBLISHED, *_CANARY])
        self._both(workflow_id, summary, Change(remove=_PUBLISHED), Attr("PK").exists())

    def promote(self, workflow: Workflow, version: int, published: Mapping[str, Any], canary_id: str) -> bool:
        """Make a canary's version the published one. False if it is the canary no more. Raises NotFound."""
        change = Change(set={"published_version": version, "published": json.dumps(published)}, remove=_CANARY)
        draft = Change(set={"published_version": version})
        try:
            self._both(workflow.id, change, draft, Attr("canary_id").eq(canary_id))
        except PreconditionFailed:
            return False
        return True

    def version(self, workflow: Workflow, number: int) -> tuple[Version, Json]:
        """A version and its document. Raises NotFound."""
        key = Key(self._keys.workflow(workflow.id), self._keys.version_sk(number))
        item = self._table.get(key, consistent=True) if 0 < number <= workflow.latest_version else None
        if item is None:
            raise NotFound(f"workflow {workflow.id} has no version {number}", code="no_version")
        return _version(item), self._unpacked(item)

    def versions(self, workflow: Workflow, cursor: str | None, limit: int) -> Listing[Version]:
        """The versions, newest first."""
        pk = self._keys.workflow(workflow.id)
        wanted = ["PK", "SK", "version", "revision", "published", "published_at", "published_by", "notes"]
        return listing_of(
            self._table.tenant,
            f"versions {workflow.id}",
            cursor,
            limit,
            lambda start, n: self._table.query(pk, prefix="V#", start=start, limit=n, forward=False, attributes=wanted),
            _version,
            lambda item: bool(item["version"] <= workflow.latest_version),
        )

    def begin_removal(self, workflow: Workflow, at: int) -> None:
        """Withdraw a workflow that is still as given, and keep it from being saved or published from here on.

        Doing it again changes nothing. Raises PreconditionFailed, NotFound.
        """
        first = {"deleting_since": at}
        self._both(
            workflow.id,
            Change(first=first, remove=[*_PUBLISHED, *_CANARY]),
            Change(first=first, remove=_PUBLISHED),
            _as_given(workflow),
        )

    def remove(self, workflow: Workflow) -> None:
        """Remove a workflow that is still as given, with all its versions. Raises PreconditionFailed, NotFound."""
        summary, pk = (self._keys.workflows(), workflow.id), self._keys.workflow(workflow.id)
        removed = Write("Delete", summary, condition=_as_given(workflow))
        try:
            self._table.transact([removed, Write("Delete", (pk, _DRAFT))])
        except ConditionFailed as failed:
            raise _changed(workflow.id, failed) from None
        # What a call that dies here leaves behind cannot be reached: nothing reads above a workflow's latest version.
        rest = self._table.query_all(pk, attributes=["PK", "SK"])  # versions, tests, canaries
        self._table.delete_all([Key(i["PK"], i["SK"]) for i in rest])

    def _both(self, workflow_id: str, summary: Change, draft: Change, condition: Any, *more: Write) -> None:
        """Change the summary and the draft, or neither."""
        self._transact(workflow_id, [*self._writes(workflow_id, summary, draft, condition), *more])

    def _writes(self, workflow_id: str, summary: Change, draft: Change, condition: Any) -> list[Write]:
        keys = ((self._keys.workflows(), workflow_id), (self._keys.workflow(workflow_id), _DRAFT))
        return [
            Write("Update", keys[0], change=summary, condition=condition),
            Write("Update", keys[1], change=draft, condition=Attr("PK").exists()),
        ]

    def _transact(self, workflow_id: str, writes: list[Write]) -> None:
        try:
            self._table.transact(writes)
        except ConditionFailed as failed:
            raise _changed(workflow_id, failed) from None

    def _packed(self, document: Json) -> Item:
        """The document as attributes of an item."""
        body = zlib.compress(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())
        if len(body) <= MAX_INLINE:
            return {"document": body}
        name = hashlib.sha256(body).hexdigest()
        self._objects().put(name, body)
        return {"far": name}

    def _unpacked(self, item: Item) -> Json:
        body = item.get("document") or self._objects().get(item["far"])
        if body is None:
            raise LookupError("a stored document is gone")
        document: Json = json.loads(zlib.decompress(body))
        return document

    def _objects(self) -> TenantObjects:
        return TenantObjects(self._table.tenant, settings().data_bucket, "documents")


def _missing(workflow_id: str) -> NotFound:
    return NotFound(f"there is no workflow {workflow_id}")


def _as_given(workflow: Workflow) -> Condition:
    return Attr("revision").eq(workflow.revision) & Attr("latest_version").eq(workflow.latest_version)


def _changed(workflow_id: str, failed: ConditionFailed) -> NotFound | PreconditionFailed | Conflict:
    if failed.item is None:
        return _missing(workflow_id)
    if "deleting_since" in failed.item:
        return being_deleted(workflow_id)
    return PreconditionFailed(f"the workflow is at revision {failed.item['revision']} by now; read it again")


def described(document: Json) -> dict[str, Any]:
    """The fields of a workflow that stand in its document."""
    return {
        "name": document["name"],
        "description": document["description"],
        "category": document["category"],
        "tags": tuple(document["tags"]),
    }


def _fields(workflow: Workflow) -> Item:
    """What both items of a workflow hold."""
    names = [n for n in Workflow.__slots__ if n not in ("tags", *_PACKED)]
    values = {n: getattr(workflow, n) for n in names}
    return {**{n: v for n, v in values.items() if v is not None or n == "category"}, "tags": list(workflow.tags)}


def _workflow(item: Item) -> Workflow:
    known: Item = {n: item[n] for n in Workflow.__slots__ if n in item}
    read: Item = {n: json.loads(known[n]) for n in _PACKED if n in known}
    return Workflow(**{**known, **read, "tags": tuple(item["tags"])})


def _version(item: Item) -> Version:
    return Version(
        version=item["version"],
        revision=item["revision"],
        published=json.loads(item["published"]),
        published_at=item["published_at"],
        published_by=item["published_by"],
        notes=item["notes"],
    )
