"""Versions of a workflow beside each other, and canaries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from functions.api.schemas.base import Answer, Body, TimeOut


class ChangedOut(Answer):
    """A value that changed, by its path. A long value is shown as the start of its text."""

    path: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class NodeChangeOut(Answer):
    """What changed of a node that both have."""

    id: str
    type: str
    changes: list[ChangedOut]


class DifferenceOut(Answer):
    """What a run could notice, and apart from that what only people see (`cosmetic`, `about`)."""

    same: bool
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]
    changed: list[NodeChangeOut]
    cosmetic: list[NodeChangeOut]
    connections_added: list[dict[str, Any]]
    connections_removed: list[dict[str, Any]]
    reordered: bool
    variables: list[ChangedOut]
    settings: list[ChangedOut]
    about: list[ChangedOut]


class ComparedOut(Answer):
    """Two versions (0: the draft): the documents' difference, and what each compiles to."""

    before: int
    after: int
    difference: DifferenceOut
    plan_before: dict[str, Any]
    plan_after: dict[str, Any]


class CanaryIn(Body):
    """Another version that gets `weight` of a hundred runs.

    It is withdrawn when, within one window, at least `min_runs` of its runs have ended and more than `max_failure_rate`
    of them failed.
    """

    version: Annotated[int, Field(ge=1, le=999_999)]
    weight: Annotated[int, Field(ge=0, le=100)]
    max_failure_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    min_runs: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    window_seconds: Annotated[int, Field(ge=60, le=604_800)] = 3_600


class CanaryOut(Answer):
    """A canary, or the last one; `runs` and `failed` have ended so, in all and in the window that is now."""

    id: str
    version: int
    instead_of: int
    weight: int
    max_failure_rate: float
    min_runs: int
    window_seconds: int
    state: Literal["active", "withdrawn", "removed", "promoted", "superseded"]
    reason: str | None
    started_at: TimeOut
    started_by: str
    ended_at: TimeOut | None
    ended_by: str | None
    runs: int
    failed: int
    window_runs: int
    window_failed: int
