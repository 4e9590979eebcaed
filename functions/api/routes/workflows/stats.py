"""What a workflow's runs have come to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from functions.api.deps import First, Last, require
from functions.api.schemas.usage import StatsOut
from shared.tenancy import Principal
from stepfunctions import figures

router = APIRouter(prefix="/workflows", tags=["workflows"])
Reader = Annotated[Principal, require("viewer", "workflows:read")]


@router.get("/{workflow_id}/stats")
def stats(workflow_id: str, who: Reader, first: First = None, last: Last = None) -> StatsOut:
    """Runs, durations, failures, models and the bottleneck of at most 92 days, some seconds behind what happens."""
    return StatsOut.model_validate(figures.stats(who.tenant, workflow_id, first, last))
