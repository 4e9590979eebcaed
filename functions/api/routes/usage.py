"""What the tenant has used."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.deps import require
from functions.api.schemas.usage import UsageOut
from shared.tenancy import Principal
from stepfunctions import figures

router = APIRouter(prefix="/usage", tags=["usage"])
Reader = Annotated[Principal, require("viewer", "usage:read")]
First = Annotated[date | None, Query(alias="from", description="the first day (UTC); usually 30 days up to `to`")]
Last = Annotated[date | None, Query(alias="to", description="the last day; usually today")]


@router.get("")
def get(who: Reader, first: First = None, last: Last = None) -> UsageOut:
    """Runs, tokens and money of at most 92 days, by day and model, some seconds behind what happens; and storage."""
    return UsageOut.model_validate(figures.usage(who.tenant, first, last))
