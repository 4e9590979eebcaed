"""A generation: a model's way from a prompt to a workflow, as a record that is moved on step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

GenerationStatus = Literal["running", "done", "impossible", "failed"]
KEPT_SECONDS: Final = 24 * 3600  # as long as the engine remembers what an occasion has led to


@dataclass(frozen=True, slots=True)
class Generation:
    """How far a generation has come. Times are ms since the epoch.

    `step` counts the answers that were judged; a step is one question, `execution_id` its run, if that is known.
    `state` is JSON: what was asked, and what has come of it (see `stepfunctions.generator.generate`).
    """

    id: str
    status: GenerationStatus
    step: int
    created_at: int
    created_by: str
    state: Mapping[str, Any]
    execution_id: str | None = None
