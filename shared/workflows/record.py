"""A workflow as it is stored: what is known of it beside its document, and its published versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import Conflict

RESERVED_PREFIX: Final = "inner-"  # of the ids of workflows of the platform's own; see stepfunctions.inner


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow without its document. Times are milliseconds since the epoch.

    `revision` counts the saves of the draft and is its ETag; publishing does not change it. `published` is what
    starting the published version takes, and `compiled` the same for the draft at this revision, if somebody has
    needed it already (both as `stepfunctions.published.Published` writes them). `origin` says what it was made of:
    `{kind: "template", id, source, version}`, `{kind: "import"}`, `{kind: "share"}`,
    `{kind: "generation", id}`. `canary` is the version that gets
    some of the runs: `{id, version, weight, published}`. Since `deleting_since` it is on its way out: nothing of it is
    published, it is not changed any more, and what remains to be done is to delete it again.
    """

    id: str
    name: str
    description: str
    category: str | None
    tags: tuple[str, ...]
    revision: int
    created_at: int
    updated_at: int
    created_by: str
    latest_version: int = 0
    published_version: int | None = None
    published: Mapping[str, Any] | None = None
    compiled: Mapping[str, Any] | None = None
    origin: Mapping[str, Any] | None = None
    canary: Mapping[str, Any] | None = None
    deleting_since: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether a version of it is published, so that its triggers start runs."""
        return self.published_version is not None


@dataclass(frozen=True, slots=True)
class Version:
    """A published version, without its document. `revision` is the draft's that it was made from."""

    version: int
    revision: int
    published: Mapping[str, Any]
    published_at: int
    published_by: str
    notes: str


def being_deleted(workflow_id: str) -> Conflict:
    """What answers a change of a workflow that somebody has begun to delete."""
    detail = f"workflow {workflow_id} is being deleted; if that has stopped half way, delete it again"
    return Conflict(detail, code="being_deleted")


def is_inner(workflow_id: str | None) -> bool:
    """Whether a workflow is one that the platform runs for itself: nobody has stored it."""
    return workflow_id is not None and workflow_id.startswith(RESERVED_PREFIX)
