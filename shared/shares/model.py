"""A link with which somebody without an account reads a workflow, and who has one may copy it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Rights = Literal["view", "copy"]  # who may copy may also view
DAY_MS: Final = 86_400_000
DEFAULT_MS: Final = 7 * DAY_MS
MOST_MS: Final = 366 * DAY_MS
MAX_LINKS: Final = 100  # of a workflow


@dataclass(frozen=True, slots=True)
class Share:
    """A link to a workflow. Times are ms since the epoch.

    `version` is a published one's number, 0 the draft, None what is published when the link is opened, or else the
    draft. `mark` is the digest of its token, which is nowhere kept. `workflow_made` tells the workflow from a later
    one of the same id.
    """

    id: str
    workflow_id: str
    workflow_made: int
    rights: Rights
    version: int | None
    mark: str
    created_at: int
    created_by: str
    expires_at: int
