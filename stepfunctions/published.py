"""What is kept of a plan beside the workflow's version: enough to start a run without reading the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """`plan` and `machine` are hashes, `timeouts` the seconds of the questions by position.

    `triggers` are `(node id, type)` in document order; `express` is the machine with which runs begin, if that is
    another (see `stepfunctions.tier`).
    """

    workflow_id: str
    version: int
    plan: str
    machine: str
    timeouts: tuple[int, ...]
    timeout_seconds: int
    triggers: tuple[tuple[str, str], ...]
    webhooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    express: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Published:
        """From its JSON."""
        return cls(
            **{
                **data,
                "timeouts": tuple(data["timeouts"]),
                "triggers": tuple((node, kind) for node, kind in data["triggers"]),
            }
        )
