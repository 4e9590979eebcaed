"""Events that tenants send."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from functions.api.schemas.base import Answer, Body

_LINE = r"^[^\x00-\x1f\x7f]+$"


class EventIn(Body):
    """An event. `id` tells repeats: events of one source and one id start one run of a workflow in 24 hours."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_LINE)]
    source: Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_LINE)] = "api"
    data: dict[str, Any] = Field(default_factory=dict, description="At most 256 KB of JSON.")
    id: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)] | None = None

    @field_validator("source")
    @classmethod
    def _not_ours(cls, source: str) -> str:
        if source.casefold().startswith(("statewright", "aws.")):
            raise ValueError("sources that begin with statewright or aws. are the platform's")
        return source


class EventOut(Answer):
    """An event that was taken."""

    id: str
    source: str
    type: str
    time: str
