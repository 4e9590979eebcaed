"""A run as a parent with its steps as children."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from functions.api.deps import Paged, require
from functions.api.private_runs import OF_ITS_PERSON
from functions.api.schemas.interactions import InteractionsOut
from shared.tenancy import Principal
from stepfunctions.interactions import interactions

router = APIRouter(prefix="/workflows/executions", tags=["executions"], dependencies=[OF_ITS_PERSON])
Reader = Annotated[Principal, require("viewer", "executions:read")]


@router.get("/{execution_id}/interactions")
def list_interactions(execution_id: str, who: Reader, page: Paged) -> InteractionsOut:
    """The run, and its steps that have begun, in the order in which they did."""
    return InteractionsOut.model_validate(interactions(who.tenant, execution_id, page.cursor, page.limit))
