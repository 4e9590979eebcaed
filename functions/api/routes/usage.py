"""What the tenant has used."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from functions.api.deps import First, Last, require
from functions.api.schemas.usage import UsageOut
from shared.tenancy import Principal
from stepfunctions import figures

router = APIRouter(prefix="/usage", tags=["usage"])
Reader = Annotated[Principal, require("viewer", "usage:read")]


@router.get("")
def get(who: Reader, first: First = None, last: Last = None) -> UsageOut:
    """Runs, tokens and money of at most 92 days, by day and model, some seconds behind what happens; and storage."""
    return UsageOut.model_validate(figures.usage(who.tenant, first, last))
